"""Character noise, abridging and lines of print."""

import numpy as np
import pytest

from lib import records

TEXT = "The tide washed three red anchors ashore near the old mill in Weston on Friday, said Mr. Knox, 61. " * 40


def distance(first: str, second: str) -> int:
    """Levenshtein distance by its recursion."""
    row = list(range(len(second) + 1))
    for i, one in enumerate(first, 1):
        above, row = row, [i]
        for j, other in enumerate(second, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (one != other)))
    return row[-1]


def rng(seed=0):
    return np.random.default_rng(seed)


def test_distance_of_the_card():
    assert distance("abcd", "abxd") / 4 == 0.25


@pytest.mark.parametrize("rate", [0.03, 0.08, 0.15, 0.2])
def test_noise_makes_the_errors_it_names(rate):
    pieces = [TEXT[k : k + 200] for k in range(0, len(TEXT) - 200, 100)]
    errors = [distance(piece, records.ocr_noise(piece, rate, rng(k))) / 200 for k, piece in enumerate(pieces)]
    assert 0.85 * rate < np.mean(errors) < 1.15 * rate


def test_noise_is_seeded_keeps_line_breaks_and_can_be_nothing():
    assert records.ocr_noise(TEXT, 0.1, rng(3)) == records.ocr_noise(TEXT, 0.1, rng(3))
    assert records.ocr_noise(TEXT, 0.1, rng(3)) != records.ocr_noise(TEXT, 0.1, rng(4))
    assert records.ocr_noise(TEXT, 0, rng()) == TEXT and records.ocr_noise("", 0.2, rng()) == ""
    column = "\n".join(records.lines(TEXT))
    assert records.ocr_noise(column, 0.3, rng()).count("\n") == column.count("\n")
    assert all(records.ocr_noise("a", 0.5, rng(k)) for k in range(200))
    with pytest.raises(ValueError, match="0.7"):
        records.ocr_noise(TEXT, 0.7, rng())


def test_matrix_has_all_kinds_of_errors():
    matrix = records.confusions()
    pairs = [(source, target) for source, options in matrix.items() for target, _, _ in options]
    assert len(pairs) == len(set(pairs))
    assert sum(len(source) == 2 for source in matrix) >= 10  # merges
    assert sum(len(source) == 1 and len(target) == 2 and source != "*" for source, target in pairs) >= 10  # splits
    assert ("*", "") in pairs and (" ", "") in pairs  # drops
    assert all(source != target for source, target in pairs)
    read = records.ocr_noise("modern burnt clam " * 300, 0.2, rng())
    assert "modem" in read and "bumt" in read and "dam" in read


def test_abridging_keeps_the_beginning():
    sentences = ["a", "b", "c", "d", "e"]
    assert records.abridge(sentences, 0.4) == ["a", "b"]
    assert records.abridge(sentences, 0.41) == ["a", "b", "c"]
    assert records.abridge(sentences, 0.01) == ["a"] and records.abridge(sentences, 1) == sentences
    with pytest.raises(ValueError, match="share 0"):
        records.abridge(sentences, 0)


@pytest.mark.parametrize("width", [8, 20, 36])
def test_lines_fit_and_join_again(width):
    column = records.lines(TEXT, width)
    assert max(map(len, column)) <= width
    assert records.unhyphenate("\n".join(column)) == " ".join(TEXT.split())
    assert records.unhyphenate("\n".join(records.lines("x" * 100, width))) == "x" * 100


def test_misread_lines():
    column = records.lines(TEXT)
    assert records.misread_lines(column, 0, rng()) == column
    lost = records.misread_lines(column, 0.3, rng())
    assert lost[0].startswith(column[0]) and len(lost) < len(column)
    assert set(" ".join(lost).split()) - set(" ".join(column).split())  # words that ran together
    other = ["ZZZ"] * len(column)
    assert any("ZZZ" in line for line in records.misread_lines(column, 0.3, rng(), other))
    with pytest.raises(ValueError, match="1.5"):
        records.misread_lines(column, 1.5, rng())
