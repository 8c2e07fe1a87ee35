"""Stamps name what a notebook uses, no more and no less."""

import os

import pytest
from toys import RECORD, notebook, workbook

import lib
from lib import run, stamps

MODULES = {
    "lib/alone.py": "VALUE = 1\n",
    "lib/text.py": "def words():\n    from lib import tables_reader\n    return tables_reader\n",
    "lib/tables_reader.py": "from .world import render as draw\n",
    "lib/world/__init__.py": '"""World."""\n',
    "lib/world/render.py": "import numpy\nfrom . import spec\nfrom .spec import Spec\n",
    "lib/world/spec.py": "import lib.loop\nclass Spec: pass\n",
    "lib/world/other.py": "",
    "lib/world/corpora.py": "from lib.world.render import draw\n",
    "lib/world/tables/classes.csv": "name\ncup\n",
    "lib/world/tables/deep/more.csv": "x\n",
    "lib/loop.py": "import lib.world.spec\n",
}
WORLD = ["lib/world/__init__.py", "lib/world/render.py", "lib/world/spec.py", "lib/loop.py"]
TABLES = ["lib/world/tables/classes.csv", "lib/world/tables/deep/more.csv"]


@pytest.fixture
def root(tmp_path, monkeypatch):
    root = workbook(tmp_path / "root", "%matplotlib inline\nfrom lib import text\n!ls", RECORD)
    for name, source in MODULES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(source)
    notebook(root / "notebooks" / "world.ipynb", "from lib import alone")
    monkeypatch.setattr(lib, "ROOT", root)
    return root


def names(root, slug):
    return [line.split("  ", 1)[1] for line in (root / "stamps" / f"{slug}.txt").read_text().splitlines()]


def test_all_that_is_imported_and_nothing_else(root):
    stamps.main()
    expected = ["lib/__init__.py", "lib/text.py", "lib/tables_reader.py", *WORLD, *TABLES, "papers.yaml toy"]
    assert names(root, "toy") == sorted(expected)
    assert names(root, "world") == ["lib/__init__.py", "lib/alone.py"]
    assert names(root, "lib.world.corpora") == sorted(["lib/__init__.py", "lib/world/corpora.py", *WORLD, *TABLES])


@pytest.mark.parametrize(
    ("source", "package", "expected"),
    [
        ("import lib", "", {"lib"}),
        ("import lib.world.spec as s, numpy", "", {"lib.world.spec"}),
        ("from lib import text, ROOT", "", {"lib", "lib.text", "lib.ROOT"}),
        ("from lib.world import render", "", {"lib.world", "lib.world.render"}),
        ("from . import spec", "lib.world", {"lib.world", "lib.world.spec"}),
        ("from .spec import Spec", "lib.world", {"lib.world.spec", "lib.world.spec.Spec"}),
        ("from .. import stats", "lib.world", {"lib", "lib.stats"}),
        ("def f():\n    import lib.text", "", {"lib.text"}),
        ("import library\nfrom collections import abc", "", set()),
    ],
)
def test_import_statements(source, package, expected):
    assert stamps.imported(source, package) == expected


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("lib/alone.py", {"world"}),
        ("lib/world/other.py", set()),
        ("lib/loop.py", {"toy", "lib.world.corpora"}),
        ("lib/world/tables/deep/more.csv", {"toy", "lib.world.corpora"}),
        ("lib/__init__.py", {"toy", "world", "lib.world.corpora"}),
        ("lib/run.py", set()),
    ],
)
def test_an_edit_changes_the_stamps_of_its_users(root, name, changed):
    stamps.main()
    before = {file.stem: file.read_text() for file in (root / "stamps").iterdir()}
    (root / name).write_text((root / name).read_text() + "# more\n")
    stamps.main()
    after = {file.stem: file.read_text() for file in (root / "stamps").iterdir()}
    assert {slug for slug in before if before[slug] != after[slug]} == changed


def test_own_section_of_papers_counts_and_only_that(root):
    stamps.main()
    before = (root / "stamps" / "toy.txt").read_text()
    (root / "papers.yaml").write_text("# new comment\nother: {}\ntoy: {claims: [], group: toys, title: A toy}\n")
    stamps.main()
    assert (root / "stamps" / "toy.txt").read_text() == before
    (root / "papers.yaml").write_text("toy: {claims: [], group: toys, title: Another toy}\n")
    stamps.main()
    assert (root / "stamps" / "toy.txt").read_text() != before


def test_what_stays_the_same_is_not_written_and_what_is_gone_is_removed(root):
    stamps.main()
    file = root / "stamps" / "toy.txt"
    os.utime(file, (1, 1))
    (root / "notebooks" / "world.ipynb").unlink()
    stamps.main()
    assert file.stat().st_mtime == 1
    assert not (root / "stamps" / "world.txt").exists()


def test_a_syntax_error_is_named(root):
    (root / "lib" / "loop.py").write_text("x = 1\ndef (\n")
    with pytest.raises(run.Problem, match="lib/loop.py line 2"):
        stamps.main()
    (root / "lib" / "loop.py").write_text("")
    notebook(root / "notebooks" / "world.ipynb", "x =")
    with pytest.raises(run.Problem, match="notebooks/world.ipynb, cell 'cell-a', line 1"):
        stamps.main()


def test_two_notebooks_of_one_name_are_refused(root):
    notebook(root / "notebooks" / "more" / "toy.ipynb", "x = 1")
    with pytest.raises(run.Problem, match="two notebooks are named toy"):
        stamps.main()
