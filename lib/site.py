"""Executed notebooks as pages: `python -m lib.site` writes site/, one page each and an index, readable offline.

Plain HTML with pictures inside, no scripts and nothing from the network; formulas stand as their TeX source.
"""

import json
import shutil
import sys

import lib
from lib import run, verify

STYLE = """
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.55 Georgia, serif; color: #222 }
pre, code { font: 13px/1.45 "DejaVu Sans Mono", Menlo, Consolas, monospace }
.highlight, .jp-OutputArea-output pre { overflow-x: auto } .highlight pre { background: #f6f6f4; padding: .7rem 1rem }
table { border-collapse: collapse; margin: 1rem 0; font: 14px/1.4 Helvetica, Arial, sans-serif }
td, th { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
img { max-width: 100% } .anchor-link, .jp-InputPrompt, .jp-OutputPrompt, .prompt { display: none }
"""


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style></head><body>
{body}
</body></html>
"""
ROW = '<tr><td><a href="{profile}/{slug}.html">{slug}</a></td><td>{profile}</td><td>{verdicts}</td></tr>'


def index(rows: list[tuple[str, str, str]]) -> str:
    """Body of the index: rows (profile, slug, verdicts)."""
    lines = [ROW.format(profile=profile, slug=slug, verdicts=verdicts) for profile, slug, verdicts in rows]
    lines = ["<tr><th>notebook</th><th>profile</th><th>verdicts, claim by claim</th></tr>", *lines]
    return "<h1>Workbook</h1>\n<table>" + "\n".join(lines) + "</table>"


def main() -> int:
    """Write all pages; returns the exit code."""
    import nbformat
    from nbconvert import HTMLExporter
    from pygments.formatters import HtmlFormatter

    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    style = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    found = sorted((lib.out() / "results").glob("*/*/*.ipynb"))
    found = [path for path in found if path.stem == path.parent.name]
    if not found:
        print(verify.NO_RESULTS, file=sys.stderr)
        return 1
    folder = lib.out() / "site"
    shutil.rmtree(folder, ignore_errors=True)
    rows = []
    for path in found:
        profile, slug = path.parent.parent.name, path.stem
        body, _ = exporter.from_notebook_node(nbformat.read(path, as_version=4))
        claims = path.with_name("claims.json")
        verdicts = [claim["verdict"] for claim in json.loads(claims.read_text())["claims"]] if claims.exists() else []
        rows.append((profile, slug, ", ".join(verdicts)))
        (folder / profile).mkdir(parents=True, exist_ok=True)
        body = '<p><a href="../index.html">all notebooks</a></p>' + body
        text = PAGE.format(title=slug, style=STYLE + style, body=body)
        (folder / profile / f"{slug}.html").write_text(text)
    order = {slug: place for place, slug in enumerate(run.read_yaml(lib.ROOT / "papers.yaml"))}
    rows.sort(key=lambda row: (row[0], order.get(row[1], len(order)), row[1]))
    (folder / "index.html").write_text(PAGE.format(title="Workbook", style=STYLE, body=index(rows)))
    print(f"{len(rows)} pages: {folder / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
