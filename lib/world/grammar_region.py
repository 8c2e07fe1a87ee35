"""Phrases of regions: one object, a part of one, a written word, or a group ("everything left of the cup").

A phrase comes with what it means, as indices, so that boxes and masks follow from the layers of the picture. After CLOC
(2410.02746), GRAIN (2412.04429) and PMP (2412.10292): categories, subsets, groups, parts, absent things.
"""

from typing import NamedTuple

import numpy as np

from lib.world import grammar_truth as truth
from lib.world import kb
from lib.world.grammar_noun import nouns, words
from lib.world.grammar_parse import parse
from lib.world.spec import Object, Spec

LOOKS = ("size", "fill", "colour")
KINDS = ("object", "part", "word", "category", "subset", "group", "absent")


class Region(NamedTuple):
    """A phrase and what it means.

    `objects`: indices into Spec.objects, () where nothing fits. `part`: of that object, "" for all of it. `word`: index
    into Spec.words or -1. `true` is False where the phrase belongs to another object: `objects` are then those of the
    box, not those of the phrase.
    """

    phrase: str
    kind: str
    objects: tuple[int, ...] = ()
    part: str = ""
    word: int = -1
    true: bool = True


def object_phrase(spec: Spec, index: int, looks: tuple[str, ...] = LOOKS, distinct: bool = False) -> str:
    """Noun phrase of an object with its visible looks, no article: "small striped green cup".

    `distinct`: with its place where it takes that to tell it from the other objects.
    """
    thing = spec.objects[index]
    seen = truth.attributes(thing, spec.style)
    said = " ".join([*(words(factor, seen[factor])[0] for factor in looks if factor in seen), nouns(thing.name)[0][0]])
    if distinct and len(targets(spec, said)) > 1:
        said = f"{said} {words('position', truth.position(thing))[0]}"
    return said


def part_phrases(thing: Object) -> dict[str, str]:
    """Part -> phrase with the body of its badge: {"band": "striped band of the disc"}; () for other objects."""
    noun = nouns(thing.name)[0][0]
    return {part: f"{said} of the {noun}" for part, said in truth.parts(thing).items()}


def targets(spec: Spec, phrase: str) -> tuple[int, ...]:
    """Indices of the objects that a phrase means: all that have its name, its looks and its relation.

    Raises ValueError for words that are not understood, and for a phrase without a noun.
    """
    said = parse(phrase)
    names = [item[1] for item in said.tuples if item[0] == "object"]
    if said.rest or not names:
        raise ValueError(f"'{phrase}' names no objects; write it as '(looks) noun (relation the noun)'")
    relation = next((item for item in said.tuples if item[0] == "relation"), None)
    name = relation[1] if relation else names[0]
    looks = tuple(item[2] for item in said.tuples if item[0] == "attribute" and item[1] == name)
    found = truth.matches(spec, name, looks)
    if relation is None:
        return tuple(found)
    mates = truth.matches(spec, relation[3], tuple(i[2] for i in said.tuples if i[:2] == ("attribute", relation[3])))
    things = truth.seen(spec).objects
    return tuple(
        i for i in found if any(i != j and relation[2] in truth.relations(things[i], things[j]) for j in mates)
    )


def regions(
    spec: Spec,
    rng: np.random.Generator,
    wrong: float = 0.0,
    look: float = 0.7,
    groups: int = 0,
    parts: bool = False,
    written: bool = True,
) -> list[Region]:
    """A phrase for each object (each of size, fill and colour said with probability `look`), for each part of badges
    and each written word where asked, and `groups` group phrases.

    With probability `wrong` the phrase of an object is that of another one of the picture. Raises ValueError.
    """
    if not 0 <= wrong <= 1 or not 0 <= look <= 1:
        raise ValueError(f"rates wrong {wrong} and look {look} must lie in 0..1")
    spec = truth.seen(spec)
    count = len(spec.objects)
    draws = rng.random((count, 5)).tolist()
    said = [
        object_phrase(spec, i, tuple(factor for factor, u in zip(LOOKS, row) if u < look))
        for i, row in enumerate(draws)
    ]
    found = []
    for i, row in enumerate(draws):
        others = [j for j in range(count) if said[j] != said[i]]
        if row[3] < wrong and others:
            j = others[int(row[4] * len(others))]
            found.append(Region(said[j], "object", (i,), true=i in targets(spec, said[j])))
        else:
            found.append(Region(said[i], "object", (i,)))
    if parts:
        for i, thing in enumerate(spec.objects):
            found += [Region(phrase, "part", (i,), part) for part, phrase in part_phrases(thing).items()]
    if written:
        found += [Region(f"the word {truth.quoted(word)}", "word", word=k) for k, word in enumerate(spec.words)]
    for _ in range(groups):
        one = prompt(spec, rng, "group")
        if one is not None and one.phrase not in {other.phrase for other in found}:
            found.append(one)
    return found


def prompt(spec: Spec, rng: np.random.Generator, kind: str) -> Region | None:
    """One prompt of a kind for all that fits it; None where the scene has none.

    object    "small striped green cup", with its place where needed
    part      "striped band of the disc"
    word      'the word "stop"'
    category  "cups": every one
    subset    "striped things", "large red squares": those with one or two looks
    group     "everything left of the cup"
    absent    as category and subset, but nothing fits
    Raises ValueError for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"region kind '{kind}' is unknown; choose one of {', '.join(KINDS)}")
    spec, u = truth.seen(spec), rng.random(6).tolist()
    if kind == "word":
        k = int(u[0] * len(spec.words))
        return Region(f"the word {truth.quoted(spec.words[k])}", kind, word=k) if spec.words else None
    if not spec.objects:
        return None
    i = int(u[0] * len(spec.objects))
    thing = spec.objects[i]
    if kind == "object":
        said = object_phrase(spec, i, distinct=True)
        return Region(said, kind, targets(spec, said))
    if kind == "part":
        found = list(part_phrases(thing).items())
        if not found:
            return None
        part, said = found[int(u[1] * len(found))]
        return Region(said, kind, (i,), part)
    if kind == "group":
        return _group(spec, i, u)
    if kind == "category":
        said = nouns(thing.name)[0][1]
        return Region(said, kind, targets(spec, said))
    said = _subset(spec, thing, u) if kind == "subset" else _absent(spec, u)
    return Region(said, kind, targets(spec, said)) if said else None


def _subset(spec: Spec, thing: Object, u: list[float]) -> str:
    seen = truth.attributes(thing, spec.style)
    able = [factor for factor in LOOKS if factor in seen]
    first = int(u[1] * len(able))
    both = u[2] < 0.4 and len(able) > 1
    chosen = [factor for k, factor in enumerate(able) if k == first or (both and k == (first + 1) % len(able))]
    noun = nouns(thing.name)[0][1] if u[3] < 0.5 else "things"
    return " ".join([*(words(factor, seen[factor])[0] for factor in chosen), noun])


def _absent(spec: Spec, u: list[float]) -> str:
    """A class, or a colour of a class of the scene, that is not there."""
    thing = spec.objects[int(u[0] * len(spec.objects))]
    if u[1] < 0.5 and "colour" in truth.attributes(thing, spec.style):
        free = [name for name in kb.values("colour") if not truth.matches(spec, kb.primary(thing.name), (name,))]
        return f"{words('colour', free[int(u[2] * len(free))])[0]} {nouns(thing.name)[0][1]}"
    shown = {name for one in spec.objects for name in kb.called(one.name)}
    free = [name for name, kind in kb.classes().items() if name not in shown and "Z" not in kind.roles]
    return nouns(free[int(u[2] * len(free))])[0][1]


def _group(spec: Spec, i: int, u: list[float]) -> Region | None:
    """Everything on one side of an object that is the only one of its class."""
    name = kb.primary(spec.objects[i].name)
    if len(truth.matches(spec, name)) > 1:
        return None
    for k in range(len(truth.SIDES)):
        side = truth.SIDES[(int(u[1] * 4) + k) % 4]
        said = f"everything {words('relation', side)[0]} the {nouns(spec.objects[i].name)[0][0]}"
        found = targets(spec, said)
        if found:
            return Region(said, "group", found)
    return None
