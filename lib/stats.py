"""Intervals for differences between arms that were measured on the same examples and seeds.

Arrays are [S, N]: one row a seed, one column a test example; the same example and the same seed in every arm. What an
interval covers is said, never mixed:
`examples`  another test set, the seeds as they are: paired bootstrap of the mean over seeds (BCa for means, percentile
            for a statistic; Efron and Tibshirani 1993, chapters 13 and 14)
`seeds`     another training run, the examples as they are: t interval with S - 1 degrees of freedom
`both`      SE^2 = a + b with a = variance over seeds / S and b = variance over examples of the mean over seeds / N;
            t with (a + b)^2 / (a^2 / (S - 1) + b^2 / (N - 1)) degrees of freedom (Satterthwaite 1946).
            Simulated, 95 % means 92 to 97 % with 3 seeds or more, but as little as 87 % with 2
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit  # normal and t; scipy.stats takes a second to import

DRAWS = 2000  # of the bootstrap
COVERS = ("examples", "seeds", "both")
MOST_EXAMPLES, MOST_SEEDS = 1_000_000, 100  # `settle` looks no further


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval, in the unit of the measurement."""

    estimate: float  # method - baseline, or the sum of a contrast; for `wilson` the proportion
    low: float
    high: float
    level: float
    covers: str
    n: int  # examples; over all blocks of a contrast
    seeds: int
    method: float = float("nan")  # mean over seeds; of a contrast: sum of the terms with positive weight
    baseline: float = float("nan")  # likewise, of the terms with negative weight
    seed_variance: float = 0.0  # a of the module's formula; 0 where seeds are not covered
    example_variance: float = 0.0  # b
    shared_variance: float = 0.0  # contained in both: what seed and example do together; shrinks with either

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    def times(self, factor: float) -> "Interval":
        """The same interval in another unit or, with a negative factor, turned round."""
        low, high = sorted((self.low * factor, self.high * factor))
        sides = {name: getattr(self, name) * abs(factor) for name in ("method", "baseline")}
        names = ("seed_variance", "example_variance", "shared_variance")
        variances = {name: getattr(self, name) * factor**2 for name in names}
        return replace(self, estimate=self.estimate * factor, low=low, high=high, **sides, **variances)


@dataclass(frozen=True)
class Size:
    """What would settle an open question. None: not covered by the interval, or beyond reach by that alone."""

    examples: int | None  # with the seeds there are
    seeds: int | None  # with the examples there are
    together: tuple[int, int] | None  # (examples, seeds), growing both least, where neither alone is enough
    interval: Interval

    def __str__(self) -> str:
        parts = []
        if self.examples:
            parts.append(f"{self.examples:,} examples instead of {self.interval.n:,}")
        if self.seeds:
            parts.append(f"{self.seeds} seeds instead of {self.interval.seeds}")
        if not parts and self.together:
            parts.append(f"{self.together[0]:,} examples in {self.together[1]} seeds")
        return "about " + " or ".join(parts) if parts else "no number of examples and seeds within reach"


def interval(
    method: np.ndarray,
    baseline: np.ndarray,
    covers: str,
    statistic: Callable | None = None,
    level: float = 0.95,
    seed: int = 0,
    draws: int = DRAWS,
) -> Interval:
    """Interval of method - baseline.

    method, baseline: [S, N], paired; with a statistic [S, N, ...] (say score and label of each example).
    covers:           "examples", "seeds" or "both" (module docstring).
    statistic:        f(rows [N, ...]) -> float of one seed's examples, for what is no mean (AUROC, mIoU, harmonic
                      means); recomputed in every bootstrap draw, on the same examples in both arms.
    Raises ValueError for shapes that differ, values that are not finite, too few seeds or examples.
    """
    method, baseline = _checked(method, statistic, "method"), _checked(baseline, statistic, "baseline")
    if method.shape != baseline.shape:
        raise ValueError(
            f"method {list(method.shape)} and baseline {list(baseline.shape)} differ in shape; give both the same "
            "seeds and examples (an arm without randomness: np.broadcast_to(values, shape); other ones: contrast)"
        )
    return contrast([(1.0, method), (-1.0, baseline)], covers, statistic, level, seed, draws)


def contrast(
    terms: Sequence[tuple[float, np.ndarray]],
    covers: str,
    statistic: Callable | None = None,
    level: float = 0.95,
    seed: int = 0,
    draws: int = DRAWS,
) -> Interval:
    """Interval of a weighted sum, such as the gain at 16 shots minus the gain at 1 shot.

    terms: [(weight, values [S, N_k])], the same seeds in all. Terms with the same number of examples are paired by
    column; terms with another number are another, independent block of examples. (Where two blocks of equal size hold
    different examples in random order, pairing them changes nothing on average: their covariance is zero.)
    """
    terms = [(float(weight), _checked(values, statistic, f"term {k}")) for k, (weight, values) in enumerate(terms)]
    num_seeds = _check_sizes(terms, covers, level)
    sizes = sorted({values.shape[1] for _, values in terms})
    value = statistic or np.mean
    per_term = [(weight, np.array([value(row) for row in values], float)) for weight, values in terms]
    if any(np.shape(each) != (num_seeds,) or not np.isfinite(each).all() for _, each in per_term):
        raise ValueError(f"statistic returns {per_term[0][1]}; it must return one finite number for one seed's rows")
    per_seed = sum(weight * each for weight, each in per_term)
    estimate = float(per_seed.mean())
    method = float(sum(weight * each.mean() for weight, each in per_term if weight > 0))
    result = Interval(estimate, estimate, estimate, level, covers, sum(sizes), num_seeds, method, method - estimate)
    blocks = [] if statistic else [_block(terms, size) for size in sizes]
    means = [block.mean(0) for block in blocks]
    rng = np.random.default_rng(seed)
    sample = _draw_statistic(terms, sizes, statistic, draws, rng) if statistic and covers != "seeds" else None
    if covers == "examples":
        sample = _draw_means(means, draws, rng) if sample is None else sample
        quantiles = [(1 - level) / 2, (1 + level) / 2] if statistic else _bca(means, sample, estimate, level)
        low, high = (float(end) for end in np.quantile(sample, quantiles))
        return replace(result, low=low, high=high, example_variance=float(sample.var(ddof=1)))

    a = float(per_seed.var(ddof=1)) / num_seeds
    parts, shared = [(a, num_seeds - 1)], 0.0
    if covers == "both" and statistic:
        parts += [(float(sample.var(ddof=1)), sum(sizes) - len(sizes))]
    elif covers == "both":
        parts += [(float(mean.var(ddof=1)) / len(mean), len(mean) - 1) for mean in means]
        shared = sum(_shared(block) for block in blocks)
    half, b = _half_width(parts, level), sum(variance for variance, _ in parts[1:])
    result = replace(result, seed_variance=a, example_variance=b, shared_variance=min(shared, a, b))
    return replace(result, low=estimate - half, high=estimate + half)


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's interval of a proportion: `successes` of `n` examples (for gates; arms are compared with `interval`)."""
    from scipy.stats import binomtest

    if n < 1 or not 0 <= successes <= n or successes != int(successes):
        raise ValueError(f"{successes} successes of {n}; give whole numbers with 0 <= successes <= n and n >= 1")
    ends = binomtest(int(successes), int(n)).proportion_ci(level, method="wilson")
    return Interval(float(successes / n), float(ends.low), float(ends.high), level, "examples", int(n), 1)


def settle(interval: Interval, margin: float, kind: str = "better") -> Size:
    """How many examples or seeds would bring the half-width below the distance from the estimate to the nearest
    boundary (better: margin; kept: -margin; tie: either), supposing that estimate and variances stay as they are.
    """
    boundaries = {"better": [margin], "kept": [-margin], "tie": [-margin, margin]}[kind]
    distance = min(abs(interval.estimate - boundary) for boundary in boundaries)

    def examples_for(seeds: int) -> int | None:
        return _smallest(lambda n: _expected(interval, seeds, n) < distance, interval.n, MOST_EXAMPLES)

    examples = examples_for(interval.seeds) if interval.covers != "seeds" else None
    if interval.covers == "examples":
        return Size(_rounded(examples), None, None, interval)
    seeds = _smallest(lambda s: _expected(interval, s, interval.n) < distance, interval.seeds, MOST_SEEDS)
    pairs = []
    if interval.covers == "both" and not examples and not seeds:
        pairs = [(_rounded(n), s) for s in range(interval.seeds, MOST_SEEDS + 1) if (n := examples_for(s))]
    together = min(pairs, key=lambda pair: pair[0] / interval.n + pair[1] / interval.seeds, default=None)
    return Size(_rounded(examples), seeds, together, interval)


def _checked(values, statistic: Callable | None, name: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    shape = list(values.shape)
    if values.ndim < 2 or (values.ndim > 2 and statistic is None):
        raise ValueError(f"{name} has shape {shape}; give [seeds, examples] (values[None, :]), or a statistic of rows")
    if values.size == 0:
        raise ValueError(f"{name} has shape {shape}: there is nothing to compare")
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"{name} has {len(bad)} values not finite, first {values[tuple(bad[0])]} at seed row {bad[0][0]}, "
            f"example {bad[0][1]}; mend the measurement, or leave that example out in every arm"
        )
    return values


def _check_sizes(terms: list, covers: str, level: float) -> int:
    """Number of seeds, after checks."""
    if covers not in COVERS:
        raise ValueError(f"covers is '{covers}'; choose one of {', '.join(COVERS)}")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; give a fraction between 0 and 1, such as 0.95")
    weights = [weight for weight, _ in terms]
    if len(terms) < 2 or min(weights) >= 0:
        raise ValueError(f"a contrast has weights {weights}; give two terms or more, one negative")
    seeds = sorted({len(values) for _, values in terms})
    if len(seeds) > 1:
        raise ValueError(f"terms have {seeds} seeds; all need the same (an arm without randomness: np.broadcast_to)")
    if covers != "examples" and seeds[0] < 2:
        raise ValueError(f"{seeds[0]} seed cannot say how much seeds vary; run two or more, or let it cover 'examples'")
    fewest = min(values.shape[1] for _, values in terms)
    if covers != "seeds" and fewest < 2:
        raise ValueError(
            f"{fewest} example per seed says not how examples vary; keep each one's value or cover 'seeds'"
        )
    return seeds[0]


def _block(terms: list, size: int) -> np.ndarray:
    """Contribution of each example of one block to the estimate. [S, N_k]"""
    return sum(weight * values for weight, values in terms if values.shape[1] == size)


def _shared(block: np.ndarray) -> float:
    """Variance of the estimate from what seeds [S] and examples [N] do together: two-way residual mean square / S N."""
    rest = block - block.mean(0) - block.mean(1, keepdims=True) + block.mean()
    return float((rest**2).sum() / ((len(block) - 1) * (block.shape[1] - 1) * block.size))


def _draw_means(means: list, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Bootstrap distribution of the sum of the blocks' means. [draws]"""
    total = np.zeros(draws)
    for block in means:
        step = max(1, 4_000_000 // len(block))  # bounds memory to some 64 MB
        for start in range(0, draws, step):
            part = total[start : start + step]
            part += block[rng.integers(len(block), size=(len(part), len(block)))].mean(1)
    return total


def _draw_statistic(terms: list, sizes: list, statistic: Callable, draws: int, rng) -> np.ndarray:
    """Bootstrap distribution of the contrast of a statistic, mean over seeds. [draws]"""
    total = np.zeros(draws)
    for draw in range(draws):
        chosen = {size: rng.integers(size, size=size) for size in sizes}
        for weight, values in terms:
            rows = values[:, chosen[values.shape[1]]]
            total[draw] += weight * np.mean([statistic(row) for row in rows])
    if not np.isfinite(total).all():
        raise ValueError("statistic is not finite in some bootstrap draws; measure more examples of the rarest kind")
    return total


def _bca(means: list, sample: np.ndarray, estimate: float, level: float) -> np.ndarray:
    """Quantiles at which a BCa interval reads the bootstrap distribution of a mean; the jackknife has a closed form."""
    ends = ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    influence = np.concatenate([(block - block.mean()) / len(block) for block in means])
    spread = (influence**2).sum()
    if spread < 1e-30:  # every example says the same
        return ndtr(ends)
    tie = 1e-9 * spread**0.5
    below = (sample < estimate - tie).mean() + (np.abs(sample - estimate) <= tie).mean() / 2
    bias = ndtri(np.clip(below, 0.5 / len(sample), 1 - 0.5 / len(sample)))
    acceleration = (influence**3).sum() / (6 * spread**1.5)
    return ndtr(bias + (bias + ends) / (1 - acceleration * (bias + ends)))


def _half_width(parts: list[tuple[float, int]], level: float) -> float:
    """t quantile times the root of summed (variance, degrees of freedom) parts."""
    variance = sum(part for part, _ in parts)
    if variance <= 0:
        return 0.0
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    return float(stdtrit(freedom, (1 + level) / 2) * variance**0.5)


def _expected(interval: Interval, seeds: int, n: int) -> float:
    """Half-width to expect of an interval like this one from another number of seeds and examples."""
    if interval.covers == "examples":
        return interval.half_width * (interval.n / n) ** 0.5
    more_seeds, more_examples, shared = interval.seeds / seeds, interval.n / n, interval.shared_variance
    together = shared * more_seeds * more_examples
    parts = [((interval.seed_variance - shared) * more_seeds + together, seeds - 1)]
    if interval.covers == "both":
        parts.append(((interval.example_variance - shared) * more_examples + together, n - 1))
    return _half_width(parts, interval.level)


def _smallest(enough: Callable[[int], bool], start: int, limit: int) -> int | None:
    """Smallest number in [start, limit] that is `enough` (as is every larger one then); None if there is none."""
    found = start + bisect_left(range(start, limit + 1), True, key=enough)
    return found if found <= limit else None


def _rounded(number: int | None) -> int | None:
    """Up to two digits: an estimate of a size is not better known."""
    unit = 10 ** max(0, len(str(number)) - 2)
    return number and -(-number // unit) * unit
