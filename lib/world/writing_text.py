"""The corpus `text`: pairs of sentences that say one thing, for language models that see no picture.

Most pairs are two captions of one scene (frames "seen"); the others say one fact of the knowledge base in two ways, by
the wordings of tables/writing/knowledge.csv. Reserved names and words occur in facts alone, held-out styles and the
zodiac nowhere. A sentence belongs to the split that its CRC-32 gives it, so that splits share none; facts are in
"train" alone.
"""

import zlib
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from lib.world import grammar, kb, presets
from lib.world.writing_draw import Draw, known_split, table

SPLITS = ("train", "val", "test")
FACTS = 0.15  # share of pairs that say a fact
MENTION = {"terse": 0.1, "colour": 0.6, "fill": 0.4, "size": 0.35, "position": 0.45, "background": 0.5, "relation": 0.6}
KINDS = {"looks": 0.4, "name": 0.15, "hypernym": 0.15}  # weights of facts; the other kinds share the rest
LOOKS = ("colour", "fill", "size")


class Pair(NamedTuple):
    """Two sentences that say the same. `kind` is "caption" or a fact of knowledge.csv."""

    first: str
    second: str
    kind: str


@cache
def _wordings() -> dict[str, tuple[str, ...]]:
    rows = table("knowledge")
    return {
        kind: tuple(r["wording"] for r in rows if r["fact"] == kind) for kind in dict.fromkeys(r["fact"] for r in rows)
    }


@cache
def _classes() -> dict[str, kb.Class]:
    """Classes that texts may name: those of base training."""
    known = set(presets.base_classes())
    return {name: kind for name, kind in kb.classes().items() if name in known}


def _said(noun: str) -> str:
    return noun if noun.startswith(("a ", "an ")) else f"{kb.article(noun)} {noun}"


@cache
def _synonyms(factors: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    """(one way to say a value, another, the value) for all values of some factors."""
    found = []
    for factor in factors:
        for name, value in kb.values(factor).items():
            ways = (value.reserved, value.phrase), (value.synonym, value.phrase), (value.reserved, value.synonym)
            found += [(*pair, name) for pair in ways if all(pair) and pair[0] != pair[1]]
    return tuple(found)


def fact(draw: Draw) -> tuple[str, dict[str, str]]:
    """A fact of the knowledge base: its kind and the slots of its wordings."""
    others = [kind for kind in _wordings() if kind not in KINDS]
    weights = [*KINDS.values(), *[(1 - sum(KINDS.values())) / len(others)] * len(others)]
    kind = draw.choose([*KINDS, *others], weights)
    if kind == "natural":
        row = draw.choose([row for row in _classes().values() if row.natural_colour])
    else:
        row = draw.choose(tuple(_classes().values()))
    noun = draw.choose((row.phrase, row.second, row.reserved))
    slots = {"n": noun, "n_a": _said(noun)}
    if kind in ("looks", "thing"):
        ways = _synonyms(LOOKS)
        if kind == "looks":  # combinations that are kept from base training stay unsaid
            ways = [way for way in ways if not presets.held_out_pair(row.name, way[2])]
        a, b, _ = draw.choose(ways)
    elif kind == "opposite":
        values = [
            value for factor in ("size", "position", "turn") for value in kb.values(factor).values() if value.antonym
        ]
        value = draw.choose(values)
        a = draw.choose((value.phrase, value.synonym, value.reserved))
        b = kb.values(value.factor)[value.antonym].phrase
    elif kind == "scene":
        a, b, _ = draw.choose(_synonyms(("position", "background", "light", "turn")))
    elif kind in ("relation", "style"):
        a, b, _ = draw.choose([way for way in _synonyms((kind,)) if way[2] not in presets.HELD_OUT_STYLES])
    elif kind == "name":
        a, b = draw.choose(((row.reserved, row.phrase), (row.second, row.phrase), (row.reserved, row.second)))
    else:
        a, b = noun, {
            "hypernym": kb.families()[row.family].hypernym, "use": row.use, "part": draw.choose(row.parts),
            "shape": row.shape, "habitat": kb.values("background")[row.habitat].phrase, "natural": row.natural_colour,
        }[kind]  # fmt: skip
    slots |= {"a": a, "b": b, "A": _said(a), "B": _said(b)}
    slots |= {
        "as": kb.plural(a),
        "bs": kb.plural(b),
        "as_n": f"{a} {kb.plural(noun)}",
        "bs_n": f"{b} {kb.plural(noun)}",
    }
    return kind, slots


def text_split(text: str) -> str:
    """The split of a sentence, by its CRC-32: one in ten to val, one in ten to test."""
    return {0: "val", 1: "test"}.get(zlib.crc32(text.encode()) % 10, "train")


def pair(split: str, index: int) -> Pair:
    """Pair `index` of a split: two different sentences that both belong to it."""
    draw = Draw("text", known_split(split, SPLITS), index)
    if split == "train" and draw() < FACTS:
        while True:
            kind, slots = fact(draw)
            wordings = draw.several(_wordings()[kind], 2)
            first, second = (wording.format(**slots) for wording in wordings)
            if first != second:
                return Pair(first, second, kind)
    while True:
        spec = presets.sample("scenes/base", draw.rng)
        found: dict[str, None] = {}
        for _ in range(6 if split == "train" else 30):
            kind = draw.choose(("short", "long"), (0.85, 0.15))
            said = grammar.caption(spec, kind, draw.rng, mention=MENTION)
            text = draw.choose(said.sentences[1:]) if kind == "long" and draw() < 0.3 else said.text
            if text_split(text) == split:
                found[text] = None
            if len(found) == 2:
                return Pair(*found, "caption")


def pairs(split: str, count: int) -> Iterator[tuple[int, Pair]]:
    """The first `count` pairs of a split whose sentences have not occurred before in it, with their indices."""
    seen: set[str] = set()
    index = -1
    while count:
        index += 1
        found = pair(split, index)
        if seen.isdisjoint(found[:2]):
            seen |= set(found[:2])
            count -= 1
            yield index, found
