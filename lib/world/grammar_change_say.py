"""Changes in words: what differs between two pictures, and the instructions that make the steps of a video.

The texts follow OmniDiff (type, object, from and to, place) and HiREST (2303.16406).
"""

from collections.abc import Iterable

import numpy as np

from lib.world import kb
from lib.world.grammar_change import KINDS, Change, differences
from lib.world.grammar_noun import joined, nouns, words
from lib.world.grammar_parse import parse
from lib.world.grammar_say import Caption
from lib.world.spec import Spec

FACTORS = {"recolour": "colour", "refill": "fill", "resize": "size", "move": "position", "turn": "turn"}
RELATIVE = ("", "larger", "smaller", "darker", "brighter", "ordinary")  # values that stand as they are

_VERBS = {  # two ways to say each kind that has no form of its own
    "add": ("appears", "has been added"),
    "remove": ("disappears", "is gone"),
    "replace": ("is replaced by", "has been replaced by"),
    "values": ("changes from {} to {}", "turns from {} into {}"),
    "none": ("no change", "nothing has changed"),
}


def change_text(
    before: Spec,
    after: Spec,
    rng: np.random.Generator,
    kinds: Iterable[str] | None = None,
    looks: float = 0.5,
    place: float = 0.5,
    most: int = 3,
) -> Caption:
    """What has changed, one sentence per change and at most `most` of them; "no change" where nothing has.

    The object is called with its colour with probability `looks`, with its place with probability `place`. `kinds` as
    in `differences`: what is not among them (a jittered camera) goes unsaid.
    """
    found = differences(before, after, kinds)[:most]
    u = rng.random((most, 3)).tolist()
    sentences = [_sentence(one, *draws, looks, place) for one, draws in zip(found, u)] or [
        _VERBS["none"][u[0][0] < 0.5]
    ]
    text = ". ".join(sentences)
    return Caption(text, sentences, parse(text).tuples)


def _sentence(one: Change, u_form: float, u_looks: float, u_place: float, looks: float, place: float) -> str:
    form = u_form < 0.5
    subject = _subject(one, u_looks < looks, u_place < place)
    if one.kind == "add":
        where = f" {words('position', one.place)[0]}"
        return f"{kb.article(subject)} {subject} {_VERBS['add'][form]}{where}"
    if one.kind == "remove":
        return f"the {subject} {_VERBS['remove'][form]}"
    if one.kind == "replace":
        noun = nouns(one.thing.name)[0][0]
        return f"the {subject} {_VERBS['replace'][form]} {kb.article(noun)} {noun}"
    if one.kind == "swap":
        return f"the {subject} and the {_noun(one.new)} {('swap', 'trade')[form]} places"
    if one.kind == "count":
        old, new = (kb.NUMBERS[number] if number < len(kb.NUMBERS) else number for number in (one.old, one.new))
        return f"the number of {nouns(one.thing.name)[0][1]} {_VERBS['values'][0].format(old, new)}"
    if one.kind == "word":
        if one.old and one.new:
            return (
                f"the word {_VERBS['values'][0].format(f'{chr(34)}{one.old}{chr(34)}', f'{chr(34)}{one.new}{chr(34)}')}"
            )
        return f'the word "{one.old or one.new}" {_VERBS["add" if one.new else "remove"][form]}'
    if one.kind == "viewpoint":
        return f"the {('view', 'camera')[form]} shifts {_toward(one.new)}"
    if one.kind == "mirror":
        return f"the {subject} becomes mirrored"
    old, new = (_value(one.kind, value) for value in (one.old, one.new))
    topic = {"light": "light", "background": "background"}.get(one.kind, subject)
    if not old:
        verb = {"move": "moves", "resize": "becomes", "light": "becomes"}[one.kind]
        return f"the {topic} {verb} {_toward(one.new) if one.kind == 'move' else new}"
    verb = {"move": ("moves", "slides")[form]}.get(one.kind)
    if verb:
        return f"the {topic} {verb} from {old} to {new}"
    return f"the {topic} {_VERBS['values'][form].format(old, new)}"


def _subject(one: Change, looks: bool, place: bool) -> str:
    """The noun of a change with its colour and place where they are said and do not change."""
    if one.thing is None:
        return ""
    name = one.old if one.kind == "replace" else one.name
    said = _noun(str(name))
    if looks and one.kind not in ("recolour", "replace"):
        said = f"{words('colour', one.thing.colour)[0]} {said}"
    if place and one.place and one.kind not in ("add", "move", "turn"):
        said = f"{said} {words('position', one.place)[0]}"
    return said


def _noun(name: str) -> str:
    return nouns(name)[0][0] if name in kb.classes() else name


def _toward(way: str) -> str:
    return f"to the {way}" if way in ("left", "right") else way


def _value(kind: str, value: object) -> str:
    """A value as it stands after "from" and "to": "the top left", "on sand" without its preposition, "scratched"."""
    if value in RELATIVE:
        return str(value)
    if kind == "move":
        return f"the {value}"
    if kind == "background":
        said = words("background", str(value))[0].split(" ", 1)[1]
        return said
    if kind == "light":
        return str(value)
    if kind == "state":
        return next(one.phrase for one in kb.states()[str(value)] if one.before and one.phrase != "normal")
    return words(FACTORS[kind], str(value))[0]


# ---- steps

_IMPERATIVES = {
    "add": ("add", "put in"),
    "remove": ("remove", "take away"),
    "replace": ("replace", "replace"),
}


def step(before: Spec, after: Spec, rng: np.random.Generator, looks: float = 0.5) -> Caption:
    """The caption of a step as an instruction: "add a red cup on the left", "paint the cup blue"; all it changes."""
    found = differences(before, after, [kind for kind in KINDS if kind != "count"])
    if not found:
        raise ValueError("a step without a difference has no caption; give it an edit")
    u = rng.random((len(found), 2)).tolist()
    text = joined([_instruction(one, a < 0.5, b < looks) for one, (a, b) in zip(found, u)])
    return Caption(text, [text], parse(text).tuples)


def _instruction(one: Change, form: bool, looks: bool) -> str:
    subject = _subject(one, looks, place=False)
    if one.kind in ("add", "remove"):
        where = f" {words('position', one.place)[0]}" if one.kind == "add" else ""
        article = kb.article(subject) if one.kind == "add" else "the"
        return f"{_IMPERATIVES[one.kind][form]} {article} {subject}{where}"
    if one.kind == "replace":
        noun = nouns(one.thing.name)[0][0]
        return f"replace the {subject} by {kb.article(noun)} {noun}"
    if one.kind == "swap":
        return f"swap the {subject} and the {_noun(one.new)}"
    if one.kind == "move":
        return f"{('move', 'push')[form]} the {subject} {_toward(one.new) if not one.old else f'to the {one.new}'}"
    if one.kind == "recolour":
        return f"paint the {subject} {words('colour', one.new)[0]}"
    if one.kind == "turn":
        return f"{('turn', 'rotate')[form]} the {subject} {words('turn', one.new)[0]}"
    if one.kind == "resize":
        grows = one.new == "larger" or (one.old, one.new) in (
            ("small", "medium"),
            ("medium", "large"),
            ("small", "large"),
        )
        return f"{'enlarge' if grows else 'shrink'} the {subject}"
    if one.kind in ("refill", "state"):
        return f"change the {subject} into {_value(one.kind, one.new)}"
    return _sentence(one, 0.0, 1.0, 1.0, 0.0, 0.0)
