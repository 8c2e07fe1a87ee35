"""What a sentence says, as slots: nouns with their looks, relations and scene, between `parse` and any writer.

`read` takes an English caption apart, `Said.of` orders plain tuples, `degrade` loses and confuses slots at given rates.
The module knows strings, tuples and the tables of `kb`; it never sees a Spec.
"""

import csv
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np

from lib.world import kb
from lib.world.grammar_parse import parse, phrases

LOOKS = ("size", "mirrored", "fill", "colour", "turn", "position")  # factors of attributes, in the order they are said
SCENE = ("land", "ground", "background", "light", "style")
_MARKS = str.maketrans({mark: f" {mark} " for mark in ":\"'()[],.;!?"} | {"\n": " . "})


@dataclass(frozen=True)
class Noun:
    """A noun phrase. `name` is a class, a family, `kb.ANY` or a kind of overhead thing.

    `number` is None where no number is said; `several` is then "", "several" or "many".
    """

    name: str
    looks: tuple[tuple[str, str], ...] = ()  # (factor, value)
    number: int | None = None
    several: str = ""

    @property
    def plural(self) -> bool:
        return bool(self.several) if self.number is None else self.number != 1


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
            found.add(("object", noun.name))
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
                tuple(sorted(looks[name], key=_place)),
                numbers.get(name),
                "several" if name in several and name not in numbers else "",
            )
            for name in names
        ]
        at = {name: place for place, name in enumerate(names)}
        relations = [(at[i[1]], i[2], at[i[3]]) for i in items if i[0] == "relation" and i[1] in at and i[3] in at]
        scene = [(scene_factor(item[1]), item[1]) for item in items if item[0] == "scene"]
        scene += [("ground", item[1]) for item in items if item[0] == "ground"]
        return cls(tuple(nouns), tuple(relations), tuple(sorted(scene, key=lambda pair: SCENE.index(pair[0]))))


def _place(look: tuple[str, str]) -> int:
    return LOOKS.index(look[0]) if look[0] in LOOKS else len(LOOKS)


@cache
def _factors() -> dict[str, str]:
    return {"black": "colour"} | {value: factor for factor in LOOKS for value in kb.values(factor)}


def factor_of(value: str) -> str:
    """Factor of an attribute value: "colour" of "red". Values of no table are states ("scratch")."""
    return _factors().get(value, "state")


@cache
def badge_rows() -> dict[str, dict[str, str]]:
    """Rows of tables/badges.csv by name."""
    with open(kb.TABLES / "badges.csv", newline="", encoding="ascii") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


@cache
def _scenes() -> dict[str, str]:
    return {value: factor for factor in SCENE[2:] for value in kb.values(factor)}


def scene_factor(value: str) -> str:
    """Factor of a scene value: "light" of "dim"; kinds of land are "land"."""
    return _scenes().get(value, "land")


class Span(NamedTuple):
    """Words of a text that mean one thing; `kind` is None where they are in no table."""

    text: str
    kind: str | None
    value: object


def spans(text: str) -> list[Span]:
    """The text cut into phrases of the tables, longest first, and single words and marks between them."""
    known, words = phrases(), text.lower().translate(_MARKS).split()
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
    return frozenset(plurals - names) | {"objects", "things"}


def read(text: str) -> Said:
    """Slots of one English sentence, nouns in the order of the text. Words that `parse` does not know are lost."""
    parsed = parse(text)
    nouns = [span for span in spans(text) if span.kind == "noun"]
    several = frozenset(str(span.value) for span in nouns if span.text in _plurals())
    return Said.of(parsed.tuples, tuple(str(span.value) for span in nouns), several)


def degrade(
    said: Said, rng: np.random.Generator, drop: float = 0.0, confuse: float = 0.0, keep_names: bool = False
) -> Said:
    """Lose each slot with probability `drop`, replace it by another value of its kind with probability `confuse`.

    A noun that is lost becomes `kb.ANY`; `keep_names` leaves nouns alone. A noun is confused with another one of its
    family, else with any; a value that is the only one of its factor is lost. Raises ValueError for rates that do not
    fit.
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
            noun = replace(noun, name=kb.ANY)
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
    relations = tuple((a, new, b) for a, relation, b in said.relations if (new := fate("relation", relation)))
    scene = tuple((factor, new) for factor, value in said.scene if (new := fate(factor, value)))
    return Said(tuple(nouns), relations, scene)


def _pick(rng: np.random.Generator, options):
    return options[int(rng.integers(len(options)))]


def other(factor: str, value: str, rng: np.random.Generator) -> str | None:
    """Another value of the same factor, None where there is none."""
    others = [one for one in domain(factor) if one != value]
    return _pick(rng, others) if others else None


LANDS = ("harbour", "forest", "farm", "town", "airport", "desert", "river", "car park")
THINGS = ("ship", "tree", "house", "airplane", "car", "rock", "pier", "bridge", "runway", "road", "pond", "field")
GROUNDS = ("green", "dry", "autumn", "snowy", "red", "grey", "sandy")
STATES = ("flawless", "damaged", "scratch", "hole", "stain", "blot", "chunk")
LAYOUTS = ("scattered", "in a row", "in a cluster")


@cache
def domain(factor: str) -> tuple[str, ...]:
    """All values of a factor, of the kinds of overhead pictures too."""
    own = {"state": STATES, "land": LANDS, "ground": GROUNDS, "layout": LAYOUTS}
    return own[factor] if factor in own else tuple(kb.values(factor))


def _mistakable(name: str, taken: set[str]) -> list[str]:
    """Classes that one may take for a class, without those in `taken`."""
    kinds = kb.classes()
    if name not in kinds:
        group = THINGS if name in THINGS else kb.families()
        return [one for one in group if one not in taken]
    return [one for one in kb.members(kinds[name].family) if one not in taken] or [
        one for one, kind in kinds.items() if one not in taken and "Z" not in kind.roles
    ]
