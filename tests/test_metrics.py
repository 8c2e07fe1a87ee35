"""Metrics against hand counts, plain loops and scikit-learn; ties, empty and wrong input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import metrics

SCORES = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [0.4, 0.4, 0.1], [0.1, 0.2, 0.7]])
LABELS = np.array([0, 1, 0, 2])


def test_accuracy_by_hand():
    assert metrics.accuracy_each(SCORES, LABELS).tolist() == [1, 0, 0.5, 1]  # the third ties with one other
    assert metrics.accuracy(SCORES, LABELS) == 0.625
    assert metrics.accuracy_each(SCORES, LABELS, k=2).tolist() == [1, 1, 1, 1]
    assert metrics.accuracy(np.ones((6, 4)), np.zeros(6, int)) == 0.25  # says nothing: chance
    assert metrics.balanced_accuracy(SCORES, LABELS) == pytest.approx((0.75 + 0 + 1) / 3)
    assert metrics.worst_group(SCORES, LABELS, np.array([0, 0, 1, 1])) == 0.5


def test_accuracies_agree_with_scikit_learn():
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score

    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(200, 5)), rng.integers(0, 5, 200)
    assert metrics.accuracy(scores, labels) == pytest.approx(accuracy_score(labels, scores.argmax(1)))
    assert metrics.accuracy(scores, labels, k=3) == pytest.approx(top_k_accuracy_score(labels, scores, k=3))
    assert metrics.balanced_accuracy(scores, labels) == pytest.approx(balanced_accuracy_score(labels, scores.argmax(1)))


def test_harmonic_mean():
    assert metrics.harmonic_mean(0.5, 1.0) == pytest.approx(2 / 3)
    assert metrics.harmonic_mean(0, 1) == metrics.harmonic_mean(0, 0) == 0
    with pytest.raises(ValueError, match="-1"):
        metrics.harmonic_mean(-1, 0.5)


def test_recall_by_hand():
    similarity = np.array([[3, 2, 1, 0], [0, 1, 2, 3], [1, 1, 1, 0]])
    positives = np.array([[0, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0]], bool)
    assert metrics.recall_at_each(similarity, positives, 1) == pytest.approx([0, 0, 1 / 3])
    assert metrics.recall_at_each(similarity, positives, 2) == pytest.approx([1, 1, 2 / 3])
    assert metrics.recall_at(similarity, positives, 4) == 1


def test_a_tie_with_one_other_counts_half():
    assert metrics.recall_at(np.array([[1.0, 1.0, 0.0]]), np.array([[True, False, False]]), 1) == 0.5
    assert metrics.recall_at(np.array([[1.0, 1.0, 0.0]]), np.array([[True, True, False]]), 1) == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7))
def test_recall_is_the_mean_over_random_orders_of_ties(seed, k):
    """Against the plain loop: sort with drawn lots, look for a positive among the first k."""
    rng = np.random.default_rng(seed)
    similarity = rng.integers(0, 3, (1, 6)).astype(float)
    positives = np.zeros((1, 6), bool)
    positives[0, rng.choice(6, rng.integers(1, 4), replace=False)] = True
    hits = [positives[0, np.lexsort((rng.random(6), -similarity[0]))[:k]].any() for _ in range(1500)]
    assert metrics.recall_at(similarity, positives, k) == pytest.approx(np.mean(hits), abs=0.07)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_recall_does_not_change_with_order_or_scale(seed):
    rng = np.random.default_rng(seed)
    similarity, positives = rng.normal(size=(8, 9)).round(1), rng.random((8, 9)) < 0.3
    positives[:, 0] |= ~positives.any(1)
    columns = rng.permutation(9)
    each = metrics.recall_at_each(similarity, positives, 3)
    assert metrics.recall_at_each(similarity[:, columns], positives[:, columns], 3) == pytest.approx(each)
    assert metrics.recall_at_each(similarity * 7 + 2, positives, 3) == pytest.approx(each)
    assert (metrics.recall_at_each(similarity, positives, 4) >= each - 1e-12).all()


def test_both_directions_of_retrieval():
    similarity = np.array([[3.0, 2, 1], [4, 1, 0], [0, 1, 2]])
    assert metrics.i2t_r1_each(similarity).tolist() == [1, 0, 1]
    assert metrics.t2i_r1_each(similarity).tolist() == [0, 0, 1]
    assert metrics.i2t_r1(similarity) == pytest.approx(2 / 3)
    assert metrics.t2i_r1(similarity) == pytest.approx(1 / 3)
    assert metrics.i2t_r5(similarity) == metrics.t2i_r10(similarity) == 1


def test_identical_texts_are_merged():
    similarity = np.array([[5.0, 5.0, 1], [6, 6, 0], [7, 7, 2]])
    texts = ["a cup", "a cup", "a key"]
    assert metrics.i2t_r1_each(similarity).tolist() == [0.5, 0.5, 0]
    assert metrics.i2t_r1_each(similarity, texts=texts).tolist() == [1, 1, 0]
    assert metrics.t2i_r1_each(similarity, texts=texts).tolist() == [0, 0, 1]  # image 2 is best for all three
    similarity[2] = [0, 0, 2]
    assert metrics.t2i_r1_each(similarity, texts=texts).tolist() == [1, 1, 1]  # image 1 is right for both cups


def test_retrieval_with_several_captions_per_image():
    similarity = np.random.default_rng(0).normal(size=(4, 12))
    positives = np.arange(12) // 3 == np.arange(4)[:, None]
    plain = [similarity[i].argmax() // 3 == i for i in range(4)]
    assert metrics.i2t_r1_each(similarity, positives).tolist() == plain
    assert len(metrics.t2i_r5_each(similarity, positives)) == 12


def test_mean_average_precision():
    similarity = np.array([[4.0, 3, 2, 1]])
    positives = np.array([[True, False, True, False]])
    assert metrics.map(similarity, positives) == pytest.approx((1 + 2 / 3) / 2)
    without = np.array([[True, False, False, False]])  # the query itself
    assert metrics.map(similarity, positives, exclude=without) == 0.5
    with pytest.raises(ValueError, match="no positive"):
        metrics.map(similarity, without, exclude=without)


def test_auroc():
    from sklearn.metrics import roc_auc_score

    assert metrics.auroc(np.array([3, 2, 1, 0]), np.array([True, False, True, False])) == 0.75
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 9, 100), rng.random(100) < 0.3
    assert metrics.auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    assert metrics.auroc(-scores, positive) == pytest.approx(1 - metrics.auroc(scores, positive))
    assert metrics.auroc(scores, positive, 0.3) == pytest.approx(roc_auc_score(positive, scores, max_fpr=0.3))
    assert metrics.auroc(np.ones(4), np.array([True, False, True, False])) == 0.5


def test_fpr95():
    positive = np.arange(40) < 20
    scores = np.where(positive, 100.0 - np.arange(40), 0)
    assert metrics.fpr95(scores, positive) == 0
    scores[20:22] = 85  # above 4 of the 20 positives, and tied with one more
    assert metrics.fpr95(scores, positive) == 0.1
    assert metrics.fpr95(np.ones(40), positive) == pytest.approx(0.95)  # on the diagonal between (0, 0) and (1, 1)
    scores = np.concatenate([np.full(9, 3.0), [1.0], np.full(4, 2.0), np.full(6, 0.0)])
    assert metrics.fpr95(scores, np.arange(20) < 10) == 0.4  # nine positives, then four others


def test_ece():
    confidence, correct = np.array([0.95, 0.95, 0.55, 0.55]), np.array([1, 1, 1, 0])
    assert metrics.ece(confidence, correct, bins=10) == pytest.approx(0.05)
    assert metrics.ece(np.ones(4), np.ones(4)) == 0
    assert metrics.ece(np.array([0.2, 0.4]), np.array([1, 0]), bins=1) == pytest.approx(0.2)
    rng = np.random.default_rng(0)
    confidence, plain = rng.random(300), 0.0
    correct = (rng.random(300) < confidence**2).astype(float)
    for low in range(15):
        inside = [i for i in range(300) if low / 15 < confidence[i] <= (low + 1) / 15]
        plain += len(inside) / 300 * abs(np.mean(correct[inside]) - np.mean(confidence[inside])) if inside else 0
    assert metrics.ece(confidence, correct) == pytest.approx(plain)
    with pytest.raises(ValueError, match="probabilities"):
        metrics.ece(confidence * 9, correct)


def test_errors_and_correlations():
    assert metrics.rmse([1, 2], [1, 4]) == pytest.approx(math.sqrt(2))
    assert metrics.srcc([1, 2, 3, 9], [1, 4, 9, 16]) == 1
    assert metrics.plcc([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert metrics.plcc([1, 2, 3], [1, 2, 0]) == pytest.approx(-0.5)
    with pytest.raises(ValueError, match="constant"):
        metrics.srcc([1, 1, 1], [1, 2, 3])


def test_gap():
    image, text = np.eye(2, 3), np.eye(3)[[2, 2]]
    assert metrics.gap(image, text) == pytest.approx(math.sqrt(0.25 + 0.25 + 1))
    assert metrics.gap(image, image[::-1]) == 0
    with pytest.raises(ValueError, match="length 1"):
        metrics.gap(image * 2, text)
    with pytest.raises(ValueError, match=r"\[2, 4\]"):
        metrics.gap(image, np.eye(2, 4))


def test_statistics_of_rows_are_the_metrics():
    rng = np.random.default_rng(0)
    score, positive = rng.random(60), rng.random(60) < 0.5
    rows = np.stack([score, positive], 1)
    for name in ("auroc", "fpr95"):
        assert metrics.STATISTICS[name](rows) == getattr(metrics, name)(score, positive)
    for name in ("ece", "rmse", "srcc", "plcc"):
        assert metrics.STATISTICS[name](rows) == getattr(metrics, name)(score, positive.astype(float))
    scores, labels = rng.random((60, 3)), np.arange(60) % 3
    rows = np.stack([metrics.accuracy_each(scores, labels), labels], 1)
    assert metrics.STATISTICS["balanced_accuracy"](rows) == pytest.approx(metrics.balanced_accuracy(scores, labels))
    assert metrics.STATISTICS["worst_group"](rows) == pytest.approx(metrics.worst_group(scores, labels, labels))
    rows = np.array([[1, 0], [0, 0], [1, 1]])
    assert metrics.STATISTICS["harmonic_mean"](rows) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="1 groups"):
        metrics.STATISTICS["harmonic_mean"](rows[:2])


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: metrics.accuracy(SCORES, LABELS[:3]), r"\[4, 3\] and labels \[3\]"),
        (lambda: metrics.accuracy(SCORES, LABELS + 1), r"in \[1, 3\]"),
        (lambda: metrics.accuracy(SCORES, LABELS.astype(float)), "float64"),
        (lambda: metrics.accuracy(np.zeros((0, 3)), np.zeros(0, int)), "N > 0"),
        (lambda: metrics.accuracy(SCORES * np.nan, LABELS), "not finite"),
        (lambda: metrics.accuracy(SCORES, LABELS, k=0), "k is 0"),
        (lambda: metrics.worst_group(SCORES, LABELS, LABELS[:2]), r"groups \[2\]"),
        (lambda: metrics.recall_at(SCORES, LABELS, 1), r"positives is int64 \[4\]"),
        (lambda: metrics.recall_at(SCORES, SCORES > 0.45, 1), "1 of 4 queries have no positive, first row 2"),
        (lambda: metrics.i2t_r1(SCORES), "not square"),
        (lambda: metrics.i2t_r1(np.eye(3), texts=["a"]), "1 texts"),
        (lambda: metrics.auroc(SCORES[:, 0], LABELS), "give bool"),
        (lambda: metrics.auroc(SCORES[:, 0], LABELS < 9), "both kinds"),
        (lambda: metrics.rmse([1], [1, 2]), r"\[1\] and target \[2\]"),
        (lambda: metrics.rmse([np.nan], [1]), "not finite"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
