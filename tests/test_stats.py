"""Intervals against hand counts, plain loops and simulated coverage."""

import numpy as np
import pytest
from scipy.stats import bootstrap, t

from lib import metrics, stats


def arms(seed=0, seeds=3, n=200, effect=0.1):
    """Two arms [seeds, n] of 0 and 1 that share the difficulty of the examples."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n)
    method = (rng.random((seeds, n)) + effect > hard).astype(float)
    baseline = (rng.random((seeds, n)) > hard).astype(float)
    return method, baseline


def test_seeds_by_hand():
    method, baseline = np.array([[2.0], [4.0], [6.0]]), np.array([[1.0], [2.0], [3.0]])
    found = stats.interval(method, baseline, "seeds")  # differences 1, 2, 3: mean 2, deviation 1
    assert found.estimate == 2
    assert found.half_width == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert (found.method, found.baseline, found.n, found.seeds) == (4, 2, 1, 3)


def test_both_equals_a_plain_loop():
    method, baseline = arms()
    difference = method - baseline
    num_seeds, n = difference.shape
    per_seed = [sum(difference[s]) / n for s in range(num_seeds)]
    per_example = [sum(difference[s, i] for s in range(num_seeds)) / num_seeds for i in range(n)]
    mean = sum(per_seed) / num_seeds
    a = sum((value - mean) ** 2 for value in per_seed) / (num_seeds - 1) / num_seeds
    b = sum((value - mean) ** 2 for value in per_example) / (n - 1) / n
    freedom = (a + b) ** 2 / (a**2 / (num_seeds - 1) + b**2 / (n - 1))
    half = t.ppf(0.975, freedom) * (a + b) ** 0.5
    found = stats.interval(method, baseline, "both")
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half), rel=1e-9)
    assert (found.seed_variance, found.example_variance) == pytest.approx((a, b))


def test_both_with_arms_without_noise_between_seeds_is_the_t_interval_over_examples():
    method, baseline = arms(seeds=1)
    found = stats.interval(np.repeat(method, 3, 0), np.repeat(baseline, 3, 0), "both")
    difference = (method - baseline)[0]
    half = t.ppf(0.975, len(difference) - 1) * difference.std(ddof=1) / len(difference) ** 0.5
    assert found.half_width == pytest.approx(half)


def test_examples_agree_with_scipy_bca():
    rng = np.random.default_rng(1)
    method, baseline = rng.exponential(size=(1, 40)) ** 2, rng.random((1, 40))  # skewed: BCa is not symmetric
    found = stats.interval(method, baseline, "examples", draws=20_000)
    difference = (method - baseline)[0]
    ends = bootstrap((difference,), np.mean, n_resamples=20_000, method="BCa", rng=0).confidence_interval
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), abs=0.05 * found.half_width)
    assert found.high - found.estimate > found.estimate - found.low


def test_examples_are_resampled_together_in_both_arms():
    hard = np.random.default_rng(0).random((1, 300))
    assert stats.interval(hard + 0.1, hard, "examples").half_width == pytest.approx(0, abs=1e-12)
    assert stats.interval(hard + 0.1, hard[:, ::-1], "examples").half_width > 0.03


def test_large_arrays_are_drawn_in_parts(monkeypatch):
    method, baseline = arms(n=3000)
    whole = stats.interval(method, baseline, "examples", draws=400)
    plain = 1.96 * (method - baseline).mean(0).std(ddof=1) / 3000**0.5
    assert whole.half_width == pytest.approx(plain, rel=0.15)  # 400 draws
    assert stats.interval(np.tile(method, 5), np.tile(baseline, 5), "examples", draws=400).half_width < whole.half_width


@pytest.mark.parametrize("covers", stats.COVERS)
def test_turning_the_arms_round_turns_the_interval_round(covers):
    method, baseline = arms()
    one, other = stats.interval(method, baseline, covers), stats.interval(baseline, method, covers)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=2e-3 if covers == "examples" else 1e-12)
    back = one.times(-100)
    assert (back.estimate, back.low, back.high) == pytest.approx((-100 * one.estimate, -100 * one.high, -100 * one.low))
    assert back.half_width == pytest.approx(100 * one.half_width)
    assert back.method == pytest.approx(100 * one.method)


@pytest.mark.parametrize("covers", stats.COVERS)
def test_the_order_of_examples_and_seeds_does_not_matter(covers):
    method, baseline = arms()
    order = np.random.default_rng(3).permutation(method.shape[1])
    one = stats.interval(method, baseline, covers)
    other = stats.interval(method[::-1, order], baseline[::-1, order], covers)
    tolerance = 0.1 * one.half_width if covers == "examples" else 1e-9  # other bootstrap draws
    assert (other.low, other.high) == pytest.approx((one.low, one.high), abs=tolerance)


@pytest.mark.parametrize("covers", stats.COVERS)
def test_same_call_same_bytes(covers):
    assert stats.interval(*arms(), covers) == stats.interval(*arms(), covers)


@pytest.mark.parametrize("covers", stats.COVERS)
def test_equal_arms_give_zero(covers):
    method, _ = arms()
    found = stats.interval(method, method.copy(), covers)
    assert (found.estimate, found.low, found.high) == (0, 0, 0)


@pytest.mark.parametrize("covers", ["examples", "both"])
def test_a_mean_as_statistic_agrees_with_the_fast_path(covers):
    method, baseline = arms(n=120)
    plain, slow = (stats.interval(method, baseline, covers, f) for f in (None, np.mean))
    assert slow.estimate == pytest.approx(plain.estimate)
    assert (slow.low, slow.high) == pytest.approx((plain.low, plain.high), abs=0.1 * plain.half_width)


def scored(seed, seeds=2, n=150, shift=1.0):
    """Rows (score, positive) [seeds, n, 2] with the same labels in every seed."""
    rng = np.random.default_rng(seed)
    positive = np.arange(n) % 3 == 0
    return np.stack([np.stack([rng.normal(size=n) + shift * positive, positive], 1) for _ in range(seeds)])


def test_statistic_equals_a_plain_bootstrap():
    method, baseline, auroc = scored(0, shift=2.0), scored(1), metrics.STATISTICS["auroc"]
    found = stats.interval(method, baseline, "examples", auroc, seed=7, draws=200)
    rng, sample = np.random.default_rng(7), []
    for _ in range(200):
        rows = rng.integers(150, size=150)
        sample.append(np.mean([auroc(method[s, rows]) - auroc(baseline[s, rows]) for s in range(2)]))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(sample, [0.025, 0.975])))
    both = stats.interval(method, baseline, "both", auroc, seed=7, draws=200)
    assert both.example_variance == pytest.approx(np.var(sample, ddof=1))
    assert both.half_width > found.half_width
    assert found.method == pytest.approx(np.mean([auroc(rows) for rows in method]))


def test_statistic_over_classes():
    """mIoU from counts [N, C, 2] (intersection, union) of each image."""
    counts = np.random.default_rng(0).integers(1, 50, (2, 40, 3, 1)).repeat(2, -1)
    counts[..., 1] += 20

    def miou(rows):
        intersection, union = rows.sum(0).T
        return float((intersection / union).mean())

    found = stats.interval(counts + np.array([5, 0]), counts, "both", miou, draws=100)
    assert 0 < found.low < found.estimate < found.high


def test_contrast_of_gains_on_the_same_examples():
    one, two, three, four = *arms(0, n=500), *arms(1, n=500)
    found = stats.contrast([(1, one), (-1, two), (-1, three), (1, four)], "both")
    assert found.half_width == pytest.approx(stats.interval(one + four, two + three, "both").half_width)
    assert found.n == 500
    assert found.method == pytest.approx(one.mean() + four.mean())
    assert found.baseline == pytest.approx(two.mean() + three.mean())


def test_contrast_over_two_test_sets_adds_their_variances():
    small, large = arms(0, n=100), arms(1, n=400)
    found = stats.contrast([(1, small[0]), (-1, small[1]), (-1, large[0]), (1, large[1])], "both")
    parts = [stats.interval(*pair, "both").example_variance for pair in (small, large)]
    assert found.example_variance == pytest.approx(sum(parts))
    assert found.n == 500
    drawn = stats.contrast([(1, small[0]), (-1, small[1]), (-1, large[0]), (1, large[1])], "examples")
    assert drawn.half_width == pytest.approx(1.96 * sum(parts) ** 0.5, rel=0.1)
    auroc = stats.contrast([(1, scored(0, n=60)), (-1, scored(1, n=90))], "examples", metrics.STATISTICS["auroc"])
    assert auroc.n == 150


def simulate(covers, trials=1500, num_seeds=3, n=300, seed_noise=0.02, effect=0.05):
    """Share of intervals that hold the true effect, when examples, seeds and their interaction all vary."""
    rng = np.random.default_rng(0)
    hit = 0
    for _ in range(trials):
        noise = rng.normal(0, seed_noise, (num_seeds, 1)) + rng.normal(0, 0.35, n) + rng.normal(0, 0.3, (num_seeds, n))
        found = stats.interval(effect + noise, np.zeros_like(noise), covers, draws=200)
        hit += found.low <= effect <= found.high
    return hit / trials


@pytest.mark.parametrize(
    "num_seeds, seed_noise, expected",
    [(3, 0, 0.969), (3, 0.02, 0.963), (3, 0.05, 0.941), (3, 0.1, 0.925), (3, 1, 0.946), (5, 0.1, 0.943)],
)
def test_coverage_of_both_is_about_95_percent(num_seeds, seed_noise, expected):
    """With 3 seeds 92 to 97 % (expected: 20,000 trials); lowest where seeds are some 4 times as loud as examples."""
    assert simulate("both", num_seeds=num_seeds, seed_noise=seed_noise) == pytest.approx(expected, abs=0.02)


def test_coverage_of_one_source_alone_is_too_low():
    assert simulate("seeds", seed_noise=0.01) < 0.92
    assert simulate("examples", seed_noise=0.1, trials=500) < 0.75


def test_coverage_of_examples_is_95_percent_where_only_examples_vary():
    rng, hit = np.random.default_rng(1), 0
    for _ in range(600):
        method = (rng.random((1, 150)) < 0.9).astype(float)
        found = stats.interval(method, np.full((1, 150), 0.5), "examples", draws=500)
        hit += found.low <= 0.4 <= found.high
    assert 0.92 <= hit / 600 <= 0.98  # +- 0.018


def test_wilson_by_hand():
    found = stats.wilson(8, 10)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)
    assert stats.wilson(0, 20).low == 0
    for successes, n in ((3, 2), (-1, 5), (1.5, 3), (0, 0)):
        with pytest.raises(ValueError, match="whole numbers"):
            stats.wilson(successes, n)


def test_settle_says_a_size_that_settles():
    method, baseline = arms(n=400, effect=0.06)
    found = stats.interval(method, baseline, "examples")
    size = stats.settle(found, found.estimate + 0.01)
    assert size.seeds is None
    assert size.examples == pytest.approx(400 * (found.half_width / 0.01) ** 2, rel=0.1)
    assert stats._expected(found, 3, size.examples) < 0.01
    assert "examples instead of 400" in str(size)


def test_settle_with_seeds():
    found = stats.interval(np.array([[0.1], [0.2], [0.3]]), np.zeros((3, 1)), "seeds")
    size = stats.settle(found, 0.1)  # deviation 0.1: t * 0.1 / sqrt(S) < 0.1
    by_hand = next(s for s in range(2, 99) if t.ppf(0.975, s - 1) * 0.1 / s**0.5 < 0.1)
    assert (size.examples, size.seeds) == (None, by_hand)
    assert str(size) == f"about {by_hand} seeds instead of 3"
    assert stats.settle(found, found.estimate).seeds is None
    assert "no number" in str(stats.settle(found, found.estimate))


def test_settle_of_both_needs_both_where_neither_is_enough():
    found = stats.Interval(0, -0.1, 0.1, 0.95, "both", 300, 3, seed_variance=0.0004, example_variance=0.0004)
    size = stats.settle(found, 0.03)  # 0.086 with all examples of the world, 0.039 with all seeds
    assert size.examples is None and size.seeds is None
    examples, seeds = size.together
    assert stats._expected(found, seeds, examples) < 0.03 < stats._expected(found, seeds, examples * 0.9)
    assert f"{examples:,} examples in {seeds} seeds" in str(size)


def test_variance_of_seed_and_example_together():
    """Where seeds differ only by chance over examples, more examples alone steady them."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, (20, 1)) + rng.normal(0, 0.3, 500) + rng.normal(0, 0.4, (20, 500))
    found = stats.interval(noise, np.zeros_like(noise), "both")
    assert found.shared_variance == pytest.approx(0.4**2 / 500 / 20, rel=0.03)
    only = stats.interval(rng.normal(0, 0.4, (300, 300)), np.zeros((300, 300)), "both")
    assert stats._expected(only, 300, 1200) == pytest.approx(only.half_width / 2, rel=0.1)
    assert stats._expected(only, 300, 300) == pytest.approx(only.half_width)


def test_settle_knows_the_boundaries_of_each_kind():
    found = stats.interval(*arms(n=300), "examples").times(0)  # an estimate of 0
    found = stats.replace(found, low=-0.2, high=0.2)
    sizes = {kind: stats.settle(found, 0.1, kind).examples for kind in ("better", "kept", "tie")}
    assert len(set(sizes.values())) == 1 and sizes["tie"] == pytest.approx(1200, rel=0.1)


@pytest.mark.parametrize(
    "method, baseline, covers, words",
    [
        (np.zeros((3, 5)), np.zeros((3, 4)), "both", r"\[3, 5\].*\[3, 4\]"),
        (np.zeros(5), np.zeros(5), "examples", r"shape \[5\].*values\[None, :\]"),
        (np.zeros((1, 5)), np.zeros((1, 5)), "both", "1 seed cannot"),
        (np.zeros((1, 5)), np.zeros((1, 5)), "seeds", "1 seed cannot"),
        (np.zeros((3, 1)), np.zeros((3, 1)), "both", "1 example per seed says not"),
        (np.zeros((3, 1)), np.zeros((3, 1)), "examples", "cover 'seeds'"),
        (np.zeros((3, 5)), np.zeros((3, 5)), "all", "covers is 'all'"),
        (np.zeros((3, 0)), np.zeros((3, 0)), "both", "nothing to compare"),
        (np.zeros((3, 5, 2)), np.zeros((3, 5, 2)), "both", "or a statistic"),
        (
            np.array([[0, np.nan]]),
            np.zeros((1, 2)),
            "examples",
            "method has 1 values not finite, first nan at seed row 0",
        ),
        (np.zeros((1, 2)), np.array([[np.inf, 0]]), "examples", "baseline has 1 values not finite, first inf"),
    ],
)
def test_errors_name_the_value_and_the_fix(method, baseline, covers, words):
    with pytest.raises(ValueError, match=words):
        stats.interval(method, baseline, covers)


def test_more_errors():
    method, baseline = arms()
    with pytest.raises(ValueError, match="level is 95"):
        stats.interval(method, baseline, "both", level=95)
    with pytest.raises(ValueError, match="one negative"):
        stats.contrast([(1, method)], "both")
    with pytest.raises(ValueError, match=r"\[2, 3\] seeds"):
        stats.contrast([(1, method), (-1, baseline[:2])], "both")
    with pytest.raises(ValueError, match="one finite number"):
        stats.interval(method, baseline, "both", lambda rows: rows)
    with pytest.raises(ValueError, match="positive"):
        rare = scored(0, n=30)
        rare[:, :, 1] = np.arange(30) == 0
        stats.interval(rare, rare, "examples", metrics.STATISTICS["auroc"])
