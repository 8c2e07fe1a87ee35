"""Executed notebooks as pages: `python -m lib.site` writes site/, readable from disk, without network and offline.

nbconvert's HTMLExporter with the template of `site_files/workbook`; equations become MathML while building
(latex2mathml), figures become files. The one script (`page.js`) adds theme, search and zoom; all is readable without.
"""

import base64
import hashlib
import html
import json
import re
import shutil
import sys
from pathlib import Path

import lib
from lib import run, verify

FILES = Path(__file__).parent / "site_files"
WORKBOOK = "CLIP workbook"
MATH = re.compile(r"```.*?```|`[^`\n]*`|\$\$(.+?)\$\$|(?<![\\$\w])\$(?!\s)([^$]+?)(?<![\s\\])\$(?!\d)", re.S)
ORDER = ("holds", "does not hold", "inconclusive", "not tested", "not yet")
LEVELS = {1: "first reading", 2: "after that", 3: "advanced"}


def equation(tex: str, display: bool) -> str:
    """MathML of one formula; raises ValueError with the formula where it cannot be converted."""
    from latex2mathml.converter import convert

    try:
        text = convert(tex.strip(), display="block" if display else "inline")
    except Exception as error:  # latex2mathml has many error classes of its own, all of them about the formula
        raise ValueError(f"the equation {tex.strip()!r} cannot be converted: {type(error).__name__} {error}") from error
    unknown = re.search(r"<m[io]>(\\\w+)", text)
    if unknown:
        raise ValueError(f"the equation {tex.strip()!r} cannot be converted: {unknown[1]} is unknown")
    return text.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "", 1)


def markdown(text: str) -> str:
    """HTML of Markdown with equations as MathML. Dollar signs in code are no equations."""
    from nbconvert.filters import markdown2html

    found: list[str] = []

    def keep(match):
        tex = match[1] or match[2]
        if tex is None:
            return match[0]
        found.append(equation(tex, bool(match[1])))
        return f"\x02{len(found) - 1}\x03"

    body = markdown2html(MATH.sub(keep, text))
    body = re.sub(r"\x02(\d+)\x03", lambda match: found[int(match[1])], body)
    return re.sub(r'<a class="anchor-link".*?</a>', "", body)


def highlight(source: str, **_) -> str:
    """Python as HTML with marks on keywords, strings, comments, numbers and what is defined, and on nothing else."""
    from pygments.lexers import PythonLexer
    from pygments.token import Comment, Keyword, Name, Number, Operator, String

    marks = {
        Comment: "c",
        Keyword: "k",
        Operator.Word: "k",
        String: "s",
        Number: "m",
        Name.Function: "f",
        Name.Class: "f",
    }
    parts: list[list[str]] = []
    for kind, text in PythonLexer(stripnl=False).get_tokens(source):
        mark = next((name for token, name in marks.items() if kind in token), "")
        if parts and parts[-1][0] == mark:
            parts[-1][1] += text
        else:
            parts.append([mark, text])
    parts = [[mark, html.escape(text, quote=False)] for mark, text in parts]
    return f"<pre>{''.join(f'<i class={mark}>{text}</i>' if mark else text for mark, text in parts).rstrip()}</pre>"


def clean_table(text: str) -> str:
    """A pandas table without its inline style sheet and its border attribute."""
    text = re.sub(r"<style.*?</style>", "", text, flags=re.S)
    return re.sub(r' border="1"| class="[^"]*"| id="T_[^"]*"| style="[^"]*"', "", text)


def contents(body: str) -> str:
    """Table of contents from the second-level headings of a page."""
    found = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', body, re.S)
    lines = [f'<li><a href="#{name}">{re.sub("<.*?>", "", title)}</a></li>' for name, title in found]
    return f'<nav class="toc" aria-label="On this page"><ol>{"".join(lines)}</ol></nav>' if lines else ""


def page(title: str, body: str, *, root: str = "", links: str = "", toc: str = "", script: str = "") -> str:
    """A whole page. `root` leads to the top of the site; `links` go into its bar."""
    bar = [f'<a class="home" href="{root}index.html">{WORKBOOK}</a>', links, '<span class="gap"></span>']
    bar += [f'<a href="{root}read.html">how to read a verdict</a>', f'<a href="{root}glossary.html">glossary</a>']
    if 'class="code"' in body:
        bar.append('<button id="fold" type="button" aria-pressed="false" hidden>show code</button>')
    bar.append('<button id="theme" type="button" hidden>light / dark</button>')
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title><link rel="stylesheet" href="{root}style.css">
{script}<script src="{root}page.js"></script></head><body><a class="skip" href="#main">to the content</a>
<header class="bar">{"".join(bar)}</header>
<div class="page{" with-toc" if toc else ""}">{toc}<main id="main">
{body}
</main></div><footer>Built from the executed notebooks. Verdicts name their profile; one in the small world is no
reproduction of a paper's numbers. Code Apache-2.0.</footer></body></html>
"""


def exporter():
    """nbconvert's exporter with the workbook's template and filters, figures taken out into files."""
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    config = Config()
    config.ExtractOutputPreprocessor.enabled = True
    config.ExtractOutputPreprocessor.extract_output_types = {"image/png"}
    made = HTMLExporter(config=config, template_name="workbook", extra_template_basedirs=[str(FILES)])
    made.register_filter("markdown2html", markdown)
    made.register_filter("clean_table", clean_table)
    made.register_filter("code_html", highlight)
    return made


def picture(encoded: str, folder: Path, slug: str) -> str:
    """Write a picture of a table, given in base64, beside the page's figures; returns its relative path."""
    data = base64.b64decode(encoded)
    name = f"{slug}_figures/{hashlib.sha256(data).hexdigest()[:12]}.png"
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return name


def write_notebook(made, path: Path, folder: Path, links: dict[str, str]) -> str:
    """Write the page of one executed notebook into `folder`, figures below it; returns its text for the search."""
    import nbformat

    slug = path.stem
    resources = {"output_files_dir": f"{slug}_figures", "unique_key": slug}
    try:
        body, resources = made.from_notebook_node(nbformat.read(path, as_version=4), resources=resources)
    except ValueError as error:
        raise run.Problem(f"{path}: {error}") from None
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in resources["outputs"].items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
    body = re.sub(r"data:image/png;base64,([A-Za-z0-9+/=]+)", lambda match: picture(match[1], folder, slug), body)
    root = "../" if folder.name in lib.PROFILES else ""
    bar = "".join(f'<a href="{target}">{name}</a>' for name, target in links.items() if target)
    (folder / f"{slug}.html").write_text(page(slug, body, root=root, links=bar, toc=contents(body)), encoding="utf-8")
    return re.sub(r"<[^>]+>", " ", re.sub(r"<math.*?</math>", " ", body, flags=re.S))


# ---- the board


def pill(verdict: str) -> str:
    return f'<span class="pill {verdict.replace(" ", "-")}">{verdict}</span>'


def interval(ours: dict, verdict: str) -> str:
    """A small picture of a difference and its interval against zero and the margin."""
    (low, high), margin = ours["interval"], ours["margin"]
    reach = 1.15 * max(abs(low), abs(high), 2 * margin)
    x = lambda value: round(110 + 105 * value / reach, 1)  # noqa: E731
    tint = {"holds": "holds", "does not hold": "fails", "inconclusive": "open"}.get(verdict, "untested")
    label = f"difference {verify.number(ours['difference'])}, interval {verify.number(low)} to {verify.number(high)}"
    return (
        f'<svg width="220" height="16" viewBox="0 0 220 16" role="img" aria-label="{label}, margin {margin:g}">'
        f'<path d="M{x(0)} 1V15" stroke="currentColor"/><path d="M{x(margin)} 1V15M{x(-margin)} 1V15" '
        f'stroke="currentColor" stroke-dasharray="2 2" opacity=".6"/><path d="M{x(low)} 8H{x(high)}" '
        f'stroke="var(--{tint})" stroke-width="4"/><circle cx="{x(ours["difference"])}" cy="8" r="4.5" '
        f'fill="var(--{tint})"/></svg>'
    )


def claim_line(claim: dict, done: dict | None) -> str:
    """One claim of papers.yaml, with what came out if it was judged."""
    verdict = done["verdict"] if done else "not yet"
    sides = [claim["paper"][side]["value"] for side in ("baseline", "method")]
    numbers = [f"paper {' → '.join(map(verify.number, sides))}"] if sides != [None, None] else []
    picture = ""
    if done and done["ours"]:
        ours = done["ours"]
        spread = ", ".join(map(verify.number, ours["interval"]))
        numbers.append(f"our difference {verify.number(ours['difference'])} [{spread}], margin {ours['margin']:g}")
        picture = interval(ours, verdict)
    return (
        f"<li>{pill(verdict)}<span>{html.escape(claim['statement'])}</span>"
        f'<span class="numbers">{html.escape("; ".join(numbers))}</span>{picture}</li>'
    )


def entry(slug: str, paper: dict, document: dict | None, where: str, level: int) -> str:
    """One paper on the board."""
    judged = {claim["id"]: claim for claim in document["claims"]} if document else {}
    lines = [claim_line(claim, judged.get(claim["id"])) for claim in paper["claims"]]
    verdicts = sorted({judged[c["id"]]["verdict"] if c["id"] in judged else "not yet" for c in paper["claims"]})
    title = html.escape(paper["title"])
    name = f'<a href="{where}">{title}</a>' if where else title
    cite = [slug, paper["venue"] or str(paper["year"]), paper["group"].replace("_", " "), LEVELS[level]]
    if paper["arxiv"]:
        cite.append(f'<a href="https://arxiv.org/abs/{paper["arxiv"]}">arXiv {paper["arxiv"]}</a>')
    return (
        f'<article class="paper" id="{slug}" data-group="{paper["group"]}" data-verdicts="{",".join(verdicts)}">'
        f'<h3>{name}</h3><p class="cite">{" · ".join(cite)}</p><ul>{"".join(lines)}</ul></article>'
    )


def board(papers: dict, documents: dict, profile: str, levels: dict, extra: list[tuple[str, str]]) -> str:
    """Body of the index: what this is, filters, every paper with its claims."""
    verdicts = [claim["verdict"] for document in documents.values() for claim in document["claims"]]
    counts = ", ".join(f"{verdicts.count(name)} {name}" for name in ORDER if name in verdicts)
    groups = sorted({paper["group"] for paper in papers.values()})

    def chips(kind, values):
        lines = []
        for value in ("", *values):
            data = f'data-filter="{kind}" data-value="{value}" aria-pressed="{str(not value).lower()}"'
            lines.append(f'<button type="button" {data}>{value.replace("_", " ") or "all"}</button>')
        return f"<fieldset><legend>{kind}</legend>{''.join(lines)}</fieldset>"

    pages = "".join(f'<li><a href="{target}">{name}</a></li>' for name, target in extra)
    order = sorted(papers, key=lambda slug: (slug not in documents, levels[slug], papers[slug]["group"], slug))
    entries = [
        entry(
            slug, papers[slug], documents.get(slug), f"{profile}/{slug}.html" if slug in documents else "", levels[slug]
        )
        for slug in order
    ]
    return f"""<h1>{WORKBOOK}</h1>
<p>{len(papers)} papers about CLIP and its neighbours, each as one notebook: the idea with its equations, the method's
code, an experiment that can fail, and a verdict on every claim, with an interval and the paper's own number beside it.
With results in profile <code>{profile}</code>: {len(documents)}. Claims: {counts}.</p>
<ul>{pages}</ul>
<div class="controls" hidden>{chips("group", groups)}{chips("verdict", ORDER)}
<input type="search" id="search" placeholder="search titles, claims, text" aria-label="search titles, claims, text">
<span id="count" role="status"></span></div>
{"".join(entries)}"""


def words(text: str, known: str) -> str:
    """The different words of a page that the board does not show itself, for the search."""
    return " ".join(
        sorted(set(re.findall(r"[a-z][a-z0-9-]{2,}", html.unescape(text).lower())) - set(known.lower().split()))
    )


def build(folder: Path) -> int:
    """Write the whole site into `folder`; returns the number of pages. Raises Problem where there are no results."""
    results = lib.out() / "results"
    profile = lib.profile()
    papers = run.read_yaml(lib.ROOT / "papers.yaml")
    levels = run.read_yaml(lib.ROOT / "docs" / "reading.yaml")
    found = [path for path in sorted(results.glob("*/*/*.ipynb")) if path.stem == path.parent.name]
    documents = {slug: doc for doc in verify.results(results, profile) for slug in [doc["slug"]]}
    if not found:
        raise run.Problem(verify.NO_RESULTS)
    for name in ("style.css", "page.js"):
        shutil.copyfile(FILES / name, folder / name)
    made, text, sources = exporter(), {}, run.notebooks()
    order = sorted(documents, key=lambda slug: (levels[slug], papers[slug]["group"], slug))
    (folder / "notebooks").mkdir()
    extra = []
    for path in [*found, lib.out() / "summary" / "summary.ipynb"]:
        slug, place = path.stem, path.parent.parent.name
        if not path.exists():
            continue
        links = {}
        if slug in order:
            here = order.index(slug)
            links["← " + order[here - 1] if here else ""] = f"{order[here - 1]}.html" if here else ""
            links[order[here + 1] + " →" if here + 1 < len(order) else " "] = (
                f"{order[here + 1]}.html" if here + 1 < len(order) else ""
            )
            if papers[slug]["arxiv"]:
                links["paper"] = f"https://arxiv.org/abs/{papers[slug]['arxiv']}"
        if slug in sources:
            shutil.copyfile(sources[slug], folder / "notebooks" / f"{slug}.ipynb")
            links["notebook"] = f"{'../' if place in lib.PROFILES else ''}notebooks/{slug}.ipynb"
        target = folder / place if place in lib.PROFILES else folder
        text[slug] = write_notebook(made, path, target, links)
        if slug not in papers:
            names = {
                "summary": "all verdicts in figures",
                "world": "the rendered world",
                "base_models": "the base models",
            }
            extra.append((names.get(slug, f"base model {slug}"), str((target / f"{slug}.html").relative_to(folder))))
    for name, title in (("how_to_read", "read"), ("glossary", "glossary")):
        body = markdown((lib.ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8"))
        (folder / f"{title}.html").write_text(page(title, body, toc=contents(body)), encoding="utf-8")
    body = board(papers, documents, profile, levels, sorted(extra, key=lambda item: item[0].startswith("base model")))
    index = {slug: words(text[slug], body) for slug in order}
    (folder / "words.js").write_text(f"const WORDS = {json.dumps(index)};\n", encoding="utf-8")
    script = '<script src="words.js"></script>'
    (folder / "index.html").write_text(page(WORKBOOK, body, script=script), encoding="utf-8")
    return len(list(folder.rglob("*.html")))


def main() -> int:
    """Write all pages in place of the old ones; returns the exit code."""
    folder = lib.out() / "site"
    partial_ = folder.with_name("site.partial")
    shutil.rmtree(partial_, ignore_errors=True)
    partial_.mkdir(parents=True)
    try:
        count = build(partial_)
    except run.Problem as problem:
        shutil.rmtree(partial_)
        print(problem, file=sys.stderr)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    partial_.rename(folder)
    print(f"{count} pages: {folder / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
