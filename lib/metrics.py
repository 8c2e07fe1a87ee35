"""Metrics: arrays in, a fraction out. `f(...) -> float`; `f_each(...) -> [N]` where the metric is a mean over examples.

Shapes: scores [N, C] or similarity [Q, G], float; labels int [N]; positive bool [N]. Percent is for tables and figures.
A metric that is no mean is compared with `lib.stats.interval(..., statistic=STATISTICS[name])` over rows [N, 2].
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from lib.metrics_text import (  # noqa: F401  of generated text
    Frequencies,
    bleu4,
    bleu4_of,
    bleu4_rows,
    cider_d,
    cider_d_each,
    tuple_f1,
    tuple_f1_each,
)


def accuracy_each(scores: np.ndarray, labels: np.ndarray, k: int = 1) -> np.ndarray:
    """Whether the true class is among the k best of scores [N, C]; as `recall_at_each` where scores tie. [N]"""
    scores, labels = _classified(scores, labels)
    return recall_at_each(scores, labels[:, None] == np.arange(scores.shape[1]), k)


def accuracy(scores: np.ndarray, labels: np.ndarray, k: int = 1) -> float:
    """Mean of `accuracy_each`."""
    return float(accuracy_each(scores, labels, k).mean())


def balanced_accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes that occur in labels [N] of the accuracy within each."""
    return float(np.mean(_group_means(accuracy_each(scores, labels), np.asarray(labels))))


def worst_group(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """Accuracy in the group (groups int [N]) where it is lowest."""
    return float(np.min(_group_means(accuracy_each(scores, labels), np.asarray(groups))))


def harmonic_mean(base: float, new: float) -> float:
    """2 base new / (base + new); 0 where either is 0."""
    if not (base >= 0 and new >= 0):
        raise ValueError(f"harmonic mean of {base} and {new}: both must be 0 or more")
    return float(2 * base * new / (base + new)) if base and new else 0.0


def recall_at_each(similarity: np.ndarray, positives: np.ndarray, k: int) -> np.ndarray:
    """Whether one of a query's positives is among the k best of its row in similarity [Q, G]. [Q]

    positives: bool [Q, G], at least one in a row. Ties count by what drawing lots would give: half for a positive
    beside one other at the threshold, k / G for a model that scores everything alike.
    """
    similarity, positives = _ranked(similarity, positives)
    if k < 1:
        raise ValueError(f"k is {k}; give 1 or more")
    best = np.where(positives, similarity, -np.inf).max(1, keepdims=True)
    above = (similarity > best).sum(1)
    tied_positives = ((similarity == best) & positives).sum(1)
    tied_others = ((similarity == best) & ~positives).sum(1)
    places = k - above  # left for those that tie
    miss = np.ones(len(similarity))  # chance that the places go to others
    for place in range(min(k, similarity.shape[1])):
        left = np.maximum(tied_others - place, 0)
        miss *= np.where(place < places, left / np.maximum(tied_positives + left, 1), 1.0)
    return 1.0 - miss


def recall_at(similarity: np.ndarray, positives: np.ndarray, k: int) -> float:
    """Mean of `recall_at_each`."""
    return float(recall_at_each(similarity, positives, k).mean())


def i2t_each(similarity: np.ndarray, positives=None, texts: Sequence[str] | None = None, *, k: int = 1) -> np.ndarray:
    """Image to text: recall@k of each image. [N]

    similarity: [N, M], images by texts; positives: bool [N, M], by default the diagonal.
    texts:      the M texts; identical ones are merged into one entry of the gallery, positive for all their images.
    """
    similarity, positives = _merged(similarity, positives, texts)
    first = np.arange(similarity.shape[1])
    if texts is not None:
        first = np.unique(np.asarray(texts), return_index=True)[1]
    return recall_at_each(similarity[:, first], positives[:, first], k)


def t2i_each(similarity: np.ndarray, positives=None, texts: Sequence[str] | None = None, *, k: int = 1) -> np.ndarray:
    """Text to image: recall@k of each text, arguments as `i2t_each`; images of identical texts are positives. [M]"""
    similarity, positives = _merged(similarity, positives, texts)
    return recall_at_each(similarity.T, positives.T, k)


def i2t(similarity: np.ndarray, positives=None, texts: Sequence[str] | None = None, *, k: int = 1) -> float:
    """Mean of `i2t_each`."""
    return float(i2t_each(similarity, positives, texts, k=k).mean())


def t2i(similarity: np.ndarray, positives=None, texts: Sequence[str] | None = None, *, k: int = 1) -> float:
    """Mean of `t2i_each`."""
    return float(t2i_each(similarity, positives, texts, k=k).mean())


i2t_r1, i2t_r5, i2t_r10 = (partial(i2t, k=k) for k in (1, 5, 10))
t2i_r1, t2i_r5, t2i_r10 = (partial(t2i, k=k) for k in (1, 5, 10))
i2t_r1_each, i2t_r5_each, i2t_r10_each = (partial(i2t_each, k=k) for k in (1, 5, 10))
t2i_r1_each, t2i_r5_each, t2i_r10_each = (partial(t2i_each, k=k) for k in (1, 5, 10))


def map_each(similarity: np.ndarray, positives: np.ndarray, exclude: np.ndarray | None = None) -> np.ndarray:
    """Average precision of each query over the gallery. [Q]

    similarity, positives: [Q, G]; exclude: bool [Q, G], entries that do not count, such as the query itself.
    """
    from sklearn.metrics import average_precision_score

    similarity, positives = _ranked(similarity, positives)
    kept = np.ones_like(positives) if exclude is None else ~_boolean("exclude", exclude, positives.shape)
    _need_positive(positives & kept)
    rows = zip(similarity, positives, kept)
    return np.array([average_precision_score(truth[use], row[use]) for row, truth, use in rows])


def map(similarity: np.ndarray, positives: np.ndarray, exclude: np.ndarray | None = None) -> float:
    """Mean average precision: mean of `map_each`."""
    return float(map_each(similarity, positives, exclude).mean())


def auroc(scores: np.ndarray, positive: np.ndarray, max_fpr: float | None = None) -> float:
    """Area under the ROC curve of scores [N], positives higher; ties count half. max_fpr: as in scikit-learn."""
    from sklearn.metrics import roc_auc_score

    scores, positive = _binary(scores, positive)
    if max_fpr is not None:
        return float(roc_auc_score(positive, scores, max_fpr=max_fpr))
    from scipy.stats import rankdata  # the same number ten times as fast, for bootstraps

    num_positive, num_negative = positive.sum(), (~positive).sum()
    return float((rankdata(scores)[positive].sum() / num_positive - (num_positive + 1) / 2) / num_negative)


def fpr95(scores: np.ndarray, positive: np.ndarray) -> float:
    """False-positive rate where the ROC curve, interpolated, reaches a true-positive rate of 0.95; lower is better."""
    from sklearn.metrics import roc_curve

    scores, positive = _binary(scores, positive)
    false_rate, true_rate, _ = roc_curve(positive, scores, drop_intermediate=False)
    end = int(np.argmax(true_rate >= 0.95))  # between this point and the one before it the curve is a straight line
    share = (0.95 - true_rate[end - 1]) / (true_rate[end] - true_rate[end - 1])
    return float(false_rate[end - 1] + share * (false_rate[end] - false_rate[end - 1]))


def ece(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: sum over equal bins of share x |accuracy - mean confidence| (Guo et al. 2017, eq. 3).

    confidence: [N] in [0, 1], the largest probability; correct: [N], 0 or 1.
    """
    confidence, correct = _pair("confidence", confidence, "correct", correct)
    if confidence.min() < 0 or confidence.max() > 1 + 1e-6:
        raise ValueError(f"confidence lies in [{confidence.min():.3g}, {confidence.max():.3g}]; give probabilities")
    chosen = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # (0, 1/bins], (1/bins, 2/bins], ...
    return float(np.abs(np.bincount(chosen, correct - confidence, bins)).sum() / len(correct))


def rmse(predicted: np.ndarray, target: np.ndarray) -> float:
    """Root of the mean squared error of predicted and target [N]; lower is better."""
    predicted, target = _pair("predicted", predicted, "target", target)
    return float(np.sqrt(np.mean((predicted - target) ** 2)))


def srcc(predicted: np.ndarray, target: np.ndarray) -> float:
    """Spearman's rank correlation of two [N]."""
    from scipy.stats import spearmanr

    return float(spearmanr(*_varying(predicted, target)).statistic)


def plcc(predicted: np.ndarray, target: np.ndarray) -> float:
    """Pearson's linear correlation of two [N]."""
    from scipy.stats import pearsonr

    return float(pearsonr(*_varying(predicted, target)).statistic)


def gap(image_features: np.ndarray, text_features: np.ndarray) -> float:
    """Modality gap: distance of the means of two sets of unit rows [N, D], [M, D] (Liang et al. 2022, section 4.2)."""
    image_features, text_features = np.asarray(image_features, np.float64), np.asarray(text_features, np.float64)
    for name, rows in (("image_features", image_features), ("text_features", text_features)):
        if rows.ndim != 2 or rows.shape[1] != image_features.shape[-1] or not len(rows):
            raise ValueError(f"{name} has shape {list(rows.shape)}; give [N, D] with the D of both the same")
        worst = np.abs(np.linalg.norm(rows, axis=1) - 1).max()
        if not worst < 1e-2:
            raise ValueError(f"a row of {name} is {worst:.3g} away from length 1; normalise the features")
    return float(np.linalg.norm(image_features.mean(0) - text_features.mean(0)))


def _group_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    if groups.shape != values.shape:
        raise ValueError(f"groups {list(groups.shape)} and values {list(values.shape)} differ in shape")
    index = np.unique(groups, return_inverse=True)[1]
    return np.bincount(index, values) / np.bincount(index)


# Metrics that are no mean, as a function of one seed's rows, mostly [N, 2] (what the two columns are); for
# lib.arms.Result.
STATISTICS = {
    "auroc": lambda rows: auroc(rows[:, 0], rows[:, 1] > 0.5),  # score, positive
    "fpr95": lambda rows: fpr95(rows[:, 0], rows[:, 1] > 0.5),  # score, positive
    "ece": lambda rows: ece(rows[:, 0], rows[:, 1]),  # confidence, correct
    "rmse": lambda rows: rmse(rows[:, 0], rows[:, 1]),  # predicted, target
    "srcc": lambda rows: srcc(rows[:, 0], rows[:, 1]),
    "plcc": lambda rows: plcc(rows[:, 0], rows[:, 1]),
    "balanced_accuracy": lambda rows: float(np.mean(_group_means(rows[:, 0], rows[:, 1]))),  # correct, class
    "worst_group": lambda rows: float(np.min(_group_means(rows[:, 0], rows[:, 1]))),  # correct, group
    "harmonic_mean": lambda rows: harmonic_mean(*_halves(rows)),  # correct, 0 base or 1 new
    "bleu4": bleu4_of,  # rows [N, 10] of bleu4_rows
}


def _halves(rows: np.ndarray) -> np.ndarray:
    means = _group_means(rows[:, 0], rows[:, 1])
    if len(means) != 2:
        raise ValueError(f"harmonic mean over {len(means)} groups; the second column holds 0 (base) and 1 (new)")
    return means


def _classified(scores, labels) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not scores.size:
        raise ValueError(f"scores {list(scores.shape)} and labels {list(labels.shape)}; give [N, C] and [N], N > 0")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(f"labels of type {labels.dtype} in [{labels.min()}, {labels.max()}]; give int below C")
    return scores, labels


def _ranked(similarity, positives) -> tuple[np.ndarray, np.ndarray]:
    similarity = np.asarray(similarity)
    if similarity.ndim != 2 or not similarity.size:
        raise ValueError(f"similarity has shape {list(similarity.shape)}; give [queries, gallery], not empty")
    positives = _boolean("positives", positives, similarity.shape)
    if not np.isfinite(similarity).all():
        raise ValueError(
            f"similarity {list(similarity.shape)} holds values that are not finite; mend the model's scores"
        )
    _need_positive(positives)
    return similarity, positives


def _merged(similarity, positives, texts) -> tuple[np.ndarray, np.ndarray]:
    """Similarity and positives [N, M] with the positives of identical texts united."""
    similarity = np.asarray(similarity)
    if positives is None:
        if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1]:
            raise ValueError(f"similarity {list(similarity.shape)} is not square; give positives of the same shape")
        positives = np.eye(len(similarity), dtype=bool)
    positives = _boolean("positives", positives, similarity.shape)
    if texts is not None:
        if len(texts) != similarity.shape[1]:
            raise ValueError(f"{len(texts)} texts for similarity {list(similarity.shape)}; give one per column")
        _, group, sizes = np.unique(np.asarray(texts), return_inverse=True, return_counts=True)
        starts = np.cumsum(sizes) - sizes
        positives = np.logical_or.reduceat(positives[:, np.argsort(group, kind="stable")], starts, axis=1)[:, group]
    return similarity, positives


def _need_positive(positives: np.ndarray) -> None:
    without = np.flatnonzero(~positives.any(1))
    if len(without):
        raise ValueError(
            f"{len(without)} of {len(positives)} queries have no positive, first row {without[0]}; leave out"
        )


def _boolean(name: str, values, shape: tuple) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype != bool or values.shape != shape:
        raise ValueError(f"{name} is {values.dtype} {list(values.shape)}; give bool {list(shape)}")
    return values


def _binary(scores, positive) -> tuple[np.ndarray, np.ndarray]:
    scores = np.asarray(scores, np.float64)
    positive = _boolean("positive", positive, scores.shape)
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise ValueError(f"scores {list(scores.shape)} must be finite and of shape [N]")
    if positive.all() or not positive.any():
        raise ValueError(f"{positive.sum()} of {len(positive)} examples are positive; both kinds are needed")
    return scores, positive


def _pair(first: str, a, second: str, b) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 1 or a.shape != b.shape or not a.size:
        raise ValueError(f"{first} {list(a.shape)} and {second} {list(b.shape)}; give two of shape [N], N > 0")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError(f"{first} or {second} {list(a.shape)} holds values that are not finite")
    return a, b


def _varying(predicted, target) -> tuple[np.ndarray, np.ndarray]:
    predicted, target = _pair("predicted", predicted, "target", target)
    if np.ptp(predicted) == 0 or np.ptp(target) == 0:
        raise ValueError(f"a constant among the two [{len(target)}]; a correlation needs values that differ")
    return predicted, target
