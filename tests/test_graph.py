"""Graph, notebooks, parameters, papers, requirements and results say the same thing."""

import ast
import json
import os
import re
import runpy
import tomllib
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lib
from lib import cells, run, verify

ROOT = lib.ROOT
STAGES = run.read_yaml(ROOT / "dvc.yaml")["stages"]
PARAMS = run.read_yaml(ROOT / "params.yaml")
PAPERS = run.read_yaml(ROOT / "papers.yaml")
GROUPS = {
    name: stage
    for name, stage in STAGES.items()
    if isinstance(stage.get("foreach"), dict) and all(isinstance(item, dict) for item in stage["foreach"].values())
}
NOTEBOOKS = run.notebooks()
BASE = {slug for slug, path in NOTEBOOKS.items() if path.parent.name == "base"}
IN_GROUPS = {slug for slug, path in NOTEBOOKS.items() if path.parent.parent.name == "notebooks"} - BASE
TOP = {slug for slug, path in NOTEBOOKS.items() if path.parent.name == "notebooks" and slug in STAGES}
WITH_VALUES = sorted(BASE | IN_GROUPS | TOP)
CORPORA = set(STAGES["data"]["foreach"].values())
LIMIT = 500_000  # bytes of an executed notebook, and of the figures of one


def fill(text: str, slug: str, item: dict) -> str:
    """A path of a stage with its placeholders filled."""
    values = {"key": slug, "profile": "mini"} | {f"item.{name}": value for name, value in item.items()}
    return re.sub(r"\$\{([^}]+)\}", lambda match: values[match[1]], text)


def dependencies(slug: str) -> set[str]:
    """Paths that the stage of a notebook depends on."""
    if slug in BASE:
        return set(STAGES[f"base-{slug}"]["deps"])
    if slug in TOP:
        return set(STAGES[slug]["deps"])
    stage = next(stage for stage in GROUPS.values() if slug in stage["foreach"])
    return {fill(path, slug, stage["foreach"][slug]) for path in stage["do"]["deps"]}


def flat(value):
    if isinstance(value, dict):
        value = list(value.values())
    return [one for item in value for one in flat(item)] if isinstance(value, list | tuple) else [value]


def reads(sources: list[str], values: dict) -> set[str]:
    """Corpora ("data/...") and models ("models/...") that code names literally or gets as a parameter."""
    given = [value for value in flat(values) if isinstance(value, str)]
    found, strings = {f"data/{value}" for value in given if value in CORPORA}, list(given)
    for source in sources:
        for node in ast.walk(ast.parse(re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", source))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.append(node.value)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "datasets.load" and node.args:
                name = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
                if name and ":" not in name:
                    found.add(f"data/{name}")
    found |= {f"data/{text}" for text in strings if text in CORPORA and "/" in text}  # "text" may be just a word
    return found | {text.rstrip("/") for text in strings if re.fullmatch(r"models/[\w.-]+/?", text)}


def code(slug: str) -> list[str]:
    return [cell.source for cell in cells.read(NOTEBOOKS[slug]).cells if cell.cell_type == "code"]


def test_stages_notebooks_parameters_and_papers_name_the_same():
    for name, stage in GROUPS.items():
        assert set(stage["foreach"]) == {path.stem for path in (ROOT / "notebooks" / name).glob("*.ipynb")}, name
        for slug in stage["foreach"]:
            assert PAPERS[slug]["group"] == name
    assert {slug for stage in GROUPS.values() for slug in stage["foreach"]} == IN_GROUPS
    assert {path.name for path in (ROOT / "notebooks").iterdir() if path.is_dir() and any(path.glob("*.ipynb"))} == (
        set(GROUPS) | ({"base"} if BASE else set())
    )
    assert set(PARAMS["papers"]) == IN_GROUPS
    assert {name.removeprefix("base-") for name in STAGES if name.startswith("base-")} == BASE == set(PARAMS["base"])


@pytest.mark.parametrize("slug", WITH_VALUES)
def test_stage_depends_on_its_notebook_and_stamp_and_on_all_that_the_notebook_reads(slug):
    found = dependencies(slug)
    assert {str(NOTEBOOKS[slug].relative_to(ROOT)), f"stamps/{slug}.txt"} <= found
    assert reads(code(slug), run.parameters(slug, "mini")) - found == set()
    for path in found:
        assert not path.startswith("data/") or path.removeprefix("data/") in CORPORA
        assert not path.startswith("models/") or path.removeprefix("models/") in BASE


def test_reads_finds_literals_and_parameters():
    source = 'x = datasets.load("scenes/attr", "test")\ny = encoders.load(encoder)\nz = "models/lm/"\n!ls'
    values = {"encoder": "models/vit_base", "data": ["objects/plain"], "other": 3}
    assert reads([source], values) == {"data/scenes/attr", "models/lm", "models/vit_base", "data/objects/plain"}
    assert reads(['datasets.load("coco:DIR", "val")'], {}) == set()


def test_stages_of_papers_take_the_parameters_of_their_own():
    for name, stage in GROUPS.items():
        assert stage["do"]["params"] == ["profile", "shared", "profiles.${profile}", "papers.${key}"], name
        assert stage["do"]["cmd"] == "python -m lib.run ${key}"
        outs = [path for out in stage["do"]["outs"] for path in out]
        folder = "results/${profile}/${key}"
        assert outs == [f"{folder}/{file}" for file in (*run.RESULTS, "${key}.ipynb")]


def test_the_world_is_a_stage_with_results_of_its_own_that_reads_every_corpus():
    stage = STAGES["world"]
    assert stage["cmd"] == "python -m lib.run world"
    assert stage["params"] == ["profile", "shared", "profiles.${profile}"]
    outs = [path for out in stage["outs"] for path in out]
    assert outs == ["results/${profile}/world/figures", "results/${profile}/world/world.ipynb"]
    assert {path.removeprefix("data/") for path in stage["deps"] if path.startswith("data/")} == CORPORA
    text = "\n".join(code("world"))
    assert [name for name in CORPORA if f'"{name}"' not in text] == []


def test_base_stages_are_literal_and_frozen():
    for name, stage in STAGES.items():
        if name.startswith("base-"):
            assert stage["frozen"] is True
            assert "$" not in json.dumps(stage)
            assert stage["cmd"] == f"python -m lib.run {name.removeprefix('base-')}"


@pytest.mark.parametrize("slug", WITH_VALUES)
def test_parameters_cell_equals_the_merged_values(slug):
    declared = cells.declared(cells.read(NOTEBOOKS[slug]))
    assert run.parameters(slug, "mini") == declared
    assert {name: type(value) for name, value in run.parameters(slug, "mini").items()} == {
        name: type(value) for name, value in declared.items()
    }
    assert set(declared) - set(run.merged(slug, "mini")[0]) == set(), "not in params.yaml"
    for profile in lib.PROFILES:
        run.parameters(slug, profile)


@pytest.mark.parametrize("slug", sorted(NOTEBOOKS))
def test_source_is_clean(slug):
    notebook = nbformat.read(NOTEBOOKS[slug], as_version=4)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert [name for name in ids if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+){0,3}", name)] == []
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    coded = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert tagged == coded[:1], "the first code cell, and no other, is tagged parameters"
    for cell in notebook.cells:
        assert len(cell.source.splitlines()) <= 60, cell.id
    for cell in coded:
        assert cell.outputs == [] and cell.execution_count is None, f"cell '{cell.id}' holds outputs"
        assert not re.search(r"(?m)^\s*(!|%pip|%conda|%%)", cell.source), cell.id


def pins() -> dict[str, list[Requirement]]:
    """Pinned requirements of both files, by canonical name (one each for different Pythons)."""
    found = {}
    for name in ("requirements.txt", "requirements-cuda.txt"):
        for line in (ROOT / name).read_text().splitlines():
            if line and not line.startswith(("#", " ")):
                requirement = Requirement(line.removesuffix("\\").strip())
                found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def test_requirements_pin_what_pyproject_asks_for():
    project, pinned = tomllib.loads((ROOT / "pyproject.toml").read_text()), pins()
    for text in project["project"]["dependencies"] + project["dependency-groups"]["dev"]:
        asked = Requirement(text)
        assert canonicalize_name(asked.name) in pinned, f"{asked.name} is not pinned: run `make lock`"
        for pin in pinned[canonicalize_name(asked.name)]:
            version = str(pin.specifier).removeprefix("==")
            assert asked.specifier.contains(version), (
                f"{asked.name} {version} is not {asked.specifier}: run `make lock`"
            )


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-cuda.txt"])
def test_requirements_have_digests_and_name_no_host(name):
    blocks = re.split(r"(?m)^(?=[^\s#])", (ROOT / name).read_text())[1:]
    assert [block.split()[0] for block in blocks if "==" not in block or "--hash=sha256:" not in block] == []
    assert not re.search(r"https?:|file:|--(extra-)?index|--find-links", "".join(blocks))


def test_conda_installs_the_same_pins():
    environment = run.read_yaml(ROOT / "environment.yml")
    pip = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert pip == ["-r requirements.txt", "-r requirements-cuda.txt"]
    python = next(item for item in environment["dependencies"] if str(item).startswith("python="))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert Requirement(f"python{project['requires-python']}").specifier.contains(python.split("=")[1] + ".0")


def test_nothing_names_a_place_on_one_machine():
    files = ["Makefile", "dvc.yaml", "params.yaml", "papers.yaml", "environment.yml", "pyproject.toml", ".dvc/config"]
    for path in [*(ROOT / name for name in files), *(ROOT / ".ci").iterdir(), *NOTEBOOKS.values()]:
        if path.is_file():
            assert not re.search(r"[\s\"'=:(]/(home|root|Users|work|opt|mnt|data)/", path.read_text()), path


def test_make_has_the_commands_of_the_readme():
    makefile = (ROOT / "Makefile").read_text()
    for target in ("repro", "test", "test-fast", "lab", "site", "verify", "lock", "clean"):
        assert re.search(rf"(?m)^{target}:", makefile), target


def test_setup_hands_pips_settings_on_to_uv(monkeypatch):
    setup = runpy.run_path(str(ROOT / ".ci" / "setup.py"))
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels ../more")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://example.org/a\nhttps://example.org/b")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://example.org/own")
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.org/other")
    found = setup["pip_settings"]()
    assert found["UV_FIND_LINKS"] == "/wheels,../more"
    assert found["UV_INDEX"] == "https://example.org/a https://example.org/b"
    assert "UV_DEFAULT_INDEX" not in found


RESULTS = sorted(folder for folder in ROOT.glob("results/*/*/") if folder.parent.name != "smoke")


def test_readme_shows_the_results_in_git():
    text = (ROOT / "README.md").read_text()
    assert text == verify.readme(text), "run `python -m lib.verify --readme`"


@pytest.mark.parametrize("folder", RESULTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_results_are_small_and_name_the_claims_of_papers(folder: Path):
    slug, profile = folder.name, folder.parent.name
    assert profile in lib.PROFILES
    notebook = folder / f"{slug}.ipynb"
    assert notebook.stat().st_size < LIMIT
    text = notebook.read_text()
    assert str(ROOT) not in text and '"papermill"' not in text
    assert sum(file.stat().st_size for file in (folder / "figures").glob("*")) < LIMIT
    if slug in PAPERS:
        document = json.loads((folder / "claims.json").read_text())
        assert (document["slug"], document["profile"]) == (slug, profile)
        assert [claim["id"] for claim in document["claims"]] == [claim["id"] for claim in PAPERS[slug]["claims"]]
