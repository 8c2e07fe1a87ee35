"""How a scene is put into words: frames, noun phrases and the kinds of captions.

Each function of `KINDS` takes (spec, rng, frames, rates) and returns a `Caption`. What a noun phrase may say of an
object is a row of `_SAYABLE`. A kind draws one block from its generator, so that captions stay cheap.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from lib.world import grammar_truth as truth
from lib.world import kb
from lib.world.spec import Object, Spec

MAX_WORDS, MAX_LONG_WORDS = 16, 90  # of a short and of a long caption
FRAMES = {  # (around one thing, around several things)
    "seen": (
        ("{}", "{}"),
        ("a picture of {}", "a picture of {}"),
        ("an image of {}", "an image of {}"),
        ("a scene with {}", "a scene with {}"),
        ("this is {}", "these are {}"),
        ("there is {}", "there are {}"),
        ("here is {}", "here are {}"),
        ("we see {}", "we see {}"),
    ),
    "held_out": (
        ("the picture shows {}", "the picture shows {}"),
        ("this image has {}", "this image has {}"),
        ("the view contains {}", "the view contains {}"),
        ("look at {}", "look at {}"),
        ("you can find {}", "you can find {}"),
        ("{} in view", "{} in view"),
    ),
}
STYLE_FRAMES = {"seen": ("{}",), "held_out": ("this image has {}", "look at {}")}  # around "a photo of ..."
Said = tuple[str, str]  # words and the value they say


class Caption(NamedTuple):
    """A caption: `text`, its `sentences` without full stop, and the `tuples` it says, as `parse` finds them."""

    text: str
    sentences: list[str]
    tuples: frozenset


class Rates(NamedTuple):
    """Mention rates of captions that say nothing but classes, of all others, and the share of the former."""

    terse: dict[str, float]
    full: dict[str, float]
    share: float


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
    """(singular, plural) of a class by its primary name, its second name and its family."""
    kind = kb.classes()[name]
    family = kb.families()[kind.family]
    return (kind.phrase, kind.plural), (kind.second, kb.plural(kind.second)), (family.hypernym, family.plural)


@cache
def words(factor: str, value: str) -> tuple[str, str]:
    """Phrase and synonym of a value. Raises ValueError with the known values."""
    known = kb.values(factor)
    if value not in known:
        raise ValueError(f"{factor} '{value}' is unknown; choose one of {', '.join(known)}")
    return known[value].phrase, known[value].synonym


class _Phrase:
    """One named object, or all those of one class, on the way to a noun phrase.

    `before` and `after` hold what is said of it; `number` is its count where that is said, else 0. A family word gets
    a number only where it counts every member in the scene.
    """

    __slots__ = ("name", "noun", "pronoun", "several", "number", "before", "after")

    def __init__(self, group: list[Object], objects: tuple[Object, ...], rates: dict, hides: frozenset, draw: Callable):
        thing, alone = group[0], len(group) == 1
        kind = kb.classes()[thing.name]
        u_class, u_name, u_synonym, u_count = draw(), draw(), draw(), draw()
        self.several, self.pronoun = not alone, False
        if u_class >= rates["class"]:
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

    def text(self) -> str:
        """The noun phrase with article or number: "a small red cat on the left", "two cats", "something red"."""
        looks = [said for said, _ in self.before]
        if self.pronoun:
            found = "something " + " and ".join(looks) if looks else "something"
        elif self.several:
            number = self.number
            counted = (kb.NUMBERS[number] if number < len(kb.NUMBERS) else str(number)) if number else "several"
            found = " ".join([counted, *looks, self.noun])
        else:
            found = " ".join([kb.article(looks[0] if looks else self.noun), *looks, self.noun])
        return " ".join([found, *[said for said, _ in self.after]]) if self.after else found

    def tuples(self) -> list[tuple]:
        """What the noun phrase says."""
        name = self.name
        found: list[tuple] = [("object", name)]
        found += [("attribute", name, value) for _, value in self.before]
        found += [("attribute", name, value) for _, value in self.after]
        if self.number:
            found.append(("count", name, self.number))
        return found


def _salient(objects: tuple[Object, ...]) -> list[list[Object]]:
    """Objects by class: the class with the largest object first, nearer ones first where sizes tie."""
    groups: dict[str, list[Object]] = {}
    for thing in sorted(objects, key=lambda o: (-o.radius, o.z)) if len(objects) > 1 else objects:
        groups.setdefault(thing.name, []).append(thing)
    return list(groups.values())


def short(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """One or two objects, perhaps their relation, background, light and style, in at most 16 words."""
    draw = iter(rng.random(32).tolist()).__next__
    u_terse, u_frame, u_style, u_ground, u_light, u_synonym, u_two, u_relation, u_which = [draw() for _ in range(9)]
    rate = rates.terse if u_terse < rates.share else rates.full
    synonym = u_synonym < rate["synonym"]
    groups = _salient(spec.objects)[: 1 if len(spec.objects) > 2 and u_two < 0.5 else 2]
    hides = truth.hidden(spec.style)
    named = [_Phrase(group, spec.objects, rate, hides, draw) for group in groups]
    relation = ""
    if len(groups) == 2 and len(groups[0]) == len(groups[1]) == 1 and u_relation < rate["relation"]:
        true = truth.relations(groups[0][0], groups[1][0])
        relation = true[int(u_which * len(true))] if true else ""
    scene: list[Said] = []
    if u_ground < rate["background"] or not named:  # an empty scene shows its ground
        scene.append((words("background", spec.background.name)[synonym], spec.background.name))
    if spec.light.word and u_light < rate["light"]:
        scene.append((words("light", spec.light.word)[synonym], spec.light.word))
    styled = u_style < rate["style"]
    style = words("style", spec.style)[synonym] + " " if styled else ""
    options = STYLE_FRAMES[frames] if styled else FRAMES[frames]
    frame = options[int(u_frame * len(options))]
    if not styled:
        frame = frame[bool(named) and named[0].several]
    if len(named) == 2 and not relation and named[1].tuples() == [("object", kb.ANY)]:
        named.pop()  # "... and something" says nothing
    joint = f" {words('relation', relation)[synonym]} " if relation else " and "
    text = frame.format(style + _body(named, joint, scene))
    while text.count(" ") >= MAX_WORDS and _shorten(named, scene):
        text = frame.format(style + _body(named, joint, scene))
    found = [("scene", value) for _, value in scene]
    for phrase in named:
        found += phrase.tuples()
    if relation and len(named) == 2:
        found.append(("relation", named[0].name, relation, named[1].name))
    if styled:
        found.append(("scene", spec.style))
    return Caption(text, [text], frozenset(found))


def _body(named: list[_Phrase], joint: str, scene: list[Said]) -> str:
    """Noun phrases, relation and scene phrases; without objects the ground is the noun: "grass in dim light"."""
    if not named:
        return " ".join([scene[0][0].split(" ", 1)[1], *[said for said, _ in scene[1:]]])
    text = named[0].text()
    if len(named) == 2:
        comma = "," if joint != " and " and named[0].after else ""
        text = text + comma + joint + named[1].text()
    return " ".join([text, *[said for said, _ in scene]]) if scene else text


def _shorten(named: list[_Phrase], scene: list[Said]) -> bool:
    """Take back the least telling thing said, of the second object first. False where nothing is left to take."""
    for said in (*[p.after for p in reversed(named)], *[p.before for p in reversed(named)], scene, named[1:] and named):
        if said:
            said.pop(-1 if said is named else 0)
            return True
    return False


def class_only(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """The short caption of the classes by their primary names and nothing else."""
    bare = dict.fromkeys(rates.full, 0.0) | {"class": 1.0}
    return short(spec, rng, frames, Rates(bare, bare, 0.0))


def long(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """The short caption, then local sentences on objects, relations, background and light, in at most 90 words."""
    first = short(spec, rng, frames, rates)
    groups = _salient(spec.objects)
    objects = [_object_sentence(thing, len(group) == 1, spec) for group in groups for thing in group]
    singles = [group[0] for group in groups if len(group) == 1]
    links = [_relation_sentence(a, b) for a, b in zip(singles, singles[1:]) if truth.relations(a, b)]
    ground, light = spec.background.name, spec.light.word
    scene = [(f"this scene is set {words('background', ground)[0]}", {("scene", ground)})]
    if light:
        scene.append((f"all of it lies {words('light', light)[0]}", {("scene", light)}))
    else:
        scene.append(("all of it lies in ordinary light", set()))
    style = words("style", spec.style)[0].removesuffix(" of")
    ending = [(f"all of it is made in the style of {style}", {("scene", spec.style)})]
    number = len(spec.objects)
    if 0 < number < len(kb.NUMBERS):
        counted = f"{kb.NUMBERS[number]} {'object' if number == 1 else 'objects'}"
        ending.append((f"the scene has {counted} in all", {("object", kb.ANY), ("count", kb.ANY, number)}))
    left = MAX_LONG_WORDS - sum(len(text.split()) for text in (first.text, scene[0][0], scene[1][0]))
    sentences, found = [first.text], set(first.tuples)
    chosen = {id(pair) for pair in scene}
    for pair in (*objects, *links, *ending):
        length = len(pair[0].split())
        if length <= left:
            left -= length
            chosen.add(id(pair))
    for pair in (*objects, *links, *scene, *ending):
        if id(pair) in chosen:
            sentences.append(pair[0])
            found |= pair[1]
    return Caption(". ".join(sentences) + ".", sentences, frozenset(found))


def _object_sentence(thing: Object, alone: bool, spec: Spec) -> tuple[str, set]:
    """A sentence with every visible attribute of one object; of three or more objects an upright one goes unsaid."""
    seen = truth.attributes(thing, spec.style)
    if len(spec.objects) > 2 and seen["turn"] == "upright":
        del seen["turn"]
    noun = nouns(thing.name)[0][0]
    looks = [words(factor, seen[factor])[0] for factor in ("mirrored", "size", "fill", "colour") if factor in seen]
    look = f"{', '.join(looks[:-1])} and {looks[-1]}" if len(looks) > 1 else looks[0]
    place = words("position", seen["position"])[0]
    if "turn" in seen:
        place = f"and it is {words('turn', seen['turn'])[0]} and {place}"
    text = f"{'the' if alone else kb.article(noun)} {noun} is {look}, {place}"
    return text, {("object", thing.name)} | {("attribute", thing.name, value) for value in seen.values()}


def _relation_sentence(a: Object, b: Object) -> tuple[str, set]:
    relation = truth.relations(a, b)[0]
    text = f"the {nouns(a.name)[0][0]} is {words('relation', relation)[0]} the {nouns(b.name)[0][0]}"
    return text, {("object", a.name), ("object", b.name), ("relation", a.name, relation, b.name)}


KINDS = {"short": short, "class_only": class_only, "long": long}
