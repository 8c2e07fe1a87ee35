"""A notebook to start from: `python -m lib.new fdp` writes what a new paper needs, from its claims in papers.yaml.

Writes notebooks/<group>/<slug>.ipynb (claims table, parameters, the sections in their order, a last cell that records),
tests/test_<slug>.py, a section in params.yaml and a line in dvc.yaml; refuses to touch what is there. The experiment is
yours: until the arms of the claims are measured, the last cell stops with their names.
"""

import argparse
import re
import sys
from pathlib import Path
from string import Template

import lib
from lib import run

FIELDS = ["seeds = [0, 1, 2]  # draws", 'device = "auto"  # auto, cpu or cuda']
FIELDS += ['precision = "float32"  # arithmetic of encoding', "threads = 2  # CPU threads"]
OWN = {"encoder": "models/vit_base", "corpus": "objects/styles"}
CELLS = '''
%% title markdown
# $title

*$venue*$link. One sentence: what it claims.

*Runs in: smoke, mini, gpu, paper. Cost in mini: measure it. Data: rendered by this project.*
%% parameters parameters
$parameters
%% imports imports
import lib
from lib import arms, claims, datasets, encoders, features, figures

lib.start(threads)
encoder = encoders.load(encoder, device=device, precision=precision)
%% claims-text markdown
## The claims

$claims
%% data-text markdown
## Data

What, how many, which split.
%% data code
data = datasets.load(corpus, "test")
image_features = features.images(encoder, data)
figures.save(figures.grid(data.image[:8]), "data", f"Eight test pictures of {data.name}.")
%% method-text markdown
## Method

The equation, with the symbols of the code.
%% method method
def method(x):
    """y = x (equation 1 of the paper)."""
    return x
%% results-text markdown
## Baseline, method, ablation

One cell each, in the order of the claims.
%% results code
measured = {}  # {(arm, metric, group): [seeds, examples]}
%% differences markdown
## Where this differs from the paper

Data, scale, stand-ins and what they cannot show.
%% record code
if not measured:
    raise NotImplementedError("measure the arms of the claims first: $arms")
table = claims.record("$slug", arms.Result.of(measured, seeds=seeds), [], encoder, [data])
table
'''
TEST = '''"""Checks of the method of `{slug}`: the equations of its paper on cases that can be counted by hand."""

import pytest
from cells import definitions


@pytest.fixture(scope="module")
def notebook():
    return definitions("{slug}")


def test_method(notebook):
    assert notebook.method(3) == 3  # replace: one test per check of the paper's method
'''


def sections(slug: str, paper: dict) -> list[tuple[str, str, str]]:
    """(cell id, kind, source) of every cell of the new notebook; kind is markdown, code or a tag of a code cell."""
    values = ['profile = "mini"  # smoke, mini, gpu or paper', *FIELDS, *(f'{k} = "{v}"' for k, v in OWN.items())]
    text = Template(CELLS).substitute(
        slug=slug,
        title=paper["title"],
        venue=paper["venue"] or paper["year"],
        link=f" [arXiv {paper['arxiv']}](https://arxiv.org/abs/{paper['arxiv']})" if paper["arxiv"] else "",
        claims="\n".join(f"- `{claim['id']}`: {claim['statement']}" for claim in paper["claims"]),
        parameters="\n".join(values),
        arms=sorted({arm for claim in paper["claims"] for arm in arms_of(claim["rule"])}),
    )
    cells = []
    for part in text.split("%% ")[1:]:
        head, _, source = part.partition("\n")
        name, kind = head.split()
        cells.append((name, kind, source.strip()))
    return cells


def arms_of(rule: dict) -> set[str]:
    """Names of the arms that a rule compares."""
    named = {rule[key] for key in ("method", "baseline") if rule.get(key)}
    return named | set(rule.get("controls") or ()) | {arm for _, arm, _ in rule.get("contrast") or ()}


def notebook(slug: str, paper: dict):
    """The new notebook as an nbformat node."""
    from nbformat import v4

    cells = []
    for name, kind, source in sections(slug, paper):
        tags = {"metadata": {"tags": [kind]}} if kind not in ("markdown", "code") else {}
        make = v4.new_markdown_cell if kind == "markdown" else v4.new_code_cell
        cells.append(make(source, id=name, **tags))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def with_section(text: str, slug: str) -> str:
    """params.yaml with a section for the paper at its end, which is where `papers:` stands."""
    lines = [f"\n  {slug}:", *(f"    {name}: {value}" for name, value in OWN.items()), "    profiles:"]
    lines += ["      smoke: {}", "      gpu: {}", "      paper: {encoder: ViT-B-16-quickgelu/openai}", ""]
    return text.rstrip("\n") + "\n" + "\n".join(lines)


def with_stage(text: str, group: str, slug: str) -> str:
    """dvc.yaml with the paper in the block of its group, which is added where there is none yet.

    A paper of a block has the slots of the others: some blocks have a second model.
    """
    head = f"\n  {group}:\n    foreach:\n"
    first = re.search(re.escape(head) + r" +\w+: \{(.*)\}", text)
    names = re.findall(r"(\w+):", first[1]) if first else ["model", "data", "data2", "data3"]
    values = ", ".join(f"{name}: {'vit_base' if name.startswith('model') else 'objects/styles'}" for name in names)
    slots = f"      {slug}: {{{values}}}\n"
    if first:
        return text.replace(head, head + slots, 1)
    before, mark, after = text.partition("\n  # The summary reads")
    deps = ["notebooks/" + group + "/${key}.ipynb", "stamps/${key}.txt", "models/${item.model}"]
    deps += ["data/${item.data}", "data/${item.data2}", "data/${item.data3}"]
    block = (
        head.lstrip("\n") + slots + "    do:\n      <<: *paper\n      deps:\n" + "".join(f"      - {d}\n" for d in deps)
    )
    return f"{before.rstrip()}\n\n{block}{mark}{after}" if mark else f"{text.rstrip()}\n\n{block}"


def create(slug: str) -> list[Path]:
    """Write all files of a new paper; returns their paths. Raises Problem where the slug is unknown or taken."""
    import nbformat

    papers = run.read_yaml(lib.ROOT / "papers.yaml")
    if slug not in papers:
        raise run.Problem(f"papers.yaml has no paper '{slug}'; {run.nearest(slug, papers)}")
    group = papers[slug]["group"]
    path, test = lib.ROOT / "notebooks" / group / f"{slug}.ipynb", lib.ROOT / "tests" / f"test_{slug}.py"
    for file in (path, test):
        if file.exists():
            raise run.Problem(f"{file.relative_to(lib.ROOT)} is there already: nothing was written")
    path.parent.mkdir(parents=True, exist_ok=True)
    params, graph = lib.ROOT / "params.yaml", lib.ROOT / "dvc.yaml"
    nbformat.write(notebook(slug, papers[slug]), path)
    test.write_text(TEST.format(slug=slug))
    params.write_text(with_section(params.read_text(), slug))
    graph.write_text(with_stage(graph.read_text(), group, slug))
    return [path, test, params, graph]


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lib.new", description=__doc__.split("\n")[0])
    parser.add_argument("slug", help="a paper of papers.yaml that has no notebook yet")
    try:
        files = create(parser.parse_args(arguments).slug)
    except run.Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    print("wrote", ", ".join(str(file.relative_to(lib.ROOT)) for file in files))
    return 0


if __name__ == "__main__":
    sys.exit(main())
