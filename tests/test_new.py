"""A new paper starts from a template that agrees with the graph, the parameters and papers.yaml."""

import shutil

import nbformat
import pytest

import lib
from lib import cells, new, run

ROOT = lib.ROOT  # of the repository, before a test puts another folder in its place


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A copy of the files that `lib.new` reads and writes."""
    for name in ("papers.yaml", "params.yaml", "dvc.yaml"):
        shutil.copy(lib.ROOT / name, tmp_path)
    (tmp_path / "tests").mkdir()
    monkeypatch.setattr(lib, "ROOT", tmp_path)
    monkeypatch.delenv("WORKBOOK_OUT", raising=False)
    return tmp_path


def absent() -> str:
    """A paper without a notebook."""
    papers = run.read_yaml(ROOT / "papers.yaml")
    return next(slug for slug in papers if not list(ROOT.glob(f"notebooks/*/{slug}.ipynb")))


def test_files_agree_with_each_other(root):
    slug = absent()
    group = run.read_yaml(root / "papers.yaml")[slug]["group"]
    assert new.main([slug]) == 0
    path = root / "notebooks" / group / f"{slug}.ipynb"
    nbformat.validate(nbformat.read(path, as_version=4))
    declared = cells.declared(cells.read(path))
    assert run.parameters(slug, "mini") == declared
    stages = run.read_yaml(root / "dvc.yaml")["stages"]
    assert slug in stages[group]["foreach"]
    before = run.read_yaml(root / "params.yaml")["papers"]
    assert set(before[slug]) == {*new.OWN, "profiles"}
    assert f'definitions("{slug}")' in (root / "tests" / f"test_{slug}.py").read_text()
    for cell in cells.read(path).cells:
        if cell.cell_type == "code":
            compile(cell.source, cell.id, "exec")


def test_the_claims_and_all_their_arms_are_named(root):
    paper = run.read_yaml(root / "papers.yaml")["gda"]
    text = "\n".join(cell.source for cell in new.notebook("gda", paper).cells)
    for word in ("few_shot_average", "one_shot_tie", "tip_adapter", "nearest_mean", "2402.04087"):
        assert word in text, word


def test_a_paper_of_a_block_with_two_models_gets_both_slots(root):
    text = "stages:\n  dense:\n    foreach:\n      anovl: {model: vit_base, model2: ssl, data: damage}\n    do: {}\n"
    (root / "dvc.yaml").write_text(new.with_stage(text, "dense", "denseclip"))
    block = run.read_yaml(root / "dvc.yaml")["stages"]["dense"]["foreach"]
    assert block["denseclip"] == {"model": "vit_base", "model2": "vit_base", "data": "objects/styles"}
    assert block["anovl"] == {"model": "vit_base", "model2": "ssl", "data": "damage"}


def test_a_new_group_gets_a_block_of_its_own(root):
    text = "stages:\n  adaptation:\n    foreach:\n      gda: {}\n    do: &paper\n      cmd: x\n\n"
    text += "  # The summary reads all\n  summary: {cmd: y}\n"
    (root / "dvc.yaml").write_text(new.with_stage(text, "records", "headlines"))
    stages = run.read_yaml(root / "dvc.yaml")["stages"]
    assert list(stages) == ["adaptation", "records", "summary"]
    assert stages["records"]["do"]["cmd"] == "x" and "notebooks/records/${key}.ipynb" in stages["records"]["do"]["deps"]
    again = new.with_stage((root / "dvc.yaml").read_text(), "records", "clippings")
    assert again.count("  records:") == 1


def test_what_is_unknown_or_there_already_is_left_alone(root, capsys):
    assert new.main(["gdaa"]) == 1
    assert "did you mean 'gda'" in capsys.readouterr().err
    slug = absent()
    assert new.main([slug]) == 0
    before = {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}
    assert new.main([slug]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert before == {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}
