"""Questions with answers, and hypotheses that a scene entails, contradicts or leaves open (after CLOSE, 2211.09778).

Half of the yes/no questions are answered with yes, half of the hypotheses are entailed, and what is false is drawn from
another scene where one is given: so the question or the hypothesis alone tells nothing. Open ("neutral") are only
statements that the picture cannot decide, about colours that its style hides.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lib.world import grammar_truth as truth
from lib.world import kb
from lib.world.grammar_noun import nouns, words
from lib.world.grammar_parse import parse
from lib.world.spec import Object, Spec

QUESTIONS = ("yes_no", "count", "colour")
LABELS = ("entail", "contradict", "neutral")
TOPICS = ("presence", "colour", "fill", "size", "position", "relation", "count", "background")


class Question(NamedTuple):
    """A question with its answer in one word ("yes", "no", "two", "red") and its kind, of `QUESTIONS`."""

    question: str
    answer: str
    kind: str


class Hypothesis(NamedTuple):
    """A sentence, its label of `LABELS` and its topic of `TOPICS`."""

    text: str
    label: str
    topic: str


class _Fact(NamedTuple):
    """What may be true of a scene on a topic: `said` is the sentence, `asked` the question."""

    said: str
    asked: str


class _Scene:
    """A scene for questions: its objects that are the only one of their class, and draws."""

    def __init__(self, spec: Spec, rng: np.random.Generator, other: Spec | None, classes: Sequence[str] | None):
        self.spec, self.rng = truth.seen(spec), rng
        self.other = truth.seen(other) if other is not None else None
        things = self.spec.objects
        self.shown = {called for thing in things for called in kb.called(thing.name)}
        self.single = [o for o in things if sum(kb.primary(a.name) == kb.primary(o.name) for a in things) == 1]
        self.classes = [name for name in classes or _base() if kb.primary(name) not in self.shown]

    def one(self, options: Sequence):
        return options[int(self.rng.random() * len(options))] if options else None

    def false(self, factor: str, value: str, of: Callable[[Object], str]) -> str | None:
        """Another value of a factor: that of an object of the other scene, else any. None where the two agree.

        What is true is said only where there is something false to say too, or "plain" would mostly be true.
        """
        if self.other is None:
            return self.one([name for name in kb.values(factor) if name != value])
        thing = self.one(self.other.objects)
        return of(thing) if thing is not None and of(thing) != value else None


def _base() -> list[str]:
    return [name for name, kind in kb.classes().items() if "Z" not in kind.roles]


def _noun(thing: Object, several: bool = False) -> str:
    return nouns(thing.name)[0][several]


def _presence(scene: _Scene, true: bool) -> _Fact | None:
    """Present or absent class, said or denied."""
    shown, absent = [o.name for o in scene.spec.objects], scene.classes
    if scene.other is not None:
        absent = [o.name for o in scene.other.objects if kb.primary(o.name) not in scene.shown]
        shown = [name for name in shown if kb.primary(name) not in {kb.primary(o.name) for o in scene.other.objects}]
    denied = scene.rng.random() < 0.3
    if not (shown and absent):
        return None
    noun = nouns(scene.one(shown if true != denied else absent))[0][0]
    one = f"{kb.article(noun)} {noun}"
    if denied:
        return _Fact(f"no {noun} can be seen", f"is the picture without {one}?")
    return _Fact(f"{one} can be seen", f"is there {one}?")


def _look(factor: str, of: Callable[[Object], str]) -> Callable:
    def fact(scene: _Scene, true: bool) -> _Fact | None:
        style = scene.spec.style
        able = [o for o in scene.single if factor in truth.attributes(o, style)]
        thing = scene.one(able)
        if thing is None:
            return None
        false = scene.false(factor, of(thing), of)
        if false is None or {false, factor} & truth.hidden(style):
            return None
        said = words(factor, of(thing) if true else false)[0]
        return _Fact(f"the {_noun(thing)} is {said}", f"is the {_noun(thing)} {said}?")

    return fact


def _relation(scene: _Scene, true: bool) -> _Fact | None:
    sides = {(a.name, b.name): [r for r in truth.relations(a, b) if r in truth.SIDES]
             for a in scene.single for b in scene.single if a is not b}  # fmt: skip
    pair = scene.one([pair for pair, found in sides.items() if found])
    if pair is None:
        return None
    relation = sides[pair][0] if true else kb.inverse(sides[pair][0])
    first, second = (nouns(name)[0][0] for name in pair)
    said = words("relation", relation)[0]
    return _Fact(f"the {first} is {said} the {second}", f"is the {first} {said} the {second}?")


def _count(scene: _Scene, true: bool) -> _Fact | None:
    thing = scene.one(scene.spec.objects)
    if thing is None:
        return None
    number, near = truth.count(scene.spec.objects, kb.primary(thing.name)), range(1, 7)
    if scene.other is not None:
        mate = scene.one(scene.other.objects)
        near = [truth.count(scene.other.objects, kb.primary(mate.name))] if mate is not None else []
    false = scene.one([n for n in near if n != number])
    if false is None or max(number, false) >= len(kb.NUMBERS):
        return None
    number = number if true else false
    said = f"exactly {kb.NUMBERS[number]} {_noun(thing, number != 1)}"
    return _Fact(f"{said} can be seen", f"{'is' if number == 1 else 'are'} there {said}?")


def _ground(scene: _Scene, true: bool) -> _Fact | None:
    value = scene.spec.background.name
    options = [scene.other.background.name] if scene.other is not None else list(kb.values("background"))
    false = scene.one([name for name in options if name != value])
    if false is None or not scene.spec.objects:
        return None
    said = words("background", value if true else false)[0]
    return _Fact(f"everything is {said}", f"is everything {said}?")


_FACTS = {
    "presence": _presence,
    "colour": _look("colour", lambda o: o.colour),
    "fill": _look("fill", lambda o: o.fill),
    "size": _look("size", truth.size),
    "position": _look("position", truth.position),
    "relation": _relation,
    "count": _count,
    "background": _ground,
}


def hypotheses(
    spec: Spec,
    rng: np.random.Generator,
    other: Spec | None = None,
    classes: Sequence[str] | None = None,
    topics: Sequence[str] = TOPICS,
    labels: Sequence[str] = LABELS[:2],
    count: int = 4,
) -> list[Hypothesis]:
    """Up to `count` different hypotheses on topics drawn at random, with labels drawn evenly.

    `other`: a scene from which false values are taken: with it, true and false ones have the same frequency. `classes`:
    those that absent things are drawn of without it (default all of the base). "neutral" comes only where the style
    hides colours. Raises ValueError for an unknown topic or label.
    """
    for name, known, given in (("topic", TOPICS, topics), ("label", LABELS, labels)):
        if unknown := [one for one in given if one not in known]:
            raise ValueError(f"{name} '{unknown[0]}' is unknown; choose of {', '.join(known)}")
    scene, found = _Scene(spec, rng, other, classes), {}
    for _ in range(4 * count):
        if len(found) == count:
            break
        label, topic = scene.one(labels), scene.one(topics)
        if label == "neutral":
            topic, fact = "colour", _hidden(scene)
        else:
            fact = _FACTS[topic](scene, label == "entail")
        if fact is not None:
            found.setdefault(fact.said, Hypothesis(fact.said, label, topic))
    return list(found.values())


def _hidden(scene: _Scene) -> _Fact | None:
    """A colour that the style hides, of an object whose colour cannot be seen."""
    hides = truth.hidden(scene.spec.style)
    able = [o for o in scene.single if "colour" in hides or o.colour in hides]
    colours = [name for name in kb.values("colour") if "colour" in hides or name in hides]
    if not able or not colours:
        return None
    return _Fact(f"the {_noun(scene.one(able))} is {words('colour', scene.one(colours))[0]}", "")


def qa(
    spec: Spec,
    rng: np.random.Generator,
    other: Spec | None = None,
    classes: Sequence[str] | None = None,
    kinds: Sequence[str] = QUESTIONS,
    count: int = 4,
) -> list[Question]:
    """Up to `count` different questions of kinds drawn at random, with their answers; half of yes/no ones are "yes".

    `other` and `classes` as in `hypotheses`. Raises ValueError for an unknown kind.
    """
    if unknown := [kind for kind in kinds if kind not in QUESTIONS]:
        raise ValueError(f"question kind '{unknown[0]}' is unknown; choose of {', '.join(QUESTIONS)}")
    scene, found = _Scene(spec, rng, other, classes), {}
    for _ in range(4 * count):
        if len(found) == count:
            break
        kind = scene.one(kinds)
        if kind == "yes_no":
            true = rng.random() < 0.5
            fact = _FACTS[scene.one(TOPICS)](scene, true)
            one = fact and Question(fact.asked, "yes" if true else "no", kind)
        else:
            absent = rng.random() < 0.15 and all(seen.answer != kb.NUMBERS[0] for seen in found.values())
            one = _counted(scene, absent) if kind == "count" else _coloured(scene)
        if one:
            found.setdefault(one.question, one)
    return list(found.values())


def _counted(scene: _Scene, absent: bool) -> Question | None:
    name = scene.one(scene.classes if absent else [o.name for o in scene.spec.objects])
    if name is None:
        return None
    number = truth.count(scene.spec.objects, kb.primary(name))
    if number >= len(kb.NUMBERS):
        return None
    return Question(f"how many {nouns(name)[0][1]} are there?", kb.NUMBERS[number], "count")


def _coloured(scene: _Scene) -> Question | None:
    able = [o for o in scene.single if "colour" in truth.attributes(o, scene.spec.style)]
    thing = scene.one(able)
    if thing is None:
        return None
    return Question(f"what color is the {_noun(thing)}?", words("colour", thing.colour)[0], "colour")


def answer(spec: Spec, question: str) -> str | None:
    """The true answer to a question of `qa`, None where there is not one. Raises ValueError for other questions."""
    said = parse(question)
    names = [item[1] for item in said.tuples if item[0] == "object"]
    if said.rest or not said.tuples:
        raise ValueError(f"'{question}' is not understood; ask as grammar_ask.qa does")
    if question.startswith("how many"):
        number = truth.count(spec.objects, names[0])
        return kb.NUMBERS[number] if number < len(kb.NUMBERS) else str(number)
    if question.startswith("what color"):
        colours = {truth.attributes(spec.objects[i], spec.style).get("colour") for i in truth.matches(spec, names[0])}
        return words("colour", colours.pop())[0] if len(colours) == 1 and None not in colours else None
    denied = {item for item in said.tuples if item[0] == "not"}
    true = said.tuples - denied <= truth.tuples(spec) and all(truth.denied(spec, item) for item in denied)
    return "yes" if true else "no"
