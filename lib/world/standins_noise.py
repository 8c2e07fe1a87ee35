"""Noise on strings: the shallow augmentation EDA with stop words, and corruptions that make a caption ungrammatical.

Every function takes one text and a generator, so that a training loop can draw anew at each step. Synonyms are rows of
`kb`, stop words its list: they stand for WordNet and for a natural-language toolkit.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

from lib.world import kb
from lib.world.languages_say import lexicon
from lib.world.standins_slots import spans

EDA = {"synonym": 0.4, "swap": 0.4, "delete": 0.2}  # shares of the operations (improved_baselines)
CORRUPTIONS = ("repeat", "remove", "insert", "swap", "shuffle")  # of clip_reward, equally often


def remove_stop_words(text: str) -> str:
    """The text without stop words, or as it is where nothing else would be left."""
    kept = [word for word in text.split() if word.lower().strip(".,;:!?\"'()") not in kb.stop_words()]
    return " ".join(kept) or text


def synonym(text: str, rng: np.random.Generator, n: int = 1) -> str:
    """`n` random phrases replaced by another phrase of their row, in lower case; fewer where there are fewer."""
    runs = spans(text)
    able = [i for i, span in enumerate(runs) if _others(span.text)]
    said = [span.text for span in runs]
    for i in rng.permutation(len(able))[:n]:
        others = _others(said[able[i]])
        said[able[i]] = others[int(rng.integers(len(others)))]
    return _join(said) if able else text


@cache
def _rows() -> dict[str, tuple[str, ...]]:
    """Phrases that say the same, by phrase. Singular and plural are rows of their own."""
    rows: dict[str, tuple[str, ...]] = {}
    for options in lexicon("en").values():
        for said in ([word.text for word in options], [word.plural for word in options]):
            for phrase in filter(None, said):
                rows.setdefault(phrase, tuple(one for one in said if one and one != phrase))
    for factor in ("background", "style"):
        for value in kb.values(factor).values():
            rows |= {value.phrase: (value.synonym,), value.synonym: (value.phrase,)}
    return rows


def _others(phrase: str) -> tuple[str, ...]:
    return _rows().get(phrase, ())


def _join(parts: list[str]) -> str:
    text = " ".join(parts)
    for mark in ",.;:!?":
        text = text.replace(f" {mark}", mark)
    return text


def swap_words(text: str, rng: np.random.Generator, n: int = 1) -> str:
    """Two words change places, `n` times; a text of one word stays."""
    words = text.split()
    for _ in range(n if len(words) > 1 else 0):
        i, j = rng.choice(len(words), 2, replace=False)
        words[i], words[j] = words[j], words[i]
    return " ".join(words)


def delete_words(text: str, rng: np.random.Generator, p: float = 0.1) -> str:
    """Each word is lost with probability `p`; where all would be lost, one word drawn at random stays."""
    words = text.split()
    kept = [word for word, draw in zip(words, rng.random(len(words)), strict=True) if draw >= p]
    return " ".join(kept or words[int(rng.integers(len(words) or 1)) :][:1])


def eda(text: str, rng: np.random.Generator, p_stop: float = 0.8, strong: bool = True) -> str:
    """A view of a text: stop words removed with probability `p_stop`, then, if `strong`, one operation of `EDA`."""
    if rng.random() < p_stop:
        text = remove_stop_words(text)
    if not strong:
        return text
    kind = str(rng.choice(list(EDA), p=list(EDA.values())))
    return {"synonym": synonym, "swap": swap_words, "delete": delete_words}[kind](text, rng)


def corrupt(text: str, rng: np.random.Generator, vocabulary: Sequence[str], kind: str | None = None) -> str:
    """An ungrammatical copy of a text by one of `CORRUPTIONS`, drawn where `kind` is None.

    repeat: a run of 1-3 words comes again at 1-3 random places; remove: a run of 1-3 words is lost; insert: 1-3 words
    of `vocabulary` before a word; swap: 1-3 words become other words of it; shuffle: all words in another order. A
    text of one word cannot lose a run and has no other order: it is repeated. The result always differs from the
    text. Raises ValueError for an unknown kind, an empty text or a vocabulary of fewer than two words.
    """
    words = text.split()
    if kind not in (None, *CORRUPTIONS):
        raise ValueError(f"corruption '{kind}' is unknown; choose one of {', '.join(CORRUPTIONS)}")
    if not words or len(set(vocabulary)) < 2:
        raise ValueError(f"a corruption needs words and a vocabulary of two, not '{text}' and {len(set(vocabulary))}")
    kind = kind or CORRUPTIONS[int(rng.integers(len(CORRUPTIONS)))]
    if kind in ("remove", "shuffle") and len(set(words)) < 2:
        kind = "repeat"
    while True:
        new = _corrupt(list(words), rng, vocabulary, kind)
        if new != words:
            return " ".join(new)


def _corrupt(words: list[str], rng: np.random.Generator, vocabulary: Sequence[str], kind: str) -> list[str]:
    if kind == "shuffle":
        return [words[i] for i in rng.permutation(len(words))]
    times = int(rng.integers(1, 4))
    if kind in ("repeat", "remove"):
        length = min(times, len(words) - (kind == "remove"))
        start = int(rng.integers(len(words) - length + 1))
        run = words[start : start + length]
        if kind == "remove":
            return words[:start] + words[start + length :]
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(len(words) + 1))
            words[at:at] = run
        return words
    if kind == "insert":
        for _ in range(times):
            words.insert(int(rng.integers(len(words))), vocabulary[int(rng.integers(len(vocabulary)))])
        return words
    for i in rng.permutation(len(words))[:times]:
        others = [word for word in vocabulary if word != words[i]]
        words[i] = others[int(rng.integers(len(others)))]
    return words
