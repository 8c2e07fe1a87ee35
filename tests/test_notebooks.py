"""Every notebook runs in the smoke profile."""

import json
import os
import subprocess
import sys

import nbformat
import pytest

import lib
from lib import claims, run
from lib.world import corpora

SLUGS = sorted(run.notebooks())
PAPERS = [slug for slug in SLUGS if slug in claims.papers()]
pytestmark = pytest.mark.slow


def call(out, *arguments):
    """`python -m ...` with its results below `out`, under the smoke profile."""
    environment = os.environ | {"WORKBOOK_OUT": str(out), "WORKBOOK_PROFILE": "smoke", "WORKBOOK_QUIET": "1"}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=lib.ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder with the smoke corpora of all stages."""
    out = tmp_path_factory.mktemp("smoke")
    call(out, "lib.world.corpora", *corpora.SIZES)  # notebooks/world.ipynb reads them all
    return out


def elsewhere(world, folder):
    """Another folder for results and models, with the same corpora."""
    (folder / "data").symlink_to(world / "data")
    return folder


@pytest.mark.parametrize("slug", SLUGS)
def test_smoke_runs_in_one_process(world, slug, tmp_path):
    base = run.notebook(slug).parent.name == "base"  # the model that it leaves is not the shipped one: no other sees it
    out = elsewhere(world, tmp_path) if base else world
    call(out, "lib.run", slug, "--in-process", "--profile", "smoke", "--out", str(out))
    folder = out / "summary" if slug == "summary" else out / "results" / "smoke" / slug
    notebook = nbformat.read(folder / f"{slug}.ipynb", as_version=4)
    assert not [cell.id for cell in notebook.cells for o in cell.get("outputs", ()) if o.output_type == "error"]
    if slug in PAPERS:
        document = json.loads((folder / "claims.json").read_text())
        assert [claim["id"] for claim in document["claims"]] == [claim.id for claim in claims.paper(slug).claims]
        assert {claim["verdict"] for claim in document["claims"]} <= {
            "holds",
            "does not hold",
            "inconclusive",
            "not tested",
        }
        assert document["profile"] == "smoke" and document["gates"]
        assert (folder / "measurements.csv").stat().st_size > 100 and list((folder / "figures").glob("*.png"))


def test_kernel_and_process_give_the_same_bytes(world, tmp_path):
    outs = []
    for name, flags in (("process", ["--in-process"]), ("kernel", [])):
        (tmp_path / name).mkdir()
        outs.append(elsewhere(world, tmp_path / name))
        call(outs[-1], "lib.run", "gda", "--profile", "smoke", "--out", str(outs[-1]), *flags)
    folders = [out / "results" / "smoke" / "gda" for out in outs]
    files = [sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()) for folder in folders]
    assert files[0] == files[1] and len(files[0]) > 5
    assert [name for name in files[0] if (folders[0] / name).read_bytes() != (folders[1] / name).read_bytes()] == []
