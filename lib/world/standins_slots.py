"""What a sentence says, as slots: nouns with their looks, relations and scene, between `parse` and any writer.

`read` takes an English caption apart, `Said.of` orders plain tuples, `degrade` loses and confuses slots at given rates.
The module knows strings, tuples and the tables of `kb`; it never sees a Spec.
"""

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np

from lib.world import kb
from lib.world.grammar_parse import parse, phrases

LOOKS = ("state", "size", "mirrored", "fill", "colour", *kb.PARTS, "turn", "position", "layout")  # as they are said
SCENE = ("land", "ground", "background", "light", "lighting", "quality", "style")
LANDS = ("harbour", "forest", "farm", "town", "airport", "desert", "river", "car park")
THINGS = ("ship", "tree", "house", "airplane", "car", "rock", "pier", "bridge", "runway", "road", "pond", "field")
_OWN = {  # values of factors that are in no table of `kb`
    "land": LANDS,
    "ground": ("green", "dry", "autumn", "snowy", "red", "grey", "sandy"),
    "layout": ("scattered", "in a row", "in a cluster"),
}
_LOST = ""  # name of a written word that is not seen
_QUOTED = re.compile(r'("[^"]*")')
_MARKS = str.maketrans({mark: f" {mark} " for mark in ":\"'()[],.;!?"} | {"\n": " . "})


@dataclass(frozen=True)
class Noun:
    """A noun phrase. `name` is a class, a family, `kb.ANY`, a kind of overhead thing or a written word in quotes.

    `number` is None where no number is said; `several` is then "", "several" or "many".
    """

    name: str
    looks: tuple[tuple[str, str], ...] = ()  # (factor, value)
    number: int | None = None
    several: str = ""

    @property
    def plural(self) -> bool:
        return bool(self.several) if self.number is None else self.number != 1

    @property
    def quoted(self) -> bool:
        return self.name.startswith('"')


@dataclass(frozen=True)
class Said:
    """Slots of a sentence. Relations are (subject, relation, object) with indices into `nouns`."""

    nouns: tuple[Noun, ...] = ()
    relations: tuple[tuple[int, str, int], ...] = ()
    scene: tuple[tuple[str, str], ...] = ()  # (factor, value)

    @property
    def tuples(self) -> frozenset:
        """The tuples said, as `parse` gives them."""
        found: set[tuple] = {("ground" if factor == "ground" else "scene", value) for factor, value in self.scene}
        for noun in self.nouns:
            found.add(("word", noun.name.strip('"')) if noun.quoted else ("object", noun.name))
            for factor, value in noun.looks:
                found.add(("layout" if factor == "layout" else "attribute", noun.name, value))
            if noun.number is not None:
                found.add(("count", noun.name, noun.number))
        found |= {("relation", self.nouns[a].name, relation, self.nouns[b].name) for a, relation, b in self.relations}
        return frozenset(found)

    @property
    def count(self) -> int:
        """How many slots there are: nouns, looks, numbers, relations and scene values."""
        looks = sum(1 + len(noun.looks) + (noun.number is not None) for noun in self.nouns)
        return looks + len(self.relations) + len(self.scene)

    @classmethod
    def of(cls, tuples, order: tuple[str, ...] = (), several: frozenset = frozenset()) -> "Said":
        """Slots of plain tuples. Nouns follow `order`, else subjects stand before objects, else by name.

        Tuples of other kinds, and those about a noun without its ("object", name), are left out.
        """
        items = sorted(tuples, key=repr)
        items += [("object", f'"{item[1]}"') for item in items if item[0] == "word"]
        subjects = [item[1] for item in items if item[0] == "relation"]
        rank = {name: place for place, name in reversed(list(enumerate((*order, *subjects))))}
        names = sorted((item[1] for item in items if item[0] == "object"), key=lambda name: rank.get(name, len(rank)))
        looks: dict[str, list] = {name: [] for name in names}
        for item in items:
            if item[0] in ("attribute", "layout") and item[1] in looks:
                factor = "layout" if item[0] == "layout" else factor_of(item[2])
                looks[item[1]].append((factor, item[2]))
        numbers = {item[1]: item[2] for item in items if item[0] == "count"}
        nouns = [
            Noun(
                name,
                tuple(sorted(looks[name], key=lambda look: LOOKS.index(look[0]))),
                numbers.get(name),
                "several" if name in several and name not in numbers else "",
            )
            for name in names
        ]
        at = {name: place for place, name in enumerate(names)}
        relations = [(at[i[1]], i[2], at[i[3]]) for i in items if i[0] == "relation" and i[1] in at and i[3] in at]
        scene = [(scene_factor(item[1]), item[1]) for item in items if item[0] == "scene"]
        scene += [("ground", item[1]) for item in items if item[0] == "ground"]
        scene.sort(key=lambda pair: SCENE.index(pair[0]))
        return cls(tuple(nouns), tuple(relations), tuple(scene))


@cache
def domain(factor: str) -> tuple[str, ...]:
    """All values of a factor: of objects, parts, scenes, relations, pictures from above. Raises ValueError."""
    if factor == "state":
        return tuple(kb.states())
    if factor in kb.PARTS:
        return tuple(sorted(phrase for phrase in kb.part_phrases() if phrase.endswith(f" {factor}")))
    return _OWN[factor] if factor in _OWN else tuple(kb.values(factor))


@cache
def _factors() -> dict[str, str]:
    return {"black": "colour"} | {value: factor for factor in LOOKS for value in domain(factor)}


def factor_of(value: str) -> str:
    """Factor of an attribute value: "colour" of "red", "band" of "striped band". Raises ValueError."""
    if value not in _factors():
        raise ValueError(f"attribute '{value}' is in no table; add it to attributes.csv, states.csv or badge_parts.csv")
    return _factors()[value]


@cache
def _scenes() -> dict[str, str]:
    return {value: factor for factor in SCENE if factor != "ground" for value in domain(factor)}


def scene_factor(value: str) -> str:
    """Factor of a scene value: "light" of "dim", "land" of "harbour". Raises ValueError."""
    if value not in _scenes():
        raise ValueError(f"scene value '{value}' is in no table; add it to attributes.csv")
    return _scenes()[value]


class Span(NamedTuple):
    """Words of a text that mean one thing; `kind` is None where they are in no table, "word" of a text in quotes."""

    text: str
    kind: str | None
    value: object


def spans(text: str) -> list[Span]:
    """The text cut into phrases of the tables, longest first, and single words and marks between them."""
    found: list[Span] = []
    for place, part in enumerate(_QUOTED.split(text.lower())):
        found += [Span(part, "word", part.strip('"'))] if place % 2 else _spans(part)
    return found


def _spans(text: str) -> list[Span]:
    known, words = phrases(), text.translate(_MARKS).split()
    found, i = [], 0
    while i < len(words):
        for candidate, kind, value in known.get(words[i], ()):
            if tuple(words[i : i + len(candidate)]) == candidate:
                found.append(Span(" ".join(candidate), kind, value))
                i += len(candidate)
                break
        else:
            number = words[i].isascii() and words[i].isdigit()
            found.append(Span(words[i], "number" if number else None, int(words[i]) if number else None))
            i += 1
    return found


@cache
def _plurals() -> frozenset[str]:
    names = {name for kind in kb.classes().values() for name in (kind.phrase, *kind.names)}
    plurals = {kb.plural(name) for name in names} | {family.plural for family in kb.families().values()}
    plurals |= {plural for badge in kb.badges().values() for plural in (badge.plural, kb.plural(badge.name))}
    return frozenset(plurals - names) | {"objects", "things", kb.plural(kb.BADGE)}


def read(text: str) -> Said:
    """Slots of one English sentence, nouns in the order of the text. Words that `parse` does not know are lost."""
    parsed = parse(text)
    nouns = [span for span in spans(text) if span.kind in ("noun", "word")]
    several = frozenset(str(span.value) for span in nouns if span.text in _plurals())
    order = tuple(span.text if span.kind == "word" else str(span.value) for span in nouns)
    return Said.of(parsed.tuples, order, several)


def degrade(
    said: Said, rng: np.random.Generator, drop: float = 0.0, confuse: float = 0.0, keep_names: bool = False
) -> Said:
    """Lose each slot with probability `drop`, replace it by another value of its kind with probability `confuse`.

    A noun that is lost becomes `kb.ANY`, a written word that is lost goes with all that is said of it; `keep_names`
    leaves nouns alone. A noun is confused with one that looks like it where the tables name one, else with another of
    its family, else with any; a value that is the only one of its factor is lost. Raises ValueError for rates that do
    not fit.
    """
    if min(drop, confuse) < 0 or drop + confuse > 1:
        raise ValueError(f"drop {drop} and confuse {confuse} must be at least 0 and at most 1 together")

    def fate(factor: str, value: str) -> str | None:
        """What becomes of a value: itself, another or None."""
        draw = rng.random()
        return None if draw < drop else other(factor, value, rng) if draw < drop + confuse else value

    taken, nouns = {noun.name for noun in said.nouns}, []
    for noun in said.nouns:
        draw = 1.0 if keep_names else rng.random()
        if draw < drop:
            noun = replace(noun, name=_LOST if noun.quoted else kb.ANY)
        elif draw < drop + confuse:
            noun = replace(noun, name=_pick(rng, _mistakable(noun.name, taken)))
            taken.add(noun.name)
        looks = tuple((factor, new) for factor, value in noun.looks if (new := fate(factor, value)))
        number, several = noun.number, noun.several
        draw = rng.random() if number is not None else 1.0
        if draw < drop:
            number, several = None, "several" if noun.plural else ""
        elif draw < drop + confuse:
            number += 1 if number < 3 or rng.random() < 0.5 else -1
        nouns.append(replace(noun, looks=looks, number=number, several=several))
    relations = [(a, new, b) for a, relation, b in said.relations if (new := fate("relation", relation))]
    scene = tuple((factor, new) for factor, value in said.scene if (new := fate(factor, value)))
    kept = [place for place, noun in enumerate(nouns) if noun.name != _LOST]
    at = {place: new for new, place in enumerate(kept)}
    relations = [(at[a], relation, at[b]) for a, relation, b in relations if a in at and b in at]
    return Said(tuple(nouns[place] for place in kept), tuple(relations), scene)


def _pick(rng: np.random.Generator, options):
    return options[int(rng.integers(len(options)))]


def other(factor: str, value: str, rng: np.random.Generator) -> str | None:
    """Another value of the same factor, None where there is none."""
    others = [one for one in domain(factor) if one != value]
    return _pick(rng, others) if others else None


@cache
def _alike() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for one, two, _ in kb.confusable():
        found[one] = (*found.get(one, ()), two)
        found[two] = (*found.get(two, ()), one)
    return found


def _mistakable(name: str, taken: set[str]) -> list[str]:
    """What a noun may be taken for, without those in `taken`."""
    kinds, badges = kb.classes(), kb.badges()
    bodies = tuple(dict.fromkeys(badge.phrase for badge in badges.values()))
    if name.startswith('"'):
        groups = [[f'"{word}"' for word in kb.lexicon()]]
    elif name in kinds:
        groups = [
            _alike().get(name, ()),
            kb.members(kinds[name].family),
            [n for n in kinds if "Z" not in kinds[n].roles],
        ]
    else:
        groups = [group for group in (tuple(badges), bodies, THINGS) if name in group] or [tuple(kb.families())]
    left = ([one for one in group if one not in taken] for group in groups)
    return next(filter(None, left))
