"""Result tables, and training runs that differ in one thing only."""

import functools
import json

import numpy as np
import pytest
import torch

import lib
from lib import arms, metrics
from lib.arms import Result, Run


def test_table_by_hand():
    values = {("clip", "accuracy", "all"): [[1, 0], [1, 1]], ("ours", "accuracy", "all"): [[1, 1], [0, 0]]}
    result = Result.of(values, seeds=[3, 5], split="val", cost={"clip": {"samples": 4}})
    assert list(result.table.columns) == ["arm", "seed", "split", "group", "metric", "value", "n"]
    assert result.table.iloc[0].tolist() == ["clip", 3, "val", "all", "accuracy", 0.5, 2]
    assert result.table["value"].tolist() == [0.5, 1, 1, 0]
    assert result.examples["ours", "accuracy", "all"].shape == (2, 2)
    assert result.cost == {"clip": {"samples": 4}}


def test_metrics_that_are_no_mean():
    rng = np.random.default_rng(0)
    rows = np.stack([rng.random((2, 50)), rng.random((2, 50)) < 0.5], -1)
    result = Result.of({("clip", "auroc", "all"): rows})
    assert result.table["value"].tolist() == [metrics.auroc(row[:, 0], row[:, 1] > 0) for row in rows]
    assert set(result.statistics) == {"auroc"}
    squares = Result.of({("clip", "root", "all"): rows[..., 0]}, statistics={"root": lambda row: row.sum() ** 0.5})
    assert squares.table["value"].iloc[1] == pytest.approx(rows[1, :, 0].sum() ** 0.5)
    assert Result.of({("clip", "auroc", "all"): [[0.7], [0.8]]}).table["value"].tolist() == [0.7, 0.8]  # one per seed
    with pytest.raises(ValueError, match="name in statistics how 'own'"):
        Result.of({("clip", "own", "all"): rows})


@pytest.mark.parametrize(
    "values, words",
    [
        ({}, "empty"),
        ({("clip", "accuracy"): [[1]]}, "three strings"),
        ({("clip", "accuracy", "all"): [1, 0]}, r"shape \[2\]"),
        ({("clip", "accuracy", "all"): [[1, np.nan]]}, "nan at seed row 0, example 1"),
        ({("a", "accuracy", "x"): [[1, 0]], ("b", "accuracy", "y"): [[1], [0]]}, "2 rows for the seeds"),
        ({("a", "accuracy", "x"): [[1, 0]], ("b", "accuracy", "x"): [[1]]}, "same examples"),
        ({("a", "auroc", "x"): [[1, 0]], ("a", "auroc", "y"): [[[1, 0]]]}, "3 axes"),
    ],
)
def test_wrong_values_are_named(values, words):
    with pytest.raises(ValueError, match=words):
        Result.of(values)


def run(arm="clip", seed=0, **changes):
    return Run(arm, seed, **{"steps": 7, "batch_size": 4, "num_examples": 10, **changes})


def test_batches_are_epochs_without_repeats():
    batches = list(run().batches())
    assert len(batches) == 7 and all(len(set(batch)) == 4 and batch.dtype == np.int64 for batch in batches)
    for first, second in zip(batches[:-1:2], batches[1::2]):
        assert not set(first) & set(second)  # 8 of 10, then a new order
    assert not np.array_equal(batches[0], batches[2])


def test_random_numbers_depend_on_seed_and_purpose_not_on_the_arm():
    draws = {(arm, seed): run(arm, seed).rng("image").random() for arm in ("a", "b") for seed in (0, 1)}
    assert draws["a", 0] == draws["b", 0] != draws["a", 1]
    one = run()
    assert one.rng("image").random() != one.rng("image").random()  # a stream goes on
    assert run().rng("image").random() != run().rng("text").random()
    for (x, y), drawn in zip(zip(run("a").batches(), run("b").batches()), range(9)):
        assert np.array_equal(x, y), drawn
    with pytest.raises(ValueError, match="rng\\('batch'\\)"):
        one.rng("batch")


def test_batch_size_must_fit():
    with pytest.raises(ValueError, match="batch_size 11 of 10"):
        next(run(batch_size=11).batches())


def test_check_stops_at_a_loss_that_is_no_number():
    one, seen = run(steps=60), 0
    with pytest.raises(FloatingPointError, match="nan at step 26 of 60, arm 'clip', seed 0"):
        for _ in one.batches():
            seen += 1
            one.check(1.0 if seen < 20 else float("nan"))
    with pytest.raises(FloatingPointError, match="inf"):
        run().check(torch.tensor(float("inf")))


def train(run, rate=0.1):
    """A layer whose initial weights come from torch's global generator."""
    layer = torch.nn.Linear(2, 1)
    total = 0.0
    for batch in run.batches():
        total += rate * batch.sum() + run.rng("text").random()
        run.count(samples=len(batch))
    return {"weight": layer.weight.detach().numpy().ravel(), "total": total}


def measure(model, run):
    return {
        ("weight", "all"): model["weight"],
        ("total", "all"): model["total"],
        ("noise", "all"): run.rng("image").random(3),
    }


def trained(names=("clip", "ours"), seeds=(0, 1), **more):
    made = {name: functools.partial(train, rate=0.1 * (k + 1)) for k, name in enumerate(names)}
    return arms.run(made, seeds, steps=5, batch_size=4, num_examples=10, measure=measure, **more)


def test_arms_share_initial_weights_batches_and_noise():
    state = torch.get_rng_state()
    result = trained()
    weight = result.examples["clip", "weight", "all"]
    assert np.array_equal(weight, result.examples["ours", "weight", "all"])
    assert not np.array_equal(weight[0], weight[1])
    assert np.array_equal(result.examples["clip", "noise", "all"], result.examples["ours", "noise", "all"])
    assert result.examples["clip", "total", "all"].shape == (2, 1)
    assert (result.examples["clip", "total", "all"] != result.examples["ours", "total", "all"]).all()
    assert result.cost == {"clip": {"steps": 10, "samples": 40}, "ours": {"steps": 10, "samples": 40}}
    assert torch.equal(torch.get_rng_state(), state)
    again = trained()
    assert all(np.array_equal(values, again.examples[key]) for key, values in result.examples.items())


def test_wrong_measurements_and_arguments_are_named():
    def bad(model, run):
        return {("total", "all"): float("nan")}

    def uneven(model, run):
        return {("total", "all"): np.zeros(run.seed + 1)}

    for function, words in ((bad, "not finite.*clip.*seed 0"), (uneven, r"\[\[1\], \[2\]\]")):
        with pytest.raises(ValueError, match=words):
            arms.run({"clip": train}, [0, 1], 5, 4, 10, function)
    with pytest.raises(ValueError, match="none twice"):
        trained(seeds=(1, 1))
    with pytest.raises(ValueError, match="together"):
        trained(slug="toy")


@pytest.fixture
def runner(tmp_path, monkeypatch):
    """As the runner sets things; returns the list of trainings so far."""
    monkeypatch.setattr(lib, "ROOT", tmp_path)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "one.py").write_text("x = 1\n")
    book = tmp_path / "notebooks" / "group" / "toy.ipynb"
    book.parent.mkdir(parents=True)
    book.write_text(json.dumps({"cells": [{"cell_type": "code", "source": ["rate = 1"]}]}))
    for name, value in {"OUT": tmp_path, "RESULTS": tmp_path / "results", "PROFILE": "mini"}.items():
        monkeypatch.setenv(f"WORKBOOK_{name}", str(value))
    monkeypatch.delenv("WORKBOOK_DEV", raising=False)
    calls = []
    one = arms._one

    def counted(now, *functions):
        calls.append((now.arm, now.seed))
        return one(now, *functions)

    monkeypatch.setattr(arms, "_one", counted)
    return calls


def test_an_interrupted_run_resumes(runner, monkeypatch):
    plain = trained()
    runner.clear()
    original = arms._one

    def stop_at_third(*arguments):
        if len(runner) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(arms, "_one", stop_at_third)
        with pytest.raises(KeyboardInterrupt):
            trained(slug="toy", params={"rate": 1})
    assert len(runner) == 3
    result = trained(slug="toy", params={"rate": 1})
    assert len(runner) == 4  # only the one that was missing
    assert all(np.array_equal(values, result.examples[key]) for key, values in plain.examples.items())
    assert result.cost == plain.cost and result.table.equals(plain.table)
    trained(slug="toy", params={"rate": 1}, seeds=(0, 1, 2))
    assert len(runner) == 6  # a further seed
    assert not list((lib.ROOT / ".work").rglob("*.part"))


def test_what_changes_the_outcome_trains_anew(runner, monkeypatch):
    def trains(**more):
        before = len(runner)
        trained(("clip",), (0,), **{"slug": "toy", "params": {"rate": 1}, **more})
        return len(runner) - before

    assert (trains(), trains()) == (1, 0)
    assert (trains(params={"rate": 2}), trains(params={"rate": 2})) == (1, 0)
    with monkeypatch.context() as patch:
        patch.setenv("WORKBOOK_PROFILE", "gpu")
        assert trains() == 1
    with monkeypatch.context() as patch:
        patch.setenv("WORKBOOK_DEV", "1")
        assert trains() == 1
    with monkeypatch.context() as patch:  # JupyterLab: code changes between two calls, nothing is kept
        patch.delenv("WORKBOOK_RESULTS")
        assert trains() == 1
    assert trains() == 0
    (lib.ROOT / "lib" / "one.py").write_text("x = 2\n")
    assert trains() == 1
    book = lib.ROOT / "notebooks" / "group" / "toy.ipynb"
    book.write_text(json.dumps({"cells": [{"cell_type": "code", "source": ["rate = 2"]}]}))
    assert trains() == 1
    book.write_text(json.dumps({"cells": [*json.loads(book.read_text())["cells"],
                                          {"cell_type": "markdown", "source": ["words"]}]}))  # fmt: skip
    assert trains() == 0


def test_functions_are_told_apart_by_what_they_do():
    def make(rate):
        return lambda run: rate * 2

    def recursive(run):
        return recursive(run)

    assert arms._code(make(1)) == arms._code(make(1)) != arms._code(make(2))
    assert arms._code(lambda run: 1) != arms._code(lambda run: 2)
    assert arms._code(functools.partial(train, rate=1)) != arms._code(functools.partial(train, rate=2))
    assert json.dumps(arms._code(recursive)) and json.dumps(arms._code(measure))
