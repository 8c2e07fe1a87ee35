"""How a scene is put into words: frames and the short kinds of captions.

Each kind is a function of (spec, rng, frames, rates) that returns a `Caption`. `grammar_noun` makes the noun phrases.
A kind draws one block from its generator, so that captions stay cheap.
"""

from typing import NamedTuple

import numpy as np

from lib.world import grammar_truth as truth
from lib.world import kb
from lib.world.grammar_noun import More, Phrase, Said, joined, nouns, salient, words
from lib.world.grammar_rates import Rates, bare
from lib.world.spec import Spec

__all__ = ["FRAMES", "SHORT_KINDS", "STYLE_FRAMES", "Caption", "nouns", "words"]

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
    "second": (  # another style of captions, of post-pre-training
        ("{} and that is all", "{} and that is all"),
        ("notice {}", "notice {}"),
        ("observe {}", "observe {}"),
        ("presenting {}", "presenting {}"),
        ("somewhere {}", "somewhere {}"),
        ("{} it is", "{} they are"),
    ),
}
STYLE_FRAMES = {  # around "a photo of ..."
    "seen": ("{}",),
    "held_out": ("this image has {}", "look at {}"),
    "second": ("notice {}", "observe {}", "presenting {}"),
}


class Caption(NamedTuple):
    """A caption: `text`, its `sentences` without full stop, and the `tuples` it says, as `parse` finds them."""

    text: str
    sentences: list[str]
    tuples: frozenset


def short(
    spec: Spec, rng: np.random.Generator, frames: str, rates: Rates, most: int = 2, limit: int = MAX_WORDS
) -> Caption:
    """At most `most` kinds of objects, perhaps their relation, background, light and style, in at most 16 words."""
    block = rng.random(32).tolist()
    more = More.of(spec, rng)
    u_terse, u_frame, u_style, u_ground, u_light, u_synonym, u_two, u_relation, u_which = block[:9]
    draw = iter(block[9:]).__next__
    rate = rates.terse if u_terse < rates.share else rates.full
    synonym = u_synonym < rate["synonym"]
    groups = salient(spec.objects)[: 1 if len(spec.objects) > 2 and u_two < 0.5 else most]
    hides = truth.hidden(spec.style)
    named = [Phrase(group, spec.objects, rate, hides, draw, more) for group in groups]
    relation = ""
    if len(groups) == 2 and len(groups[0]) == len(groups[1]) == 1 and u_relation < rate["relation"]:
        true = truth.relations(groups[0][0], groups[1][0])
        relation = true[int(u_which * len(true))] if true else ""
    scene: list[Said] = []
    if u_ground < rate["background"] or not named:  # an empty scene shows its ground
        scene.append((words("background", spec.background.name)[synonym], spec.background.name))
    if spec.light.word and u_light < rate["light"]:
        scene.append((words("light", spec.light.word)[synonym], spec.light.word))
    elif spec.light.backlit and u_light < rate["light"]:
        scene.append((words("lighting", "backlit")[1], "backlit"))
    written = _written(spec, rate, more) if spec.words else []
    worn = _worn_ground(spec, rate, more) if spec.damage and not named else None
    styled = u_style < rate["style"]
    style = words("style", spec.style)[synonym] + " " if styled else ""
    options = STYLE_FRAMES[frames] if styled else FRAMES[frames]
    frame = options[int(u_frame * len(options))]
    if not styled:
        frame = frame[bool(named) and named[0].several]
    if len(named) == 2 and not relation and named[1].tuples() == [("object", kb.ANY)]:
        named.pop()  # "... and something" says nothing
    joint = f" {words('relation', relation)[synonym]} " if relation else " and "
    text = frame.format(style + _body(named, joint, scene, written, worn))
    while text.count(" ") >= limit and _shorten(named, scene, written):
        text = frame.format(style + _body(named, joint, scene, written, worn))
    found = [("scene", value) for _, value in scene]
    for phrase in named:
        found += phrase.tuples()
    if relation and len(named) == 2:
        found.append(("relation", named[0].name, relation, named[1].name))
    if styled:
        found.append(("scene", spec.style))
    if written:
        found += [("word", word) for word in written]
    if worn:
        found.append(("attribute", kb.ANY, worn[1]))
    return Caption(text, [text], frozenset(found))


def _body(named: list[Phrase], joint: str, scene: list[Said], written: list[str], worn: Said | None) -> str:
    """Noun phrases, relation, scene phrases and signs; without objects the ground is the noun: "grass in dim light"."""
    if written:
        return f"{_body(named, joint, scene, [], worn)} {sign(written)}"
    if not named:
        ground = scene[0][0].split(" ", 1)[1]
        if worn:
            ground = f"{ground} {worn[0]}" if worn[0].startswith("with") else f"{worn[0]} {ground.removeprefix('a ')}"
        return " ".join([ground, *[said for said, _ in scene[1:]]])
    text = named[0].text()
    if len(named) == 2:
        comma = "," if joint != " and " and named[0].after else ""
        text = text + comma + joint + named[1].text()
    return " ".join([text, *[said for said, _ in scene]]) if scene else text


def sign(written: list[str]) -> str:
    """'with a sign saying "stop"', 'with signs saying "stop" and "exit"'."""
    texts = " and ".join(f'"{word}"' for word in written)
    return f"with a sign saying {texts}" if len(written) == 1 else f"with signs saying {texts}"


def _written(spec: Spec, rate: dict, more: More) -> list[str]:
    """The written words, where they are said: all of them or none."""
    return [word.text.lower() for word in spec.words] if more.draw() < rate["word"] else []


def _worn_ground(spec: Spec, rate: dict, more: More) -> Said | None:
    """A state word of a damaged ground without objects, where it is said."""
    u_state, u_word = more.draw(), more.draw()
    value = truth.states(spec, -1)[0]
    if value != "damaged" or u_state >= rate["state"]:
        return None
    return kb.states()[value][int(u_word * len(kb.states()[value]))].phrase, value


def _shorten(named: list[Phrase], scene: list[Said], written: list[str]) -> bool:
    """Take back the least telling thing said, of the second object first. False where nothing is left to take."""
    for said in (
        *[p.after for p in reversed(named)],
        *[p.before for p in reversed(named)],
        *[p.parts for p in reversed(named)],
        scene,
        named[1:] and named,
        written,
    ):
        if said:
            said.pop(-1 if said is named else 0)
            return True
    return False


def class_only(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """The short caption of the classes by their primary names and nothing else; badges go by their body."""
    return short(spec, rng, frames, bare())


def main(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """The short caption of the largest object, or of all of its class."""
    return short(spec, rng, frames, rates, most=1)


def main_only(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """The class of the largest object and nothing else."""
    return short(spec, rng, frames, bare(), most=1)


def family(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """The short caption of the families and nothing else: "an animal and a tool"."""
    return short(spec, rng, frames, bare(family=1.0))


def exact(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """Every lasting look of the largest object: "a small striped red cup with a ring mark"."""
    all_looks = dict.fromkeys(("colour", "typical", "untypical", "fill", "size", "part", "state", "count"), 1.0)
    return short(spec, rng, frames, bare(**all_looks), most=1, limit=99)


def generic(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """A caption that many pictures share: "a striped object", "an animal", "a red plant"."""
    return _vague(spec, rng, frames, ("a {look} object", "a {look} thing", "a {family}", "a {look} {family}"))


def attribute(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """One look of the largest object and no class: "something striped"."""
    return _vague(spec, rng, frames, ("something {look}",))


def _vague(spec: Spec, rng: np.random.Generator, frames: str, forms: tuple[str, ...]) -> Caption:
    u_frame, u_form, u_look = rng.random(3)
    frame = FRAMES[frames][int(u_frame * len(FRAMES[frames]))][0]
    if not spec.objects:
        text = frame.format(words("background", spec.background.name)[0].split(" ", 1)[1])
        return Caption(text, [text], frozenset({("scene", spec.background.name)}))
    thing, form = salient(spec.objects)[0][0], forms[int(u_form * len(forms))]
    seen = truth.attributes(thing, spec.style)
    looks = [factor for factor in ("size", "fill", "colour") if factor in seen]
    factor = looks[int(u_look * len(looks))]
    hypernym, name = nouns(thing.name)[2][0], kb.called(thing.name)[-2]
    said = form.format(look=words(factor, seen[factor])[0], family=hypernym).removeprefix("a ")
    text = frame.format(said if said.startswith("something") else f"{kb.article(said)} {said}")
    found = {("object", name if "{family}" in form else kb.ANY)}
    if "{look}" in form:
        found.add(("attribute", name if "{family}" in form else kb.ANY, seen[factor]))
    return Caption(text, [text], frozenset(found))


def colour_of(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """ "the color of the cup is red"; where the style hides colours, the class alone."""
    thing = salient(spec.objects)[0][0] if spec.objects else None
    if thing is None or "colour" not in truth.attributes(thing, spec.style):
        return main_only(spec, rng, frames, rates)
    noun = nouns(thing.name)[0][0]
    text = f"the color of the {noun} is {words('colour', thing.colour)[0]}"
    name = kb.primary(thing.name)
    return Caption(text, [text], frozenset({("object", name), ("attribute", name, thing.colour)}))


def noun(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """One true noun and nothing else, of a thing drawn at random."""
    u = rng.random()
    if not spec.objects:
        text, found = words("background", spec.background.name)[0].split(" ", 1)[1], ("scene", spec.background.name)
    else:
        name = spec.objects[int(u * len(spec.objects))].name
        text, found = nouns(name)[0][0], ("object", kb.primary(name))
    return Caption(text, [text], frozenset({found}))


def listing(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """Every class of the scene with its number: "two cats, a cup and a cow"; nothing else."""
    u = rng.random()
    groups = [Phrase(g, spec.objects, bare(count=1.0).full, frozenset(), lambda: 0.5) for g in salient(spec.objects)]
    if not groups:
        return noun(spec, rng, frames, rates)
    texts = [group.text() for group in groups]
    text = FRAMES[frames][int(u * len(FRAMES[frames]))][groups[0].several].format(joined(texts))
    return Caption(text, [text], frozenset(said for group in groups for said in group.tuples()))


SHORT_KINDS = {
    "short": short,
    "class_only": class_only,
    "main": main,
    "main_only": main_only,
    "family": family,
    "exact": exact,
    "generic": generic,
    "attribute": attribute,
    "colour_of": colour_of,
}
