"""Every notebook runs in the smoke profile."""

import json
import os
import subprocess
import sys

import nbformat
import pytest

import lib
from lib import claims, run, verify

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
    names = {"scenes/base"}.union(*(verify.corpora(slug) for slug in PAPERS))
    call(out, "lib.world.corpora", *sorted(names))
    return out


@pytest.mark.parametrize("slug", SLUGS)
def test_smoke_runs_in_one_process(world, slug):
    call(world, "lib.run", slug, "--in-process", "--profile", "smoke", "--out", str(world))
    folder = world / "results" / "smoke" / slug
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
