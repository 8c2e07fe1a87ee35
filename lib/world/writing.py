"""Corpora of writing as plain rows: news, invented words, firms, authors and sentences for language models.

`rows(corpus, split, profile)` yields dicts of plain values in a fixed order, each drawn from its own seed: what
lib.world.corpora stores. Pictures are given as what draws them: a `Spec`, or face, seed and logo of a reader's crop
(`lettering.crop`). The texts come from writing_news, writing_firms, writing_authors and writing_text.
"""

from collections.abc import Iterator

from lib.world import lettering, writing_authors, writing_firms, writing_news, writing_text
from lib.world.writing_draw import Draw

# wires: articles; words: words ("background": crops without text); firms: firms; authors: people; machine: texts of
# the machine, and as many of attacks; text: pairs of sentences
SIZES = {
    "wires": {"smoke": {"train": 40, "val": 15, "test": 25}, "mini": {"train": 400, "val": 120, "test": 280}},
    "words": {
        "smoke": {"reader": 256, "reader_val": 64, "text": 400, "labelled": 100, "val": 64, "test": 128,
                  "background": 64},
        "mini": {"reader": 3000, "reader_val": 500, "text": 2400, "labelled": 1600, "val": 300, "test": 600,
                 "background": 600},
    },
    "firms": {"smoke": {"train": 36, "val": 8, "test": 16}, "mini": {"train": 180, "val": 40, "test": 80}},
    "authors": {"smoke": {"train": 5, "val": 1, "test": 4}, "mini": {"train": 50, "val": 10, "test": 40}},
    "machine": {"smoke": {"train": 120, "val": 30, "test": 150}, "mini": {"train": 1200, "val": 300, "test": 1500}},
    "text": {"smoke": {"train": 1800, "val": 100, "test": 100}, "mini": {"train": 28000, "val": 1000, "test": 1000}},
}  # fmt: skip
READER_CROPS = 2  # crops of one word of "reader"
FACES = {"reader": "F1", "reader_val": "F1", "background": "F1"}  # others are printed in F2
NO_AUTHOR = -1  # of machine texts


def sizes(corpus: str, profile: str) -> dict[str, int]:
    """Numbers per split in the units of `SIZES`; gpu draws four times mini. Raises ValueError for unknown corpora."""
    if corpus not in SIZES:
        raise ValueError(f"writing '{corpus}' is unknown; choose one of {', '.join(SIZES)}")
    counts = SIZES[corpus]["smoke" if profile == "smoke" else "mini"]
    return {split: count * (4 if profile == "gpu" else 1) for split, count in counts.items()}


def rows(corpus: str, split: str, profile: str) -> Iterator[dict]:
    """Rows of a split of "wires", "words", "firms", "authors" or "text". Raises ValueError with the known names.

    wires    text clean headline caption article paper decade topic noise photo (Spec)
    words    text entity font noise logo (""); split "text" is to be left without pictures, "background" has no text
    firms    text ocr ocr_noisy entity font noise logo record
    authors  text author source (human, machine, attack) topic number; numbers below EXEMPLARS of people are exemplars
    text     text pair kind
    """
    if corpus not in _ROWS:
        raise ValueError(f"writing '{corpus}' is unknown; choose one of {', '.join(_ROWS)}")
    counts = sizes(corpus, profile)
    if split not in counts:
        raise ValueError(f"{corpus} has no split '{split}'; choose one of {', '.join(counts)}")
    yield from _ROWS[corpus](split, counts[split], profile)


def _wires(split: str, count: int, profile: str) -> Iterator[dict]:
    for article in range(count):
        for copy in writing_news.copies(split, article):
            yield vars(copy)


def _words(split: str, count: int, profile: str) -> Iterator[dict]:
    words = ("",) * count if split == "background" else writing_firms.words(split, count)
    faces = lettering.faces(FACES.get(split, "F2"))
    for entity, word in enumerate(words):
        for number in range(READER_CROPS if split == "reader" else 1):
            draw = Draw("words", split, entity, number)
            yield {"text": word, "entity": entity, "font": draw.choose(faces), "noise": draw.below(1 << 31), "logo": ""}


def _firms(split: str, count: int, profile: str) -> Iterator[dict]:
    for index in range(count):
        for number in range(writing_firms.RECORDS):
            yield {**vars(writing_firms.record(split, index, number)), "record": number}


def _authors(split: str, count: int, profile: str) -> Iterator[dict]:
    first = writing_authors.SPLITS.index(split) * 10000  # authors of different splits have different numbers
    for author in range(count):
        for number in range(writing_authors.TEXTS):
            text, topic = writing_authors.human(split, author, number)
            yield {"text": text, "author": first + author, "source": "human", "topic": topic, "number": number}
    for number in range(sizes("machine", profile)[split]):
        text, topic = writing_authors.machine(split, number)
        yield {"text": text, "author": NO_AUTHOR, "source": "machine", "topic": topic, "number": number}
    for number in range(sizes("machine", profile)[split]):
        text, topic = writing_authors.attack(split, number, number % count)
        yield {"text": text, "author": first + number % count, "source": "attack", "topic": topic, "number": number}


def _text(split: str, count: int, profile: str) -> Iterator[dict]:
    for number, (_, pair) in enumerate(writing_text.pairs(split, count)):
        for text in (pair.first, pair.second):
            yield {"text": text, "pair": number, "kind": pair.kind}


_ROWS = {"wires": _wires, "words": _words, "firms": _firms, "authors": _authors, "text": _text}
