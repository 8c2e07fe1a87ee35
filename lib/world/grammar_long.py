"""The long kinds of captions: a short one, then local sentences; and lists of everything."""

import numpy as np

from lib.world import grammar_truth as truth
from lib.world import kb
from lib.world.grammar_noun import joined, nouns, salient, words
from lib.world.grammar_rates import Rates
from lib.world.grammar_say import MAX_LONG_WORDS, Caption, listing, main_only, short
from lib.world.spec import Object, Spec


def long(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """The short caption, then local sentences on objects, relations, background, light and words, in 90 words."""
    return _told(short(spec, rng, frames, rates), spec)


def main_long(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """As `long`, but the first sentence names the class of the largest object and nothing else."""
    return _told(main_only(spec, rng, frames, rates), spec)


def _told(first: Caption, spec: Spec) -> Caption:
    groups = salient(spec.objects)
    objects = [_object_sentence(thing, len(group) == 1, spec) for group in groups for thing in group]
    singles = [group[0] for group in groups if len(group) == 1]
    extras = _extras(spec)
    links = [
        _relation_sentence(a, b, relation)
        for a, b in zip(singles, singles[1:])
        for relation in truth.relations(a, b)[:1]
    ]
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
    left = MAX_LONG_WORDS - sum(text.count(" ") + 1 for text in (first.text, scene[0][0], scene[1][0]))
    sentences, found = [first.text], set(first.tuples)
    chosen = {id(pair) for pair in scene}
    for pair in (*extras, *objects, *links, *ending):
        length = pair[0].count(" ") + 1
        if length <= left:
            left -= length
            chosen.add(id(pair))
    for pair in (*objects, *links, *extras, *scene, *ending):
        if id(pair) in chosen:
            sentences.append(pair[0])
            found |= pair[1]
    return Caption(". ".join(sentences) + ".", sentences, frozenset(found))


def _object_sentence(thing: Object, alone: bool, spec: Spec) -> tuple[str, set]:
    """A sentence with every visible attribute of one object; of three or more objects an upright one goes unsaid."""
    seen = truth.attributes(thing, spec.style)
    if thing.state:
        del seen["state"]
    if len(spec.objects) > 2 and seen["turn"] == "upright":
        del seen["turn"]
    noun = nouns(thing.name)[0][0]
    looks = [words(factor, seen[factor])[0] for factor in ("mirrored", "size", "fill", "colour") if factor in seen]
    look = f"{', '.join(looks[:-1])} and {looks[-1]}" if len(looks) > 1 else looks[0]
    place = words("position", seen["position"])[0]
    if "turn" in seen:
        place = f"and it is {words('turn', seen['turn'])[0]} and {place}"
    parts = [f"{kb.article(seen[part])} {seen[part]}" for part in kb.PARTS if part in seen]
    if parts:
        place = f"with {joined(parts)}, {place}"
    text = f"{'the' if alone else kb.article(noun)} {noun} is {look}, {place}"
    name = kb.primary(thing.name)
    return text, {("object", name)} | {("attribute", name, value) for value in seen.values()}


def _relation_sentence(a: Object, b: Object, relation: str) -> tuple[str, set]:
    text = f"the {nouns(a.name)[0][0]} is {words('relation', relation)[0]} the {nouns(b.name)[0][0]}"
    first, second = kb.primary(a.name), kb.primary(b.name)
    return text, {("object", first), ("object", second), ("relation", first, relation, second)}


def _extras(spec: Spec) -> list[tuple[str, set]]:
    """What is wrong with each damaged object, what is said to be flawless, and where each word is written."""
    found = []
    for index, thing in enumerate(spec.objects):
        if not (thing.state or spec.damage):
            continue
        value = truth.states(spec, index)[-1]
        if value != "flawless" or thing.state:
            said = next(one for one in reversed(kb.states()[value]) if not one.before)
            name = kb.primary(thing.name)
            text = f"the {nouns(thing.name)[0][0]} comes {said.phrase}"
            found.append((text, {("object", name), ("attribute", name, value)}))
    for word in spec.words:
        name, place = truth.quoted(word), truth.position(word)
        text = f"the word {name} is written {words('position', place)[0]}"
        found.append((text, {("word", name[1:-1]), ("attribute", name, place)}))
    return found


def full(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """Every class, then a sentence on each object, on each relation of neighbours, on ground, light and words.

    As long as it takes: about ten words a sentence.
    """
    first = listing(spec, rng, frames, rates)
    found = [(first.text, set(first.tuples))]
    groups = salient(spec.objects)
    found += [_object_sentence(thing, len(group) == 1, spec) for group in groups for thing in group]
    singles = [group[0] for group in groups if len(group) == 1]
    for a, b in zip(singles, singles[1:]):
        found += [_relation_sentence(a, b, relation) for relation in truth.relations(a, b)]
    found += _extras(spec)
    ground, light = spec.background.name, spec.light.word
    found.append((f"this scene is set {words('background', ground)[0]}", {("scene", ground)}))
    if light:
        found.append((f"all of it lies {words('light', light)[0]}", {("scene", light)}))
    sentences = [text for text, _ in found]
    return Caption(". ".join(sentences) + ".", sentences, frozenset().union(*(said for _, said in found)))


LONG_KINDS = {"long": long, "main_long": main_long}
