"""Metrics of generated text: hand counts, the numbers of pycocoevalcap and sacrebleu, properties, wrong input."""

import math
import random

import numpy as np
import pytest

from lib import arms, metrics
from lib.metrics_text import words
from lib.world import grammar

WORDS = [
    "a",
    "red",
    "blue",
    "cup",
    "cat",
    "star",
    "on",
    "grass",
    "sand",
    "of",
    "large",
    "small",
    "and",
    "two",
    "picture",
    "the",
    "left",
]
CIDER, FIRST = 2.991153434989227, [3.415292338494687, 2.707938485907935, 4.563484258498391]  # pycocoevalcap 1.2
BLEU = 0.5328573737811260  # sacrebleu 2.6, no smoothing; pycocoevalcap agrees to 1e-12


def sentences(seed: int = 3, count: int = 40) -> tuple[list[str], list[list[str]]]:
    """Random references, and hypotheses that are one of them with words exchanged."""
    rng = random.Random(seed)
    references = [
        [" ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 11))) for _ in range(rng.randint(1, 4))]
        for _ in range(count)
    ]
    hypotheses = []
    for texts in references:
        said = rng.choice(texts).split()
        for k in range(len(said)):
            if rng.random() < 0.25:
                said[k] = rng.choice(WORDS)
        hypotheses.append(" ".join(said[:-1] if rng.random() < 0.3 else said))
    return hypotheses, references


def test_cider_d_equals_pycocoevalcap():
    each = metrics.cider_d_each(*sentences())
    assert each[:3].tolist() == pytest.approx(FIRST, rel=1e-12)
    assert metrics.cider_d(*sentences()) == pytest.approx(CIDER, rel=1e-12)


def test_cider_d_by_hand():
    """Two documents, one word in common: it weighs nothing; the other words weigh log 2."""
    references = [["a cat"], ["a dog"]]
    assert metrics.cider_d_each(["a cat", "a cat"], references).tolist() == pytest.approx([10 * 2 / 4, 0])  # n = 1, 2
    assert metrics.cider_d(["a"] * 2, references) == 0
    short = metrics.cider_d_each(["cat", "dog"], references)  # unigrams alone agree, and one bigram is missing
    assert short.tolist() == pytest.approx([10 / 4 * math.exp(-1 / 72)] * 2)
    twice = metrics.cider_d_each(["cat cat cat", "dog"], references)[0]  # clipped at the reference's count
    assert twice == pytest.approx(10 / 4 / 3 * math.exp(-1 / 72))


def test_cider_d_is_highest_for_the_reference_itself_and_ignores_case_and_marks():
    _, references = sentences()
    single = [texts[:1] for texts in references if len(texts[0].split()) > 3]
    best = metrics.cider_d_each([texts[0] for texts in single], single)
    assert best.max() == pytest.approx(10) and best.min() > 9.99
    loud = metrics.cider_d_each([f"{texts[0].upper()}!" for texts in single], single)
    np.testing.assert_array_equal(loud, best)
    shuffled = metrics.cider_d([texts[0] for texts in single[1:] + single[:1]], single)
    assert shuffled < 2


def test_frequencies_of_training_references_can_be_given():
    hypotheses, references = sentences()
    own = metrics.Frequencies.of(references)
    assert own.documents == 40 and own.counts[("a",)] <= 40
    np.testing.assert_array_equal(
        metrics.cider_d_each(hypotheses, references, own), metrics.cider_d_each(hypotheses, references)
    )
    part = metrics.cider_d_each(hypotheses[:5], references[:5], own)
    np.testing.assert_allclose(part, metrics.cider_d_each(hypotheses, references)[:5])
    assert not np.allclose(part, metrics.cider_d_each(hypotheses[:5], references[:5]))


def test_bleu4_equals_sacrebleu():
    assert metrics.bleu4(*sentences()) == pytest.approx(BLEU, rel=1e-11)


def test_bleu4_by_hand():
    references = [["the cat is on the mat", "there is a cat on the mat"]]
    assert metrics.bleu4(["The cat is on the mat."], references) == pytest.approx(1)
    assert metrics.bleu4(["the the the the the the the"], references) == 0
    rows = metrics.bleu4_rows(["the the the the the the the"], references)
    assert rows.tolist() == [[2, 0, 0, 0, 7, 6, 5, 4, 7, 7]]  # Papineni's example: 2 of 7, clipped
    four = metrics.bleu4(["the cat is on"], references)  # every n-gram is right, two words short of the nearer one
    assert four == pytest.approx(math.exp(1 - 6 / 4))


def test_bleu4_is_recomputed_in_bootstraps():
    hypotheses, references = sentences()
    rows = metrics.bleu4_rows(hypotheses, references)
    result = arms.Result.of({("a", "bleu4", "all"): rows[None], ("b", "bleu4", "all"): rows[None] * 1.0})
    assert result.table["value"].tolist() == pytest.approx([BLEU] * 2)


def test_tuple_f1_by_hand():
    said = grammar.parse("a small red cat on grass").tuples
    true = {("object", "cat"), ("attribute", "cat", "red"), ("attribute", "cat", "striped"), ("scene", "sand")}
    assert len(said) == 4
    assert metrics.tuple_f1([said], [true]) == pytest.approx(2 * 2 / 8)
    assert metrics.tuple_f1([said], [true], kinds=("object",)) == 1
    assert metrics.tuple_f1([said], [true], kinds=("scene",)) == 0
    assert metrics.tuple_f1_each([said, set(), set()], [true, true, set()]).tolist() == [0.5, 0, 1]


def test_tuple_f1_is_the_harmonic_mean_of_precision_and_recall():
    rng = np.random.default_rng(0)
    for _ in range(50):
        said, true = ({("object", str(n)) for n in rng.integers(0, 8, 6)} for _ in range(2))
        both = len(said & true)
        expected = metrics.harmonic_mean(both / len(said), both / len(true))
        assert metrics.tuple_f1([said], [true]) == pytest.approx(expected)


def test_words():
    assert words('A "well-made" cat, isn\'t it? 3.') == ["a", "well-made", "cat", "isn't", "it", "3"]


@pytest.mark.parametrize("call", [metrics.cider_d, metrics.bleu4, metrics.tuple_f1])
def test_wrong_input_is_refused(call):
    with pytest.raises(ValueError, match="N > 0"):
        call([], [])
    with pytest.raises(ValueError, match="2 "):
        call(["a", "b"], [["a"]])
    if call is not metrics.tuple_f1:
        with pytest.raises(ValueError, match="row 0"):
            call(["a"], ["a"])
        with pytest.raises(ValueError, match="row 0"):
            call(["a"], [[]])
