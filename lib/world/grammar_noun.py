"""Noun phrases: how objects of one class are called and what is said of them.

What a noun phrase may say of an object is a row of `_SAYABLE`; states, parts and marks come on top where a scene has
them (`More`), from draws of their own, so that other scenes are said as ever.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from lib.world import grammar_truth as truth
from lib.world import kb
from lib.world.spec import Object, Spec

Said = tuple[str, str]  # words and the value they say


class _Sayable(NamedTuple):
    """One thing to say of an object; `rate` names its rate, `value` is "" where there is nothing to say."""

    factor: str
    rate: str
    value: Callable[[Object], str]
    before: bool  # the noun


_SAYABLE = (
    _Sayable("mirrored", "orientation", lambda thing: "mirrored" if thing.mirrored else "", True),
    _Sayable("size", "size", truth.size, True),
    _Sayable("fill", "fill", lambda thing: thing.fill, True),
    _Sayable("colour", "colour", lambda thing: thing.colour, True),
    _Sayable("turn", "orientation", lambda thing: truth.turn(thing).removeprefix("upright"), False),
    _Sayable("position", "position", truth.position, False),
)


@cache
def nouns(name: str) -> tuple[tuple[str, str], ...]:
    """(singular, plural) of a class by its primary name, its second name and its family.

    Those of a badge are the word of its body, its full name, and "badge".
    """
    kind = kb.kind(name)
    if isinstance(kind, kb.Badge):
        return (kind.phrase, kind.plural), (name, kb.plural(name)), (kb.BADGE, kb.plural(kb.BADGE))
    family = kb.families()[kind.family]
    return (kind.phrase, kind.plural), (kind.second, kb.plural(kind.second)), (family.hypernym, family.plural)


@cache
def words(factor: str, value: str) -> tuple[str, str]:
    """Phrase and synonym of a value. Raises ValueError with the known values."""
    known = kb.values(factor)
    if value not in known:
        raise ValueError(f"{factor} '{value}' is unknown; choose one of {', '.join(known)}")
    return known[value].phrase, known[value].synonym


def joined(texts: list[str]) -> str:
    """ "a, b and c"."""
    return f"{', '.join(texts[:-1])} and {texts[-1]}" if len(texts) > 1 else texts[0]


class Phrase:
    """One named object, or all those of one class, on the way to a noun phrase.

    `before` and `after` hold what is said of it, `more` its state and parts; `number` is its count where that is said,
    else 0. A family word gets a number only where it counts every member in the scene.
    """

    __slots__ = ("name", "noun", "pronoun", "several", "number", "before", "after", "more")

    def __init__(
        self,
        group: list[Object],
        objects: tuple[Object, ...],
        rates: dict,
        hides: frozenset,
        draw: Callable,
        more: "More | None" = None,
    ):
        thing, alone = group[0], len(group) == 1
        kind = kb.kind(thing.name)
        u_class, u_name, u_synonym, u_count = draw(), draw(), draw(), draw()
        self.several, self.pronoun = not alone, False
        if kind.family == kb.BADGE:
            full = u_name < rates["invented"] * min(1.0, 10 * kind.captioned)
            self.name = thing.name if full else kind.phrase
            self.noun = nouns(thing.name)[full][not alone]
        elif u_class >= rates["class"]:
            self.name, self.noun = kb.ANY, "object" if alone else "objects"
            self.pronoun = alone and u_name < 0.5
        elif u_name < rates["family"]:
            self.name, self.noun = kind.family, nouns(thing.name)[2][not alone]
        else:
            second = u_name - rates["family"] < (1 - rates["family"]) * rates["second"]
            self.name, self.noun = thing.name, nouns(thing.name)[second][not alone]
        self.number = 0
        if not alone and u_count < rates["count"] and len(group) == truth.count(objects, self.name):
            self.number = len(group)
        synonym = u_synonym < rates["synonym"]
        self.before: list[Said] = []
        self.after: list[Said] = []
        for factor, rated, value_of, before in _SAYABLE:
            if factor == "colour" and kind.natural_colour:
                rated = "typical" if thing.colour == kind.natural_colour else "untypical"
            if draw() >= rates[rated]:
                continue
            value = value_of(thing)
            if not value or (hides and (value in hides or factor in hides)):
                continue
            if alone or all(value_of(other) == value for other in group):
                said = words(factor, value)[synonym]
                if before:
                    self.before.append((said, value))
                else:
                    self.after.append((said if alone else said.replace(" its ", " their "), value))
        self.more = None if more is None else more.said(group, rates)

    @property
    def parts(self) -> list[Said]:
        """The parts said; what is taken from the list goes unsaid."""
        return self.more.parts if self.more else []

    def text(self) -> str:
        """The noun phrase with article or number: "a small red cat on the left", "two cats", "something red"."""
        looks = [said for said, _ in self.before]
        more = self.more
        if more is not None and more.before:
            looks.insert(0, more.state[0])
        if self.pronoun:
            found = "something " + " and ".join(looks) if looks else "something"
        elif self.several:
            number = self.number
            counted = (kb.NUMBERS[number] if number < len(kb.NUMBERS) else str(number)) if number else "several"
            found = " ".join([counted, *looks, self.noun])
        else:
            found = " ".join([kb.article(looks[0] if looks else self.noun), *looks, self.noun])
        if more is not None:
            if more.state[0] and not more.before:
                found = f"{found} {more.state[0]}"
            if more.parts:
                found = f"{found} with {joined([said for said, _ in more.parts])}"
        return " ".join([found, *[said for said, _ in self.after]]) if self.after else found

    def tuples(self) -> list[tuple]:
        """What the noun phrase says."""
        name = self.name
        found: list[tuple] = [("object", name)]
        if self.before:
            found += [("attribute", name, value) for _, value in self.before]
        if self.after:
            found += [("attribute", name, value) for _, value in self.after]
        if self.more is not None:
            values = [value for _, value in (self.more.state, *self.more.parts) if value]
            found += [("attribute", name, value) for value in values]
        if self.number:
            found.append(("count", name, self.number))
        return found


class Extra(NamedTuple):
    """State ("", "") where none is said, whether it stands before the noun, and parts of a noun phrase."""

    state: Said
    before: bool
    parts: list[Said]


class More(NamedTuple):
    """What few scenes have: state value ("" for none) and parts of each object by id, and draws of their own."""

    looks: dict[int, tuple[str, dict[str, str]]]
    draw: Callable[[], float]

    @classmethod
    def of(cls, spec: Spec, rng: np.random.Generator) -> "More | None":
        """None for a scene without written words, states, parts or marks: no number is drawn for it."""
        if not (spec.words or spec.damage):
            badges = kb.badges()
            for thing in spec.objects:
                if thing.state or thing.mark or thing.name in badges:
                    break
            else:
                return None
        looks = {}
        for index, thing in enumerate(spec.objects):
            values = truth.states(spec, index)
            said = thing.state == "flawless" or values[0] == "damaged"
            looks[id(thing)] = (values[0] if said else "", truth.parts(thing))
        return cls(looks, iter(rng.random(24).tolist()).__next__)

    def said(self, group: list[Object], rates: dict) -> Extra:
        """State, parts and mark that are said of a group: those that are the same in all of it, at their rates."""
        draw, shared = self.draw, [self.looks[id(thing)] for thing in group]
        u_state, u_word, u_parts = draw(), draw(), [draw() for _ in kb.PARTS]
        value, state, before, found = shared[0][0], ("", ""), False, []
        rate = rates["flawless" if value == "flawless" else "state"]
        if value and u_state < rate and all(state == value for state, _ in shared):
            options = kb.states()[value]
            said = options[int(u_word * len(options))]
            state, before = (said.phrase, value), said.before
        for part, u in zip(kb.PARTS, u_parts):
            phrase = shared[0][1].get(part)
            if phrase and u < rates["part"] and all(parts.get(part) == phrase for _, parts in shared):
                found.append((f"{kb.article(phrase)} {phrase}", phrase))
        return Extra(state, before, found)


def salient(objects: tuple[Object, ...]) -> list[list[Object]]:
    """Objects by class: the class with the largest object first, nearer ones first where sizes tie."""
    groups: dict[str, list[Object]] = {}
    for thing in sorted(objects, key=lambda o: (-o.radius, o.z)) if len(objects) > 1 else objects:
        groups.setdefault(thing.name, []).append(thing)
    return list(groups.values())
