"""Pages of executed notebooks: complete, small, readable from disk without a network, equations as MathML."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import browser as chromium
import pytest

import lib
from lib import run, site

OURS = {"difference": 2.0, "interval": [1.5, 2.5], "margin": 1.0}
CLAIM = {
    "id": "one",
    "statement": "Ours beats <theirs>.",
    "paper": {"baseline": {"value": 70.0}, "method": {"value": 72.5}},
}
PAPER = {"title": "A toy", "venue": None, "year": 2024, "group": "dense", "arxiv": "2401.00001", "claims": [CLAIM]}


def test_equations_become_mathml_and_code_does_not():
    text = site.markdown("Let $a_i < b$ and\n\n$$\\frac{1}{2} x$$\n\nbut not `cost $5` nor 3 $ and 4 $.")
    assert text.count("<math") == 2 and 'display="block"' in text and "<mfrac>" in text
    assert "<code>cost $5</code>" in text and "3 $ and 4 $" in text
    assert "&lt;" in text or "&#x0003C;" in text
    with pytest.raises(ValueError, match="nosuch is unknown"):
        site.equation("\\nosuch x", False)
    with pytest.raises(ValueError, match="cannot be converted"):
        site.equation("\\left( x", False)


@pytest.mark.parametrize("path", sorted(lib.ROOT.glob("notebooks/**/*.ipynb")), ids=lambda path: path.stem)
def test_every_equation_of_a_notebook_can_be_converted(path):
    if ".ipynb_checkpoints" in path.parts:
        pytest.skip("a checkpoint of JupyterLab")
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "markdown":
            text = site.markdown("".join(cell["source"]))
            assert "\x02" not in text and "<merror" not in text


def test_highlight_marks_what_matters_and_keeps_the_code():
    text = site.highlight('def f(x):  # half\n    return x < 1 and "a"')
    assert "<i class=f>f</i>" in text and "<i class=c># half</i>" in text and "&lt;" in text
    assert re.sub("<[^>]+>", "", text) == 'def f(x):  # half\n    return x &lt; 1 and "a"'


def test_claim_line_shows_papers_number_ours_interval_and_verdict():
    text = site.claim_line(CLAIM, {"verdict": "holds", "ours": OURS})
    for part in (
        "Ours beats &lt;theirs&gt;.",
        "paper 70.00 → 72.50",
        "2.00 [1.50, 2.50]",
        "margin 1",
        "<svg",
        "pill holds",
    ):
        assert part in text, part
    assert "not yet" in site.claim_line(CLAIM, None) and "<svg" not in site.claim_line(CLAIM, None)


def test_interval_is_drawn_to_scale():
    text = site.interval({"difference": 0.0, "interval": [-2.0, 2.0], "margin": 1.0}, "inconclusive")
    low, high = map(float, re.search(r'd="M([\d.]+) 8H([\d.]+)"', text).groups())
    assert low + high == pytest.approx(220, abs=0.2) and 0 <= low < 40
    assert 'aria-label="difference' in text and "var(--open)" in text


def test_entry_names_group_verdicts_and_level():
    text = site.entry(
        "toy", PAPER, {"claims": [{"id": "one", "verdict": "not tested", "ours": None}]}, "mini/toy.html", 2
    )
    assert 'data-verdicts="not tested"' in text and 'data-group="dense"' in text and 'href="mini/toy.html"' in text
    assert 'data-verdicts="not yet"' in site.entry("toy", PAPER, None, "", 2)


def test_contents_lists_second_level_headings():
    assert site.contents('<h2 id="a">One <em>x</em></h2><h3 id="b">no</h3>').count("<li>") == 1
    assert site.contents("<p>none</p>") == ""


def test_words_are_those_that_the_board_lacks():
    assert site.words("The covariance &amp; the ridge", "the claims") == "covariance ridge"


def test_levels_name_every_paper():
    levels = run.read_yaml(lib.ROOT / "docs" / "reading.yaml")
    assert set(levels) == set(run.read_yaml(lib.ROOT / "papers.yaml"))
    assert set(levels.values()) <= set(site.LEVELS)


class Page(HTMLParser):
    """Collects links, pictures and open tags of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.pictures, self.ids, self.open = [], [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if "id" in values:
            self.ids.add(values["id"])
        self.links += [values[name] for name in ("href", "src") if values.get(name) and tag != "img"]
        if tag == "img":
            self.pictures.append(values)
        if tag not in ("img", "meta", "link", "input", "br", "hr", "circle", "path", "col", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}>"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The site of the results in git."""
    out = tmp_path_factory.mktemp("site")
    shutil.copytree(lib.ROOT / "results", out / "results")
    if (lib.ROOT / "summary").exists():
        shutil.copytree(lib.ROOT / "summary", out / "summary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBOOK_OUT", str(out))
        patch.setenv("WORKBOOK_PROFILE", "mini")
        assert site.main() == 0
    return out / "site"


def test_pages_are_complete_small_and_need_no_network(built):
    pages = sorted(built.rglob("*.html"))
    assert {"index.html", "read.html", "glossary.html", "gda.html"} <= {path.name for path in pages}
    for path in pages:
        page = Page(path)
        assert page.open == [], path.name
        text = path.read_text()
        unfolded = re.sub(r'<details class="code">.*?</details>', "", text, flags=re.S)  # what a reader sees at first
        most = {"world": 200_000, "index": 200_000}.get(path.stem, 70_000)  # the index grows with the papers
        assert len(unfolded) < most and len(text) < 250_000, path.name
        for picture in page.pictures:
            assert picture["alt"].strip(), f"{path.name}: a picture without alternative text"
            assert (path.parent / picture["src"]).stat().st_size > 0
        for link in page.links:
            if link.startswith("#"):
                assert link[1:] in page.ids, f"{path.name}: {link}"
            elif not re.match(r"https://(arxiv\.org|github\.com|doi\.org|openreview\.net)/|https?://", link):
                assert (path.parent / link.partition("#")[0]).exists(), f"{path.name}: {link}"
        assert not re.findall(r"""<(?:script|img|link)[^>]*(?:src|href)=["']?https?:""", text)
        assert "$$" not in text and 'class="MathJax' not in text
    index = (built / "index.html").read_text()
    assert index.count('<article class="paper"') == 53
    script = (built / "words.js").read_text()
    assert "covariance" in json.loads(script.removeprefix("const WORDS = ").rstrip(";\n"))["gda"]


def test_without_results_the_message_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORKBOOK_OUT", str(tmp_path))
    assert site.main() == 1
    assert "no results yet" in capsys.readouterr().err
    assert not (tmp_path / "site.partial").exists()


# ---- in a real browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not chromium.find():
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    made = chromium.Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


def test_the_browser_notices_errors_and_requests(browser, tmp_path):
    page = tmp_path / "bad.html"
    page.write_text("<script>console.error('sour'); nosuch()</script><img src='http://127.0.0.1:9/a.png'>")
    browser.open(page)
    found = "\n".join(browser.complaints())
    assert "sour" in found and "nosuch" in found and "asks the network for http://127.0.0.1:9/a.png" in found


def test_every_page_loads_quietly_and_fits_a_phone(built, browser):
    for path in sorted(built.rglob("*.html")):
        browser.size(1280)
        browser.open(path)
        assert browser.complaints() == [], path.name
        pictures = (
            "Promise.all([...document.images].filter(i => i.src).map(i => {i.loading = 'eager'; return i.decode()}))"
        )
        browser.run(f"{pictures}.then(() => 1)")  # raises where one cannot be shown
        flat = "[...document.querySelectorAll('math')].filter(m => m.getBoundingClientRect().height < 5).length"
        assert browser.run(flat) == 0, f"{path.name}: an equation is not drawn"
        browser.size(390, 800, mobile=True)
        assert browser.run("document.documentElement.scrollWidth") <= 390, f"{path.name} scrolls sideways"
        assert browser.run("[...document.images].filter(i => i.width > 390).length") == 0


def shown(browser) -> list[str]:
    return browser.run("[...document.querySelectorAll('article.paper')].filter(p => p.offsetHeight).map(p => p.id)")


def test_board_filters_and_searches(built, browser):
    browser.size(1280)
    browser.open(built / "index.html")
    papers = run.read_yaml(lib.ROOT / "papers.yaml")
    assert sorted(shown(browser)) == sorted(papers)
    press = "document.querySelector('button[data-filter={}][data-value=\"{}\"]').click()"
    browser.run(press.format("group", "dense"))
    assert sorted(shown(browser)) == sorted(slug for slug, paper in papers.items() if paper["group"] == "dense")
    browser.run(press.format("group", ""))
    browser.run(press.format("verdict", "not yet"))
    assert "gda" not in shown(browser)
    browser.run(press.format("verdict", ""))
    search = "{{const s = document.getElementById('search'); s.value = '{}'; s.dispatchEvent(new Event('input'))}}"
    browser.run(search.format("kubokawa"))  # a word of the page, not of the board
    assert shown(browser) == ["gda"]
    assert browser.run("document.getElementById('count').textContent") == "1 of 53 papers"
    browser.run(search.format("no such word at all"))
    assert shown(browser) == []


def test_code_unfolds_figures_open_and_themes_change(built, browser):
    browser.size(1280)
    browser.open(built / "mini" / "gda.html")
    assert browser.run("document.querySelectorAll('details.code[open]').length") == 0
    browser.run("document.getElementById('fold').click()")
    assert browser.run("document.querySelectorAll('details.code:not([open])').length") == 0
    browser.run("document.querySelector('a.zoom').click()")
    assert browser.run("document.querySelector('dialog').open") is True
    assert browser.run("document.querySelector('dialog p').textContent.length") > 20
    browser.key("Escape", 27)
    assert browser.run("document.querySelector('dialog').open") is False
    ink = "getComputedStyle(document.body).backgroundColor"
    before = browser.run(ink)
    browser.run("document.getElementById('theme').click()")
    assert browser.run(ink) != before
    browser.run("document.getElementById('theme').click()")
    assert browser.run(ink) == before


def test_keyboard_reaches_the_content_first(built, browser):
    browser.open(built / "mini" / "gda.html")
    browser.key("Tab", 9)
    assert browser.run("document.activeElement.className") == "skip"
    assert browser.run("document.activeElement.getBoundingClientRect().left") > 0
