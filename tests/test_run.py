"""The runner on toy notebooks: values, messages, results, stable bytes."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from toys import PARAMETERS, PARAMS, RECORD, notebook, workbook

import lib
from lib import cells, run

EVERYTHING = """
import sys, tqdm, pandas, matplotlib.pyplot as plt
for i in tqdm.tqdm(range(3)): pass
for i in tqdm.tqdm(range(3), file=sys.stdout): print(end="")
print("half"); sys.stderr.write("noise"); print("other half", object())
frame = pandas.DataFrame({"a": [1.0, 2.0]})
display(frame.style.format("{:.1f}"))
plt.plot([1, 2]); plt.show()
import lib; print(lib.results_folder("toy"), lib.ROOT / "models")
frame
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Makes a toy workbook of given cells the root, with nothing of the surroundings' WORKBOOK variables."""
    for name in [name for name in os.environ if name.startswith("WORKBOOK_")]:
        monkeypatch.delenv(name)

    def make(*sources, **options):
        root = workbook(tmp_path / "root", *sources, **options)
        monkeypatch.setattr(lib, "ROOT", root)
        return root

    return make


def claims(folder):
    return json.loads((folder / "claims.json").read_text())


def test_later_values_win(toy):
    toy()
    assert run.parameters("toy") == {"profile": "mini", "seeds": [0, 1, 2], "threads": 1, "rate": 0.5}
    assert run.parameters("toy", "smoke") == {"profile": "smoke", "seeds": [0], "threads": 1, "rate": 0.5}
    assert run.parameters("toy", "gpu")["rate"] == 0.9
    assert run.parameters("toy", "gpu", {"rate": 1})["rate"] == 1


def test_values_nobody_declares_are_dropped_unless_they_are_the_notebooks_own(toy):
    root = toy()
    assert "device" not in run.parameters("toy")
    with pytest.raises(run.Problem, match=r"-p sede: .*did you mean 'seeds'"):
        run.parameters("toy", overrides={"sede": [1]})
    for old, place in (("toy: {rate", "papers.toy.raet"), ("{gpu: {rate: 0.9", "papers.toy.profiles.gpu.raet")):
        (root / "params.yaml").write_text(PARAMS.replace(old, old.replace("rate", "raet: 1, rate")))
        with pytest.raises(run.Problem, match=f"{place}: .*no parameter 'raet'; did you mean 'rate'"):
            run.parameters("toy")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("papers:", "paper:", "no section 'paper'; did you mean 'papers'"),
        ("{gpu: {rate: 0.9", "{cpu: {rate: 0.9", "no profile 'cpu'; did you mean 'gpu'"),
        ("toy: {rate: 0.5", "toy: {rate: fast", r"rate is 'fast', but toy declares rate = 0.5 \(float\)"),
        ("toy: {rate: 0.5", "toy: {rate: true", "rate is True"),
        ("shared: {seeds: [0, 1, 2]", "shared: {seeds: 3", r"seeds is 3, but toy declares seeds = \[0, 1, 2\]"),
        ("profile: mini", "profile: tiny", "profile 'tiny' is unknown"),
        ("shared: {", "shared: {{", "params.yaml is no valid YAML"),
    ],
)
def test_mistakes_in_params_are_named(toy, old, new, message):
    toy(params=PARAMS.replace(old, new))
    with pytest.raises((run.Problem, ValueError), match=message):
        run.parameters("toy")


def test_both_yaml_readers_agree(monkeypatch):
    text = "{a: 1e-4, b: 1.5, c: .5, d: 10, e: [1e3, -2e-05], f: yes, g: mini, h: null, i: '2402.04087', j: 1_000}"
    expected = run._parse(text, "text")
    assert expected["a"] == 1e-4
    monkeypatch.setitem(sys.modules, "ruamel.yaml", None)
    found = run._parse(text, "text")
    found["f"] = expected["f"]  # PyYAML takes yes for true, YAML 1.2 does not: nobody writes it
    assert found == expected


def test_unknown_notebook_is_named(toy):
    toy()
    with pytest.raises(run.Problem, match="no notebook is named 'toi'; did you mean 'toy'"):
        run.run("toi")


@pytest.mark.parametrize("text", ["a = b", "a = 1\nimport os", "a, b = 1, 2", "a = [open]"])
def test_parameters_are_literals(toy, text):
    root = toy()
    notebook(root / "notebooks" / "toys" / "toy.ipynb", RECORD, parameters=text)
    with pytest.raises(run.Problem, match="literal|plain"):
        run.parameters("toy")


def test_results_are_written_and_the_source_is_not(toy):
    root = toy()
    source = root / "notebooks" / "toys" / "toy.ipynb"
    before = source.read_bytes()
    folder = run.run("toy", in_process=True)
    assert folder == root / "results" / "mini" / "toy"
    assert sorted(path.name for path in folder.iterdir()) == ["claims.json", "figures", "measurements.csv", "toy.ipynb"]
    assert source.read_bytes() == before
    assert not list((root / ".work" / "toy").glob("run-*"))
    executed = nbformat.read(folder / "toy.ipynb", as_version=4)
    assert [cell.id for cell in executed.cells] == ["title", "parameters", "cell-a"]  # nothing to inject
    smoke = run.run("toy", "smoke", in_process=True)
    assert smoke == root / "results" / "smoke" / "toy"
    assert claims(smoke) == {"rate": 0.5, "seeds": [0], "profile": "smoke"}
    executed = nbformat.read(smoke / "toy.ipynb", as_version=4)
    assert executed.cells[2].id == "injected-parameters"
    assert executed.cells[2].source == "profile = 'smoke'\nseeds = [0]"


def test_another_folder_overrides_and_dev(toy, tmp_path, monkeypatch):
    root = toy()
    run.run("toy", in_process=True, dev=True)
    assert (root / ".work" / "toy" / "dev" / "toy.ipynb").exists()
    assert run.main(["toy", "--in-process", "-p", "rate=0.7", "-p", "seeds=[5, 6]"]) == 0
    assert claims(root / ".work" / "toy" / "try") == {"rate": 0.7, "seeds": [5, 6], "profile": "mini"}
    assert not (root / "results").exists()
    monkeypatch.setenv("WORKBOOK_OUT", "")
    assert run.main(["toy", "--in-process", "-p", "rate=1e-4", "--out", str(tmp_path / "out")]) == 0
    assert claims(tmp_path / "out" / "results" / "mini" / "toy")["rate"] == 1e-4
    assert not (root / "results").exists()


def test_trials_of_base_models_leave_the_shipped_one(toy, tmp_path, monkeypatch):
    root = toy(params=PARAMS.replace("base: {}", "base: {model: {}}"))
    notebook(root / "notebooks" / "base" / "model.ipynb", "x = 1", parameters="threads = 1")
    for options in (["--profile", "smoke"], ["--dev"], ["-p", "threads=2"]):
        assert run.main(["model", "--in-process", *options]) == 1
    monkeypatch.setenv("WORKBOOK_OUT", "")
    assert run.main(["model", "--in-process", "--profile", "smoke", "--out", str(tmp_path / "out")]) == 0


def test_environment_is_set_and_put_back(toy, monkeypatch):
    names = ["WORKBOOK_PROFILE", "OMP_NUM_THREADS", "PYTHONHASHSEED", "SOURCE_DATE_EPOCH", "HF_HUB_OFFLINE"]
    show = f"import os\nprint([os.environ.get(name) for name in {names!r}])"
    toy(show, RECORD)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    before = dict(os.environ)
    folder = run.run("toy", in_process=True, quiet=True)
    assert dict(os.environ) == before
    text = nbformat.read(folder / "toy.ipynb", as_version=4).cells[2].outputs[0].text
    assert text == "['mini', '1', '0', '0', '1']\n"


def test_failing_cell_is_kept_and_named(toy, capsys):
    root = toy("x = 1", 'print("so far")\n\nraise ValueError("the sky fell")', RECORD)
    good = root / "results" / "mini" / "toy"
    good.mkdir(parents=True)
    (good / "claims.json").write_text("good")
    assert run.main(["toy", "--in-process"]) == 1
    message = capsys.readouterr().err
    assert "toy: cell 'cell-b' (4 of 5) failed at line 3: raise ValueError(\"the sky fell\")" in message
    assert "ValueError: the sky fell" in message
    assert "as far as it ran: .work/toy/failed.ipynb" in message
    assert "results/mini/toy is as it was before" in message
    assert (good / "claims.json").read_text() == "good"
    kept = nbformat.read(root / ".work" / "toy" / "failed.ipynb", as_version=4)
    assert [output.output_type for output in kept.cells[3].outputs] == ["stream", "error"]
    assert kept.cells[4].outputs == []


@pytest.mark.parametrize("source", ["x = (", "%nonsense", "import sys; sys.exit(3)", "def f(): return await 1"])
def test_every_kind_of_error_fails(toy, source, capsys):
    toy(source, RECORD)
    assert run.main(["toy", "--in-process"]) == 1
    assert "cell 'cell-a' (3 of 4) failed" in capsys.readouterr().err


def test_missing_results_are_reported(toy, capsys):
    root = toy("x = 1")
    assert run.main(["toy", "--in-process"]) == 1
    message = capsys.readouterr().err
    assert "claims.json, measurements.csv, figures were not written" in message
    assert (root / ".work" / "toy" / "failed.ipynb").exists()
    assert run.main(["toy", "--in-process", "--dev"]) == 0  # writes no results, so nothing is missing
    (root / "papers.yaml").write_text("other: {}\n")
    assert run.main(["toy", "--in-process"]) == 0  # no paper: nothing to record


def test_two_runs_in_process_give_the_same_bytes(toy):
    toy(EVERYTHING, RECORD)
    folder = run.run("toy", in_process=True, quiet=True)
    first = (folder / "toy.ipynb").read_bytes()
    run.run("toy", in_process=True, quiet=True)
    assert (folder / "toy.ipynb").read_bytes() == first
    outputs = nbformat.reads(first.decode(), as_version=4).cells[2].outputs
    kinds = ["stream", "display_data", "display_data", "stream", "execute_result"]
    assert [output.output_type for output in outputs] == kinds
    assert outputs[0].text == "half\nother half <object object at 0x0>\n"
    assert "T_0" in outputs[1].data["text/html"]
    assert outputs[2].data["image/png"].startswith("iVBOR")
    assert outputs[3].text == "results/mini/toy models\n"
    assert "<table" in outputs[4].data["text/html"]


def test_prints_are_live_and_quiet_is_quiet(toy, capsys):
    toy('print("hello")', RECORD)
    run.run("toy", in_process=True)
    assert capsys.readouterr().out.startswith("hello\n")
    run.run("toy", in_process=True, quiet=True)
    assert capsys.readouterr().out.startswith("toy (mini): 3 cells in")


def test_displays_can_be_updated_and_cleared(toy):
    toy('from IPython.display import clear_output\nhandle = display("old", display_id=True)\nhandle.update("new")',
        'print("gone"); clear_output(); print("kept")', RECORD)  # fmt: skip
    executed = nbformat.read(run.run("toy", in_process=True, quiet=True) / "toy.ipynb", as_version=4)
    assert executed.cells[2].outputs[0].data["text/plain"] == "'new'"
    assert executed.cells[3].outputs[0].text == "kept\n"


def test_printed_text_follows_carriage_returns():
    assert cells._printed("a\rb\nc\r\nd") == "b\nc\nd"
    assert cells._printed("epoch 1: 100%|█████| 3/3 [00:01<00:00, 2.9it/s]\ndone\n") == "done\n"
    assert cells._printed("drawn: 12it [00:01, 9.1it/s]\n100 % | of it\n") == "100 % | of it\n"


def python(root, *arguments, **options):
    """Command line and environment of a Python that sees the toy's lib and none of this test's."""
    hidden = {name: value for name, value in os.environ.items() if not name.startswith(("WORKBOOK_", "PYTHON"))}
    return [sys.executable, *arguments], {"cwd": root, "env": hidden, "text": True, **options}


def test_in_process_needs_no_kernel_papermill_dvc_or_ruamel(toy):
    root = toy()
    command = (
        "import sys\n"
        "for name in ('papermill', 'nbclient', 'jupyter_client', 'ipykernel', 'dvc', 'ruamel', 'ruamel.yaml', 'zmq'):\n"
        "    sys.modules[name] = None\n"
        "from lib import run\n"
        "sys.exit(run.main(['toy', '--in-process']))\n"
    )
    arguments, options = python(root, "-c", command, capture_output=True)
    done = subprocess.run(arguments, **options)
    assert done.returncode == 0, done.stderr
    assert claims(root / "results" / "mini" / "toy")["rate"] == 0.5


def test_in_process_command_starts_again_with_a_fixed_hash_seed(toy):
    root = toy("import sys; print(sys.flags.hash_randomization, hash('workbook'))", RECORD)
    arguments, options = python(root, "-m", "lib.run", "toy", "--in-process", capture_output=True)
    lines = [subprocess.run(arguments, **options).stdout.splitlines()[0] for _ in range(2)]
    assert lines[0] == lines[1]
    assert lines[0].startswith("0 ")


@pytest.mark.slow
def test_kernel_gives_the_same_bytes_twice_and_the_same_cells_as_in_process(toy):
    root = toy(EVERYTHING, RECORD)
    path = root / "results" / "mini" / "toy" / "toy.ipynb"
    arguments, options = python(root, "-m", "lib.run", "toy", capture_output=True)
    pages = []
    for extra in ([], [], ["--in-process"]):
        done = subprocess.run([*arguments, *extra], **options)
        assert done.returncode == 0, done.stderr
        assert "half\n" in done.stdout
        pages.append(path.read_bytes())
    assert pages[0] == pages[1]
    assert pages[0] == pages[2]


@pytest.mark.slow
def test_kernel_failure_and_death_are_reported(toy):
    root = toy("x = 1", "1 / 0", RECORD)
    arguments, options = python(root, "-m", "lib.run", "toy", capture_output=True)
    done = subprocess.run(arguments, **options)
    assert done.returncode == 1
    assert "cell 'cell-b' (4 of 5) failed at line 1: 1 / 0" in done.stderr
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert "Traceback" not in done.stderr
    notebook(root / "notebooks" / "toys" / "toy.ipynb", "x = 1", "import os; os._exit(9)", RECORD)
    done = subprocess.run(arguments, **options)
    assert done.returncode == 1
    assert "cell 'cell-b' (4 of 5) failed" in done.stderr
    assert "the kernel died" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("name", "extra"), [("SIGINT", []), ("SIGTERM", []), ("SIGINT", ["--in-process"])])
def test_stopping_leaves_the_notebook_and_no_kernel(toy, name, extra):
    root = toy("import os; print('kernel', os.getpid(), flush=True)", "import time; time.sleep(60)", RECORD)
    arguments, options = python(root, "-m", "lib.run", "toy", *extra, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    started = subprocess.Popen(arguments, **options, start_new_session=True)
    line = started.stdout.readline()
    time.sleep(1)
    started.send_signal(getattr(signal, name))
    _, message = started.communicate(timeout=30)
    assert started.returncode == 130, message
    assert "toy: stopped" in message
    assert "Traceback" not in message
    kept = nbformat.read(root / ".work" / "toy" / "stopped.ipynb", as_version=4)
    assert "kernel" in kept.cells[2].outputs[0].text
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(int(line.split()[1]), 0)
            time.sleep(0.1)


def test_parameters_of_a_toy_equal_its_cell(toy):
    toy()
    assert run.parameters("toy") == cells.declared(cells.read(run.notebook("toy")))
    assert PARAMETERS.count("=") == 4
