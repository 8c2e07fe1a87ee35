"""Arms: training runs that differ in one thing, and the table of what was measured on them.

`run` trains every arm from the same seeds, on the same batches, and resumes what an interrupted run had finished.
`Result` holds measurements; notebooks that train nothing make one with `Result.of`.
"""

import functools
import hashlib
import json
import os
import types
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import lib
from lib.metrics import STATISTICS

if TYPE_CHECKING:
    import pandas  # otherwise imported where it is used: slow

COLUMNS = ("arm", "seed", "split", "group", "metric", "value", "n")


@dataclass(frozen=True)
class Result:
    """Measurements of all arms.

    table:      DataFrame (arm, seed, split, group, metric, value, n), one row per arm, metric, group and seed
    examples:   {(arm, metric, group): float64 [S, N]}, or [S, N, ...] where the metric is a statistic of rows
    cost:       {arm: {"steps": .., "samples": .., "forwards": ..}}, counts summed over seeds
    statistics: {metric: f(rows [N, ...]) -> float} for metrics that are no mean of examples
    """

    table: "pandas.DataFrame"
    examples: dict[tuple[str, str, str], np.ndarray]
    cost: dict
    statistics: dict[str, Callable]

    @classmethod
    def of(
        cls,
        values: Mapping[tuple[str, str, str], np.ndarray],
        seeds: Sequence[int] | None = None,
        split: str = "test",
        cost: Mapping | None = None,
        statistics: Mapping[str, Callable] | None = None,
    ) -> "Result":
        """Result of {(arm, metric, group): [S, N]}: the same seeds everywhere, a group's examples the same in all arms.

        seeds:      S numbers, by default 0 .. S-1.
        statistics: for metrics that are no mean; `lib.metrics.STATISTICS` are known where values are [S, N, 2].
        """
        import pandas

        if not values:
            raise ValueError("values is empty; give {(arm, metric, group): array [seeds, examples]}")
        examples = {key: _measured(key, array) for key, array in values.items()}
        _same_examples(examples)
        used, rows = dict(statistics or {}), []
        for key, array in examples.items():
            arm, metric, group = key
            if array.ndim > 2 and metric in STATISTICS:
                used.setdefault(metric, STATISTICS[metric])
            if array.ndim > 2 and metric not in used:
                raise ValueError(f"{key} has shape {list(array.shape)}: name in statistics how '{metric}' is computed")
            seeds = list(range(len(array))) if seeds is None else [int(seed) for seed in seeds]
            if len(array) != len(seeds):
                raise ValueError(
                    f"{key} has {len(array)} rows for the seeds {seeds}; give one row per seed, in all arms"
                )
            for seed, row in zip(seeds, array):
                value = float(used.get(metric, np.mean)(row))
                rows.append((arm, seed, split, group, metric, value, len(row)))
        return cls(pandas.DataFrame(rows, columns=list(COLUMNS)), examples, dict(cost or {}), used)


@dataclass
class Run:
    """One training run: an arm with a seed. Everything random is the same in all arms of a seed."""

    arm: str
    seed: int
    steps: int
    batch_size: int
    num_examples: int
    counts: Counter = field(default_factory=Counter)
    phase: str = "train"  # then "measure": other random numbers
    streams: dict = field(default_factory=dict, repr=False)

    def rng(self, purpose: str) -> np.random.Generator:
        """The run's stream of random numbers for "init", "order", "image" or "text"; a further call continues it."""
        if purpose not in ("init", "order", "image", "text"):
            raise ValueError(f"rng('{purpose}') is unknown; choose init, order, image or text")
        if purpose not in self.streams:
            self.streams[purpose] = np.random.default_rng([self.seed, *f"{self.phase} {purpose}".encode()])
        return self.streams[purpose]

    def batches(self) -> Iterator[np.ndarray]:
        """`steps` batches of example indices, int64 [batch_size]; an epoch repeats none and drops its remainder."""
        if not 1 <= self.batch_size <= self.num_examples:
            raise ValueError(
                f"batch_size {self.batch_size} of {self.num_examples} examples; give 1 to {self.num_examples}"
            )
        order = np.empty(0, np.int64)
        for _ in range(self.steps):
            if len(order) < self.batch_size:
                order = self.rng("order").permutation(self.num_examples)
            batch, order = order[: self.batch_size], order[self.batch_size :]
            self.counts["steps"] += 1
            yield batch

    def count(self, **amounts: int) -> None:
        """Add to the run's cost: samples seen, forward passes of one example. Steps are counted by `batches`."""
        self.counts.update({name: int(amount) for name, amount in amounts.items()})

    def check(self, loss: float, every: int = 25) -> None:
        """Stop at a loss that is not finite; looks at every 25th step only, because reading it waits for the device."""
        step = self.counts["steps"]
        if step in (0, self.steps) or step % every == 1 % every:
            loss = float(loss)
            if not np.isfinite(loss):
                raise FloatingPointError(
                    f"loss is {loss} at step {step} of {self.steps}, arm '{self.arm}', seed {self.seed}; "
                    "lower the learning rate, clip gradients, or use precision float32"
                )


def run(
    arms: Mapping[str, Callable],
    seeds: Sequence[int],
    steps: int,
    batch_size: int,
    num_examples: int,
    measure: Callable,
    *,
    slug: str | None = None,
    params: Mapping | None = None,
    split: str = "test",
    statistics: Mapping[str, Callable] | None = None,
) -> Result:
    """Train every arm with every seed and measure it.

    arms:    {name: train}, train(run) -> model.
    measure: measure(model, run) -> {(metric, group): [N] or [N, ...] or float}, the same keys for every seed.
    slug, params: with both, finished (arm, seed) pairs are kept in .work/<slug>-<digest>/ and read from there when the
        runner runs the notebook again. params holds all that the outcome depends on beside the code: the notebook's
        parameters and the identities of encoder and data. The digest is of it, the notebook's code and lib. In
        JupyterLab, where code changes between two calls, nothing is kept.
    """
    if not arms or not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"arms {list(arms)} and seeds {list(seeds)}; give at least one of each, none twice")
    if (slug is None) != (params is None):
        raise ValueError("give slug and params together: params tells results of other settings apart")
    folder = None
    if slug is not None and "WORKBOOK_RESULTS" in os.environ:
        folder = _folder(slug, {"params": params, "steps": steps, "batch_size": batch_size, "examples": num_examples})
    measured, cost = {}, {arm: Counter() for arm in arms}
    for seed in seeds:
        for arm, train in arms.items():
            file = folder and folder / f"{arm}-{seed}-{_digest([_code(train), _code(measure)])}.npz"
            if file and file.exists():
                values, counts = _read(file)
            else:
                now = Run(arm, seed, steps, batch_size, num_examples)
                values = {key: _one_seed((arm, *key), value, seed) for key, value in _one(now, train, measure).items()}
                counts = dict(now.counts)
                if file:
                    _write(file, values, counts)
            for key, value in values.items():
                measured.setdefault((arm, *key), []).append(value)
            cost[arm].update(counts)
    for key, each in measured.items():
        if len(each) != len(seeds) or len({value.shape for value in each}) > 1:
            raise ValueError(f"{key} has shapes {[list(value.shape) for value in each]} for seeds {list(seeds)}; "
                             "measure must return the same keys and examples for every seed")  # fmt: skip
    stacked = {key: np.stack(each) for key, each in measured.items()}
    return Result.of(stacked, seeds, split, {arm: dict(counts) for arm, counts in cost.items()}, statistics)


def _one(now: Run, train: Callable, measure: Callable) -> dict:
    """Measurements of one run. Layers and dropout draw from torch's global stream: seeded here, then put back."""
    import torch

    with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
        torch.manual_seed(now.seed)
        model = train(now)
        torch.manual_seed(now.seed)
        now.streams.clear()  # however much training drew: measuring draws the same in all arms
        now.phase = "measure"
        return measure(model, now)


def _measured(key: tuple, array) -> np.ndarray:
    if not (isinstance(key, tuple) and len(key) == 3 and all(isinstance(part, str) and part for part in key)):
        raise ValueError(f"key {key!r}; give (arm, metric, group), three strings; group 'all' where there is one")
    array = np.asarray(array, dtype=np.float64)
    if array.ndim < 2 or not array.size:
        raise ValueError(f"{key} has shape {list(array.shape)}; give [seeds, examples] (one seed: values[None, :])")
    if not np.isfinite(array).all():
        at = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(f"{key} holds {array[tuple(at)]} at seed row {at[0]}, example {at[1]}; mend the measurement")
    return array


def _one_seed(key: tuple, value, seed: int) -> np.ndarray:
    """A measurement of one run as [N, ...]; a number becomes one example."""
    value = np.atleast_1d(np.asarray(value, dtype=np.float64))
    if not np.isfinite(value).all():
        raise ValueError(f"measure returns values that are not finite for {key}, seed {seed}")
    return value


def _same_examples(examples: dict) -> None:
    """Arms that share metric and group must share examples, paired by column; a metric has one kind of values."""
    first, kind = {}, {}
    for (arm, metric, group), array in examples.items():
        if kind.setdefault(metric, array.ndim) != array.ndim:
            raise ValueError(
                f"{metric} has {array.ndim} axes for {arm}, {group} and {kind[metric]} elsewhere; give one kind"
            )
        other, shape = first.setdefault((metric, group), (arm, array.shape))
        if array.shape != shape:
            raise ValueError(f"{metric} in group '{group}' is {list(shape)} for arm '{other}' but {list(array.shape)} "
                             f"for '{arm}'; measure all arms on the same examples")  # fmt: skip


def _folder(slug: str, settings: Mapping) -> Path:
    """Folder of finished runs; its name changes with settings, profile, the notebook's code and lib."""
    sources = {str(path.relative_to(lib.ROOT)): path.read_text() for path in sorted((lib.ROOT / "lib").rglob("*.py"))}
    for path in lib.ROOT.glob(f"notebooks/*/{slug}.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        sources["notebook"] = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    digest = _digest([settings, lib.profile(), lib.dev(), sources])
    folder = lib.out() / ".work" / f"{slug}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _digest(thing) -> str:
    return hashlib.sha256(json.dumps(thing, sort_keys=True).encode()).hexdigest()[:12]


def _code(thing, seen: tuple = ()):
    """What a function does, as JSON: bytecode, constants, closure and bound arguments (arms may be made in a loop)."""
    if isinstance(thing, functools.partial):
        return [_code(thing.func, seen), repr(thing.args), repr(sorted(thing.keywords.items()))]
    code = getattr(thing, "__code__", thing)
    if not isinstance(code, types.CodeType) or code in seen:
        return repr(thing) if code is thing else code.co_name
    cells = [_code(cell.cell_contents, (*seen, code)) for cell in getattr(thing, "__closure__", None) or ()]
    constants = [_code(constant, (*seen, code)) for constant in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), constants, cells, repr(getattr(thing, "__defaults__", None))]


def _write(file: Path, values: Mapping, counts: Mapping) -> None:
    index = json.dumps({"keys": list(values), "counts": counts})
    part = file.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as stream:
        np.savez(stream, index=np.array(index), **{f"values{k}": value for k, value in enumerate(values.values())})
    os.replace(part, file)


def _read(file: Path) -> tuple[dict, dict]:
    with np.load(file) as stored:
        index = json.loads(str(stored["index"]))
        return {tuple(key): stored[f"values{k}"] for k, key in enumerate(index["keys"])}, index["counts"]
