"""Records of print: character noise as of optical character recognition, abridging and lines that ran together.

The confusion matrix is tables/writing/confusions.csv: `source` (one or two characters, "*" any) is read as `target`
("*" stands for what was there) with a `weight`. Two-letter sources are merges (rn -> m), two-letter targets splits.
Used by headlines (arXiv 2306.17810) and clippings (arXiv 2304.03464) in place of scanned pages.
"""

import csv
import math
from functools import cache

import numpy as np

from lib.world import kb

WIDTH = 36  # characters of a newspaper column


@cache
def confusions() -> dict[str, tuple[tuple[str, float, int], ...]]:
    """The confusion matrix: source -> ((target, weight, edits), ...); "*" holds what any character may become."""
    found: dict[str, list] = {}
    with open(kb.TABLES / "writing" / "confusions.csv", newline="", encoding="ascii") as file:
        for row in csv.DictReader(file):
            source, target = row["source"], row["target"]
            edits = 1 if source == "*" else max(len(source), len(target))
            found.setdefault(source, []).append((target, float(row["weight"]), edits))
    return {source: tuple(options) for source, options in found.items()}


@cache
def _options(one: str, two: str) -> tuple[list[str], list[int], list[float], float]:
    """What may become of character `one`, or of the pair `two` that it begins.

    -> targets, characters they replace, cumulative probabilities, mean number of edits
    """
    matrix = confusions()
    any_character = [(target.replace("*", one), weight, edits) for target, weight, edits in matrix["*"]]
    if one == " ":
        any_character = []
    choices = [(option, 2) for option in matrix.get(two, ())] if len(two) == 2 else []
    choices += [(option, 1) for option in (*matrix.get(one, ()), *any_character)]
    total = sum(option[1] for option, _ in choices)
    cumulative, mean, summed = [], 0.0, 0.0
    for (_, weight, edits), _ in choices:
        summed += weight / total
        mean += weight / total * edits
        cumulative.append(summed)
    return [option[0] for option, _ in choices], [length for _, length in choices], cumulative, mean


def ocr_noise(text: str, rate: float, rng: np.random.Generator) -> str:
    """`text` as a poor scan is read. About `rate` character edits per character, in [0, 0.5]; line breaks stay.

    Rate 0 returns the text. The character error rate (Levenshtein distance / length) comes out a little below `rate`
    where neighbouring errors cancel. Raises ValueError for other rates.
    """
    if not 0 <= rate <= 0.5:
        raise ValueError(f"character noise {rate} is outside [0, 0.5]")
    if not rate or not text:
        return text
    chance, which = rng.random(len(text)), rng.random(len(text))
    read: list[str] = []
    done = 0
    for place in np.flatnonzero(chance < rate).tolist():
        one = text[place]
        if place < done or one == "\n":
            continue
        targets, lengths, cumulative, edits = _options(one, text[place : place + 2])
        if chance[place] * edits >= rate:
            continue
        option = next((i for i, bound in enumerate(cumulative) if which[place] < bound), len(targets) - 1)
        read += [text[done:place], targets[option]]
        done = place + lengths[option]
    return "".join([*read, text[done:]]) or text[:1]


def abridge(sentences: list[str], share: float) -> list[str]:
    """The first `share` of the sentences, in (0, 1], rounded up: a paper cuts a wire article from the end."""
    if not 0 < share <= 1:
        raise ValueError(f"share {share} of sentences is outside (0, 1]")
    return list(sentences[: max(1, math.ceil(share * len(sentences) - 1e-9))])


def lines(text: str, width: int = WIDTH) -> list[str]:
    """Break a text into lines of at most `width` characters; long words are cut with a hyphen at the line's end."""
    if width < 8:
        raise ValueError(f"a column of {width} characters is too narrow; it needs 8 or more")
    found, line = [], ""
    for word in text.split():
        room = width - len(line) - bool(line)
        if len(word) > room:
            if len(word) >= 7 and room >= 4 and word[: room - 1].isalpha():
                cut = min(room - 1, len(word) - 3)
                found.append(f"{line} {word[:cut]}-".strip())
                word = word[cut:]
            elif line:
                found.append(line)
            line = ""
            while len(word) > width:
                found.append(word[: width - 1] + "-")
                word = word[width - 1 :]
        line = f"{line} {word}".strip()
    return [*found, line] if line else found


def misread_lines(column: list[str], rate: float, rng: np.random.Generator, neighbour: list[str] = ()) -> list[str]:
    """Lines as read across a page: each with probability `rate` is lost, trades places with the next, or is read on
    into the line beside it (of `neighbour`, or the next where there is none). The first line stays in its place."""
    if not 0 <= rate <= 1:
        raise ValueError(f"rate {rate} of misread lines is outside [0, 1]")
    chance, kinds = rng.random(len(column)), rng.integers(0, 3, len(column))
    read, waiting = [], list(column)
    for place in range(len(column)):
        line = waiting[place]
        if line is None:
            continue
        following = waiting[place + 1] if place + 1 < len(column) else None
        if chance[place] >= rate or (place == 0 and kinds[0] < 2):
            read.append(line)
        elif kinds[place] == 0:
            continue
        elif kinds[place] == 1 and following is not None:
            read += [following, line]
            waiting[place + 1] = None
        elif place < len(neighbour):
            read.append(f"{line} {neighbour[place]}")
        elif following is not None:
            read.append(line + following)
            waiting[place + 1] = None
        else:
            read.append(line)
    return read


def unhyphenate(text: str) -> str:
    """Join words cut at line ends and put the text on one line, as the n-gram baselines of NEWS-COPY do."""
    return " ".join(text.replace("-\n", "").split())
