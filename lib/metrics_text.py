"""Metrics of generated text; callers import them from `lib.metrics`.

Texts are compared as words in lower case without punctuation, which is what COCO's evaluation leaves of them.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

ORDERS = (1, 2, 3, 4)  # of n-grams
SIGMA = 6.0  # words: width of CIDEr-D's penalty on lengths that differ


@dataclass(frozen=True)
class Frequencies:
    """How many of `documents` (images with all their references) hold each n-gram."""

    counts: Counter
    documents: int

    @classmethod
    def of(cls, references: Sequence[Sequence[str]]) -> "Frequencies":
        counts: Counter = Counter()
        for texts in references:
            counts.update({gram for text in texts for gram in _grams(text)})
        return cls(counts, len(references))


def cider_d_each(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], frequencies: Frequencies | None = None
) -> np.ndarray:
    """CIDEr-D of each text (Vedantam et al. 2015, section 5), on its usual scale, where 10 is the most. [N]

    Mean over n = 1..4 and over the references of the cosine of tf-idf vectors of n-grams, counts clipped at the
    reference's, times exp(-(difference of lengths)^2 / (2 sigma^2)), times 10.
    references:  one or more texts for each hypothesis.
    frequencies: document frequencies of the n-grams; by default those of `references`. Rare ones weigh more; those in
                 every document nothing. Take those of training references to compare sets of different size.
    """
    _check_texts(hypotheses, references)
    frequencies = frequencies or Frequencies.of(references)
    weight = cache(lambda gram: np.log(max(frequencies.documents, 1)) - np.log(max(1, frequencies.counts[gram])))
    scores = np.empty(len(hypotheses))
    for row, (text, others) in enumerate(zip(hypotheses, references)):
        said, length, norms = _weighted(text, weight)
        total = 0.0
        for other in others:
            truth, other_length, other_norms = _weighted(other, weight)
            overlap = dict.fromkeys(ORDERS, 0.0)
            for gram, value in said.items():
                if gram in truth:
                    overlap[len(gram)] += min(value, truth[gram]) * truth[gram]
            penalty = np.exp(-((length - other_length) ** 2) / (2 * SIGMA**2))
            lengths = {n: norms[n] * other_norms[n] for n in ORDERS}
            total += penalty * sum(overlap[n] / lengths[n] for n in ORDERS if lengths[n])
        scores[row] = 10 * total / len(ORDERS) / len(others)
    return scores


def cider_d(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], frequencies: Frequencies | None = None
) -> float:
    """Mean of `cider_d_each`."""
    return float(cider_d_each(hypotheses, references, frequencies).mean())


def bleu4_rows(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """What corpus BLEU-4 is made of, per text: n-grams matched (n = 1..4), n-grams there are, words, and words of the
    reference nearest in length (the shorter of two). [N, 10]; `bleu4_of` makes the score of such rows.
    """
    _check_texts(hypotheses, references)
    rows = np.zeros((len(hypotheses), 10))
    for row, (text, others) in enumerate(zip(hypotheses, references)):
        said, most = _grams(text), Counter()
        for other in others:
            most |= _grams(other)
        for gram, count in said.items():
            rows[row, len(gram) - 1] += min(count, most[gram])
            rows[row, len(gram) + 3] += count
        length = len(words(text))
        rows[row, 8:] = length, min((abs(n - length), n) for n in (len(words(other)) for other in others))[1]
    return rows


def bleu4_of(rows: np.ndarray) -> float:
    """Corpus BLEU-4 of rows of `bleu4_rows`, in [0, 1]: geometric mean of the four precisions times the brevity penalty.

    No smoothing: 0 where an order has no match.
    """
    matched, there, (length, reference) = np.split(np.asarray(rows, float).sum(0), [4, 8])
    if not matched.all():
        return 0.0
    return float(np.exp(np.log(matched / there).mean() + min(0.0, 1 - reference / length)))


def bleu4(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU-4 (Papineni et al. 2002) against several references, in [0, 1].

    It is no mean over examples: to compare arms, give rows of `bleu4_rows` to `lib.arms.Result`.
    """
    return bleu4_of(bleu4_rows(hypotheses, references))


def tuple_f1_each(
    predicted: Sequence[Collection[tuple]], truth: Sequence[Collection[tuple]], kinds: Collection[str] | None = None
) -> np.ndarray:
    """F1 of the tuples that a text says (`grammar.parse(text).tuples`) against the true ones, per example. [N]

    2 |P and T| / (|P| + |T|), the harmonic mean of precision and recall; 1 where both are empty.
    kinds: first entries of the tuples that count, such as ("object", "attribute"); by default all do.
    """
    if len(predicted) != len(truth) or not len(truth):
        raise ValueError(f"{len(predicted)} predicted and {len(truth)} true sets of tuples; give as many, N > 0")
    scores = np.empty(len(truth))
    for row, (said, true) in enumerate(zip(predicted, truth)):
        said, true = ({one for one in found if kinds is None or one[0] in kinds} for found in (said, true))
        scores[row] = 2 * len(said & true) / (len(said) + len(true)) if said or true else 1.0
    return scores


def tuple_f1(
    predicted: Sequence[Collection[tuple]], truth: Sequence[Collection[tuple]], kinds: Collection[str] | None = None
) -> float:
    """Mean of `tuple_f1_each`."""
    return float(tuple_f1_each(predicted, truth, kinds).mean())


def words(text: str) -> list[str]:
    """Words in lower case; hyphens and apostrophes within one belong to it."""
    return re.findall(r"\w+(?:[-']\w+)*", text.lower())


@cache
def _grams(text: str) -> Counter:
    """Counts of all n-grams of a text, n = 1..4. Cached: references recur in every arm."""
    said = words(text)
    return Counter(tuple(said[k : k + n]) for n in ORDERS for k in range(len(said) - n + 1))


def _weighted(text: str, weight) -> tuple[dict, int, dict]:
    """tf-idf of the n-grams of a text, its length as CIDEr-D counts it (its bigrams), norms by order."""
    vector = {gram: count * weight(gram) for gram, count in _grams(text).items()}
    squares = dict.fromkeys(ORDERS, 0.0)
    for gram, value in vector.items():
        squares[len(gram)] += value**2
    return vector, max(0, len(words(text)) - 1), {n: square**0.5 for n, square in squares.items()}


def _check_texts(hypotheses, references) -> None:
    if isinstance(hypotheses, str) or len(hypotheses) != len(references) or not len(hypotheses):
        raise ValueError(f"{len(hypotheses)} hypotheses and {len(references)} lists of references; give as many, N > 0")
    for row, texts in enumerate(references):
        if isinstance(texts, str) or not len(texts):
            raise ValueError(f"references of row {row} are {texts!r}; give a list of one or more texts")
