"""The graph at work: on toy notebooks in a repository of their own, and on a clone of this one."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toys import RECORD, notebook, workbook

import lib

pytestmark = pytest.mark.slow
CORPORA = """
import sys
from pathlib import Path
import lib
folder = lib.out() / "data" / sys.argv[1]
folder.mkdir(parents=True)
(folder / "corpus.json").write_text(f"{sys.argv[1]} {lib.profile()}")
"""
PARAMS = """
profile: mini
shared: {seeds: [0, 1, 2], threads: 1}
profiles: {smoke: {seeds: [0]}, mini: {}, gpu: {}, paper: {}}
base: {vit_base: {}}
papers:
  one: {rate: 0.5}
  two: {rate: 0.5}
"""
PARAMETERS = 'profile = "mini"\nseeds = [0, 1, 2]\nthreads = 1\nrate = 0.5'


def environment() -> dict:
    """Without this test's own variables, and with the programs of its environment."""
    hidden = {name: value for name, value in os.environ.items() if not name.startswith(("WORKBOOK_", "PYTHON", "GIT_"))}
    return hidden | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def call(root: Path, *command: str, code: int = 0, timeout: int = 300) -> str:
    done = subprocess.run(command, cwd=root, env=environment(), text=True, capture_output=True, timeout=timeout)
    text = done.stdout + done.stderr
    assert done.returncode == code, text
    return text


def ran(text: str) -> list[str]:
    """Names of the stages that DVC ran."""
    return re.findall(r"Running stage '([^']+)'", text)


def commit(root: Path) -> None:
    call(root, "git", "add", "-A")
    call(root, "git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-qm", "state")


def corpora(root: Path) -> list[str]:
    """Names of the stages that draw the corpora."""
    return [f"data@{name.replace('/', '-')}" for name in re.findall(r"(?m)^      [\w-]+: ([a-z/]+)$", graph(root))]


def graph(root: Path) -> str:
    return (root / "dvc.yaml").read_text()


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """Repository with the real dvc.yaml, two toy papers in its first group, toy corpora and a shipped toy model."""
    root = workbook(tmp_path_factory.mktemp("clone") / "original", params=PARAMS)
    shutil.rmtree(root / "notebooks" / "toys")
    (root / "papers.yaml").write_text("one: {title: One}\ntwo: {title: Two}\n")
    (root / "lib" / "world").mkdir()
    (root / "lib" / "world" / "__init__.py").write_text("")
    (root / "lib" / "world" / "corpora.py").write_text(CORPORA)
    (root / "lib" / "used.py").write_text("VALUE = 1\n")
    (root / "lib" / "unused.py").write_text("VALUE = 1\n")
    kept = re.match(r"(?s).*?\n  adaptation:\n.*?(?=\n  \w|\Z)", graph(lib.ROOT))[0]
    slots = re.search(r"(?m)^      gda: (\{.*\})$", kept)[1]
    kept = re.sub(r"(?m)^      \w+: \{.*\}\n", "", kept)
    kept = kept.replace("\n    do: &paper", f"\n      one: {slots}\n      two: {slots}\n    do: &paper")
    bases = re.findall(r"(?ms)^  base-(\w+):\n(.*?)(?=^  \w)", kept)
    read = {"objects/plain", "objects/styles"} | set(re.findall(r"- data/(\S+)", "".join(text for _, text in bases)))
    for line in re.findall(r"(?m)^      [\w-]+: [a-z/]+\n", kept):  # of the corpora only those that are read
        if line.split()[1] not in read:
            kept = kept.replace(line, "")
    (root / "dvc.yaml").write_text(kept + "\n")
    for name in (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(lib.ROOT / name, root / name)
    record = RECORD.replace('"toy"', "SLUG")
    for slug, first in (("one", "from lib import used"), ("two", "import lib")):
        path = root / "notebooks" / "adaptation" / f"{slug}.ipynb"
        notebook(path, first, record.replace("SLUG", f'"{slug}"'), parameters=PARAMETERS)
    for name, text in bases:
        notebook(root / "notebooks" / "base" / f"{name}.ipynb", "1 / 0", parameters="threads = 1")
        params = (root / "params.yaml").read_text()
        if f"{name}:" not in params:
            (root / "params.yaml").write_text(params.replace("\nbase: {", f"\nbase: {{{name}: {{}}, "))
        for folder in re.findall(r"- (models/[\w-]+): ", text):
            (root / folder).mkdir(parents=True)
            (root / folder / "weights.txt").write_text(folder)
    call(root, "git", "init", "-q", "-b", "main")
    text = call(root, "dvc", "repro")
    assert sorted(ran(text)) == sorted(["stamps", *corpora(root), "adaptation@one", "adaptation@two"])
    for name, _ in bases:
        call(root, "dvc", "commit", "-f", f"base-{name}")
    commit(root)
    return root


@pytest.fixture
def repository(original, tmp_path) -> Path:
    """A copy of the toy repository for one test, with its caches."""
    shutil.copytree(original, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


def test_nothing_to_do_is_nothing(repository):
    assert ran(call(repository, "dvc", "repro")) == []
    assert call(repository, "git", "status", "--porcelain") == ""


def test_clone_finds_results_up_to_date_and_draws_the_data(original, tmp_path):
    call(tmp_path, "git", "clone", "-q", str(original), "clone")
    text = call(tmp_path / "clone", "dvc", "repro")
    assert sorted(ran(text)) == sorted(["stamps", *corpora(original)])
    assert call(tmp_path / "clone", "git", "status", "--porcelain") == ""


def test_an_edit_reruns_what_uses_it(repository):
    (repository / "lib" / "unused.py").write_text("VALUE = 2\n")
    assert ran(call(repository, "dvc", "repro")) == ["stamps"]
    (repository / "lib" / "used.py").write_text("VALUE = 2\n")
    assert ran(call(repository, "dvc", "repro")) == ["stamps", "adaptation@one"]
    params = (repository / "params.yaml").read_text()
    (repository / "params.yaml").write_text(params.replace("two: {rate: 0.5", "two: {rate: 0.7"))
    assert ran(call(repository, "dvc", "repro")) == ["adaptation@two"]
    assert "0.7" in (repository / "results" / "mini" / "two" / "claims.json").read_text()
    (repository / "papers.yaml").write_text("one: {title: One}\ntwo: {title: Zwei}\n")
    assert ran(call(repository, "dvc", "repro")) == ["stamps", "adaptation@two"]
    world = repository / "lib" / "world" / "corpora.py"
    world.write_text(world.read_text() + "# same data\n")
    text = call(repository, "dvc", "repro")
    assert set(ran(text)) == {"stamps", *corpora(repository)}


def test_another_profile_and_back(repository):
    results = repository / "results"
    text = call(repository, "dvc", "exp", "run", "-S", "profile=smoke")
    assert "adaptation@two" in ran(text)
    assert '"seeds": [0]' in (results / "smoke" / "one" / "claims.json").read_text()
    assert '"seeds": [0, 1, 2]' in (results / "mini" / "one" / "claims.json").read_text()
    assert "smoke" not in call(repository, "git", "status", "--porcelain", "results")
    call(repository, "git", "checkout", "-q", "--", "params.yaml", "dvc.lock")
    assert ran(call(repository, "dvc", "repro")) == []
    assert call(repository, "git", "status", "--porcelain") == ""


def test_failure_stops_and_repair_goes_on(repository):
    path = repository / "notebooks" / "adaptation" / "two.ipynb"
    good = path.read_text()
    params = repository / "params.yaml"
    params.write_text(params.read_text().replace("seeds: [0, 1, 2]", "seeds: [0, 1]"))
    path.write_text(good.replace('"import lib"', '"1 / 0"'))
    text = call(repository, "dvc", "repro", code=255)
    assert "cell 'cell-a' (4 of 5) failed at line 1: 1 / 0" in text
    assert "results/mini/two is as it was before" in text
    assert call(repository, "git", "status", "--porcelain", "results/mini/two") == ""
    path.write_text(good)
    assert ran(call(repository, "dvc", "repro")) == ["stamps", "adaptation@two"]


def test_interrupted_repro_goes_on_where_it_stopped(repository):
    path = repository / "notebooks" / "adaptation" / "two.ipynb"
    good = path.read_text()
    wait = "import lib, time, os; print('in two', os.getpid(), flush=True); time.sleep(60)"
    slow = good.replace('"import lib"', f'"{wait}"')
    assert slow != good
    path.write_text(slow)
    params = repository / "params.yaml"
    params.write_text(params.read_text().replace("seeds: [0, 1, 2]", "seeds: [0, 1]"))
    started = subprocess.Popen(
        ["dvc", "repro"], cwd=repository, env=environment(), text=True, stdout=subprocess.PIPE, start_new_session=True,
        stderr=subprocess.STDOUT, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    lines = []
    for line in started.stdout:
        lines.append(line)
        if line.startswith("in two"):
            break
    assert ran("".join(lines))[-1] == "adaptation@two"
    os.killpg(started.pid, signal.SIGINT)
    rest = started.communicate(timeout=30)[0]
    assert started.returncode != 0, rest
    assert "two: stopped" in rest
    kernel = int(lines[-1].split()[2])
    for _ in range(100):
        if not Path(f"/proc/{kernel}").exists():
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{kernel}").exists()
    path.write_text(good)
    assert ran(call(repository, "dvc", "repro")) == ["stamps", "adaptation@two"]


def test_base_model_is_frozen_until_asked_for(repository):
    params = repository / "params.yaml"
    params.write_text(params.read_text().replace("seeds: [0, 1, 2]", "seeds: [0, 1]"))
    assert ran(call(repository, "dvc", "repro")) == ["adaptation@one", "adaptation@two"]
    before = graph(repository)
    call(repository, "dvc", "unfreeze", "base-vit_base")
    assert "1 / 0" in call(repository, "dvc", "repro", "base-vit_base", code=255)
    call(repository, "dvc", "freeze", "base-vit_base")
    assert (
        graph(repository).replace(" &paper", "").split() == before.replace(" &paper", "").split()
    )  # an anchor used once is lost
    call(repository, "git", "checkout", "-q", "--", "models")
    assert ran(call(repository, "dvc", "repro")) == []


@pytest.mark.timeout(1800)
def test_clone_of_this_repository_is_up_to_date(tmp_path):
    if subprocess.run(["git", "cat-file", "-e", "HEAD:dvc.lock"], cwd=lib.ROOT, capture_output=True).returncode:
        pytest.skip("dvc.lock is not committed")
    call(tmp_path, "git", "clone", "-q", str(lib.ROOT), "clone")
    text = call(tmp_path / "clone", "dvc", "repro", timeout=1700)
    made_anew = ("stamps", "site")  # not in git
    assert [name for name in ran(text) if name not in made_anew and not name.startswith("data@")] == []
    assert call(tmp_path / "clone", "git", "status", "--porcelain") == ""
    start = time.monotonic()
    assert ran(call(tmp_path / "clone", "dvc", "repro")) == []
    print(f"dvc repro with nothing to do: {time.monotonic() - start:.1f} s")
