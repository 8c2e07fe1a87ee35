"""Texts of picture pairs: a true statement for each of a minimal pair, and compositional sentences with their foils.

Minimal pairs after DIVA (2407.20171) and un2CLIP (2505.24517), compositions after ComCLIP (2211.13854): "a red cup left
of a blue cat", with a foil in its subject, object, relation or attributes.
"""

from typing import NamedTuple

import numpy as np

from lib.world import grammar_truth as truth
from lib.world import kb
from lib.world.grammar_change import Change, differences
from lib.world.grammar_noun import nouns, salient, words
from lib.world.grammar_parse import parse
from lib.world.grammar_say import FRAMES, Caption, sign
from lib.world.spec import Object, Spec

FOILS = ("subject", "object", "relation", "attribute")


def statements(
    before: Spec, after: Spec, rng: np.random.Generator, kinds=None, frames: str = "held_out"
) -> tuple[Caption, Caption]:
    """One sentence for each scene of a minimal pair, in the same words but for what differs: each is true of its own
    scene and false of the other.

    The first difference of `kinds` that a sentence can name is told (default all; what is added one way is removed the
    other). Raises ValueError where none can.
    """
    if kinds is not None and {"add", "remove"} & set(kinds):
        kinds = {*kinds, "add", "remove"}
    if frames not in FRAMES:
        raise ValueError(f"frames '{frames}' are unknown; choose one of {', '.join(FRAMES)}")
    frame = FRAMES[frames][int(rng.random() * len(FRAMES[frames]))]
    scenes = truth.seen(before), truth.seen(after)
    for one in differences(before, after, kinds):
        found = [_state(one, spec, later) for later, spec in enumerate(scenes)]
        if None in found or found[0] == found[1]:
            continue
        said = [frame[many].format(text) for text, many in found]
        judged = [[_true(spec, text) for text in said] for spec in scenes]
        if judged == [[True, False], [False, True]]:
            return tuple(Caption(text, [text], parse(text).tuples) for text in said)
    raise ValueError("the scenes have no difference that a sentence tells; give statements other scenes or kinds")


def _true(spec: Spec, text: str) -> bool:
    said = parse(text).tuples
    denied = {item for item in said if item[0] == "not"}
    return said - denied <= truth.tuples(spec) and all(truth.denied(spec, item) for item in denied)


def _a(text: str) -> str:
    return f"{kb.article(text)} {text}"


def _state(one: Change, spec: Spec, later: int) -> tuple[str, bool] | None:
    """What a scene shows of a difference, and whether it is several things; None where nothing can be said."""
    value = one.new if later else one.old
    name = one.old if one.kind == "replace" and not later else one.new if one.kind == "replace" else one.name
    noun = nouns(one.thing.name)[0][0] if one.thing is not None and one.kind != "replace" else _noun(str(name))
    if one.kind in ("recolour", "refill", "resize", "turn", "move") and one.old:
        factor = {"recolour": "colour", "refill": "fill", "resize": "size", "turn": "turn", "move": "position"}[
            one.kind
        ]
        said = words(factor, str(value))[0]
        return (_a(f"{said} {noun}") if factor in ("colour", "fill", "size") else f"{_a(noun)} {said}"), False
    if one.kind == "state":
        return _a(f"{'flawless' if value == 'flawless' else 'damaged'} {noun}"), False
    if one.kind == "replace":
        return _a(noun), False
    if one.kind == "count":
        singular, plural = nouns(one.thing.name)[0]
        return f"{kb.NUMBERS[int(value)]} {singular if value == 1 else plural}", value != 1
    if one.kind in ("add", "remove"):
        if (one.kind == "add") == bool(later):
            return f"{_rest(one, spec)} with {_a(noun)}", False
        return f"{_rest(one, spec)} without {_a(noun)}", False
    if one.kind == "word":
        scene = _rest(one, spec)
        other = one.old if later else one.new
        return (f"{scene} {sign([str(value)])}" if value else f'{scene} without the word "{other}"'), False
    if one.kind in ("light", "background"):
        if value == "ordinary":
            value = "well lit"
            return f"a well lit picture of {_rest(one, spec)}", False
        factor = "lighting" if value == "backlit" else one.kind
        said = words(factor, str(value))[1 if value == "backlit" else 0]
        return f"{_rest(one, spec)} {said}", False
    if one.kind == "swap":
        return _side(one, spec)
    return None


def _noun(name: str) -> str:
    return nouns(name)[0][0] if name in kb.classes() else name


def _rest(one: Change, spec: Spec) -> str:
    """The largest other object of a scene with its article, else "a scene"."""
    groups = [group for group in salient(spec.objects) if kb.primary(group[0].name) != one.name]
    return _a(nouns(groups[0][0].name)[0][0]) if groups else "a scene"


def _side(one: Change, spec: Spec) -> tuple[str, bool] | None:
    a, b = (next((o for o in spec.objects if kb.primary(o.name) == name), None) for name in (one.name, one.new))
    true = [relation for relation in truth.relations(a, b) if relation in truth.SIDES] if a and b else []
    if not true:
        return None
    return f"{_a(nouns(a.name)[0][0])} {words('relation', true[0])[0]} {_a(nouns(b.name)[0][0])}", False


# ---- compositions


class Composition(NamedTuple):
    """ "a red cup left of a blue cat": the sentence and its triplet of phrases without article."""

    text: str
    subject: str
    relation: str
    object: str
    tuples: frozenset

    @classmethod
    def of(cls, looks: tuple[tuple[str, str], tuple[str, str]], relation: str) -> "Composition":
        """From ((colour, class), (colour, class)) and a relation."""
        phrases = [f"{words('colour', colour)[0]} {_noun(name)}".strip() for colour, name in looks]
        said = words("relation", relation)[0]
        text = f"{_a(phrases[0])} {said} {_a(phrases[1])}"
        return cls(text, phrases[0], said, phrases[1], parse(text).tuples)


def compose(spec: Spec, rng: np.random.Generator, pair: tuple[int, int] | None = None) -> Composition:
    """A true sentence on two objects of different class and visible colours. `pair`: their indices, default drawn.

    Raises ValueError where no two objects stand in a relation.
    """
    spec = truth.seen(spec)
    able = _able(spec) if pair is None else [pair]
    if not able:
        raise ValueError("no two objects of different classes stand in a relation; compose needs two apart or touching")
    a, b = (spec.objects[i] for i in able[int(rng.random() * len(able))])
    true = truth.relations(a, b)
    return Composition.of(_looks(a, b), true[int(rng.random() * len(true))])


def _able(spec: Spec) -> list[tuple[int, int]]:
    things, hides = spec.objects, truth.hidden(spec.style)
    plain = [i for i, o in enumerate(things) if not hides & {"colour", o.colour} and o.name in kb.classes()]
    return [
        (i, j)
        for i in plain
        for j in plain
        if things[i].name != things[j].name and truth.relations(things[i], things[j])
    ]


def _looks(a: Object, b: Object) -> tuple:
    return (a.colour, a.name), (b.colour, b.name)


def foil(spec: Spec, said: Composition, kind: str, rng: np.random.Generator) -> Composition | None:
    """The sentence with one thing wrong, so that it is false of the scene; None where that cannot be.

    subject, object  another class, which the scene does not show
    relation         the inverse relation, or another one that is false
    attribute        the colours exchanged
    Raises ValueError for another kind.
    """
    if kind not in FOILS:
        raise ValueError(f"foil '{kind}' is unknown; choose one of {', '.join(FOILS)}")
    relation = next(item for item in said.tuples if item[0] == "relation")
    names = [relation[1], relation[3]]
    colours = [phrase.removesuffix(f" {_noun(name)}") for phrase, name in zip((said.subject, said.object), names)]
    shown = {kb.primary(thing.name) for thing in spec.objects}
    if kind in ("subject", "object"):
        free = [name for name, row in kb.classes().items() if name not in shown and "Z" not in row.roles]
        names[kind == "object"] = free[int(rng.random() * len(free))]
    value = relation[2]
    if kind == "relation":
        others = [kb.inverse(value), *(other for other in kb.values("relation") if other != value)]
        true = {item[2] for item in truth.tuples(spec) if item[0] == "relation" and (item[1], item[3]) == tuple(names)}
        value = next((other for other in others if other and other not in true), "")
    if kind == "attribute":
        colours.reverse()
    by_phrase = {row.phrase: name for name, row in kb.values("colour").items()}
    found = Composition.of(tuple((by_phrase[c], n) for c, n in zip(colours, names)), value) if value else None
    return None if found is None or found.tuples <= truth.tuples(spec) else found
