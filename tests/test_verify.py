"""Comparing results computed again with those in git, and the table of verdicts."""

import copy
import json

import pytest
from toys import RECORD, notebook, workbook

import lib
from lib import run, verify

SIDE = {"baseline": {"name": "a", "value": 70.0}, "method": {"name": "b", "value": 73.5}}
OURS = SIDE | {"difference": 3.5, "interval": [1.25, 5.75]}
DOCUMENT = {
    "slug": "toy",
    "profile": "mini",
    "rule_digest": "1234",
    "identity": {"versions": {"torch": "2"}},
    "claims": [
        {"id": "main", "paper": SIDE, "ours": OURS, "verdict": "holds"},
        {"id": "scale", "paper": {"baseline": {"value": None}, "method": {"value": 0.05}}, "ours": None,
         "verdict": "not tested"},
    ],
}  # fmt: skip
GRAPH = """
stages:
  data:
    foreach: {objects: objects}
  toys:
    foreach:
      toy: {model: m, data: b, data2: a}
"""


def results(folder, document):
    folder.mkdir(parents=True)
    (folder / "claims.json").write_text(json.dumps(document))
    (folder / "measurements.csv").write_text("claim\n")
    return folder


def change(**values):
    document = copy.deepcopy(DOCUMENT)
    document["claims"][0]["ours"] |= values
    return document


@pytest.mark.parametrize(
    ("document", "good", "said"),
    [
        (DOCUMENT, True, "agrees     main: holds; the same numbers, difference 3.50"),
        (
            change(difference=3.6),
            True,
            "agrees     main: holds; difference 3.60 here, 3.50 in git: within its interval",
        ),
        (
            change(difference=1.2),
            False,
            "DISAGREES  main: holds; difference 1.20 here, 3.50 in git: OUTSIDE its interval",
        ),
        (DOCUMENT | {"rule_digest": "5"}, False, "papers.yaml has changed"),
        (DOCUMENT | {"claims": DOCUMENT["claims"][:1]}, False, "DISAGREES  scale: only in git"),
        (DOCUMENT | {"identity": {"versions": {"torch": "3"}}}, True, 'identity   versions: {"torch": "3"} here'),
    ],
)
def test_claims_are_compared_one_by_one(tmp_path, document, good, said):
    old, new = results(tmp_path / "old", DOCUMENT), results(tmp_path / "new", document)
    (new / "figures").mkdir()
    (new / "figures" / "one.png").write_text("drawn")
    found, lines = verify.compare(old, new)
    assert found == good
    assert any(said in line for line in lines), lines
    assert "bytes      measurements.csv: equal" in lines
    assert "bytes      figures/one.png: only here" in lines
    assert f"bytes      claims.json: {'equal' if document is DOCUMENT else 'differ'}" in lines


def test_another_verdict_disagrees(tmp_path):
    new = change(difference=3.6)
    new["claims"][0]["verdict"] = "inconclusive"
    good, text = verify.judge(DOCUMENT["claims"][0], new["claims"][0])
    assert not good
    assert text == "verdict is 'inconclusive' here, 'holds' in git"


def test_table_keeps_profiles_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(lib, "ROOT", workbook(tmp_path / "root"))
    assert "no results yet" in verify.table(tmp_path)
    results(tmp_path / "mini" / "toy", DOCUMENT)
    results(tmp_path / "gpu" / "toy", DOCUMENT | {"profile": "gpu"})
    lines = verify.table(tmp_path).splitlines()
    assert lines[0] == "profile mini"
    assert " ".join(lines[3].split()) == "toy main 70.00 -> 73.50 70.00 -> 73.50 3.50 [1.25, 5.75] holds"
    assert " ".join(lines[4].split()) == "toy scale - -> 0.05 - - not tested"
    assert lines[6] == "1 holds, 1 not tested"
    assert "profile gpu" in lines


def test_readme_gets_the_table_between_its_marks(tmp_path, monkeypatch):
    root = workbook(tmp_path / "root")
    monkeypatch.setattr(lib, "ROOT", root)
    first, last = verify.MARKS
    (root / "README.md").write_text(f"before\n{first}\nold\n{last}\nafter\n")
    assert verify.main(["--readme"]) == 0
    assert (root / "README.md").read_text() == f"before\n{first}\n{verify.NO_RESULTS}\n{last}\nafter\n"
    results(root / "results" / "mini" / "toy", DOCUMENT)
    assert verify.main(["--readme"]) == 0
    lines = (root / "README.md").read_text().splitlines()
    link = "[toy](results/mini/toy/toy.ipynb)"
    assert lines[4] == f"| {link} | main | 70.00 -> 73.50 | 70.00 -> 73.50 | 3.50 [1.25, 5.75] | holds |"
    assert lines[-2:] == [last, "after"]
    (root / "README.md").write_text("nothing")
    assert verify.main(["--readme"]) == 1


def test_stage_names_the_corpora(tmp_path, monkeypatch):
    root = workbook(tmp_path / "root")
    (root / "dvc.yaml").write_text(GRAPH)
    monkeypatch.setattr(lib, "ROOT", root)
    assert verify.corpora("toy") == ["a", "b"]
    with pytest.raises(run.Problem, match="no stage for 'toi'; did you mean 'toy'"):
        verify.corpora("toi")


@pytest.mark.slow
def test_a_paper_is_computed_from_scratch(tmp_path, monkeypatch, capfd):
    root = workbook(tmp_path / "root")
    (root / "dvc.yaml").write_text(GRAPH)
    (root / "lib" / "world").mkdir()
    (root / "lib" / "world" / "__init__.py").write_text("")
    (root / "lib" / "world" / "corpora.py").write_text(
        "import sys, lib\n(lib.out() / 'data').mkdir()\n(lib.out() / 'data' / 'drawn').write_text(str(sys.argv[1:]))\n"
    )
    text = json.dumps(json.dumps(DOCUMENT))
    record = RECORD + f"(folder / 'claims.json').write_text({text})\nprint((lib.out() / 'data' / 'drawn').read_text())"
    notebook(root / "notebooks" / "toys" / "toy.ipynb", record)
    monkeypatch.setattr(lib, "ROOT", root)
    assert verify.main(["toy"]) == 1
    assert "has no claims.json" in capfd.readouterr().err
    folder = results(root / "results" / "mini" / "toy", DOCUMENT)
    assert verify.main(["toy"]) == 0
    said = capfd.readouterr().out
    assert "['a', 'b']" in said
    assert "every claim agrees" in said
    (folder / "claims.json").write_text(json.dumps(change(interval=[1, 2])))
    assert verify.main(["toy"]) == 1
    assert "DISAGREES" in capfd.readouterr().out
