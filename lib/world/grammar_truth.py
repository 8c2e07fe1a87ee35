"""What is true of a scene, as tuples: the judge's side of the grammar.

A tuple is ("object", name), ("attribute", name, value), ("relation", name, relation, name), ("count", name, n) or
("scene", value). `name` is a class; its family and `kb.ANY` are true wherever the class is.
"""

import math
from functools import cache

from lib.world import kb
from lib.world.spec import SIDE, Object, Spec

SMALL, LARGE = 10.5, 15.5  # px: radii up to SMALL are small, above LARGE large
SIDEWAYS = 0.12  # of the image side: centres farther apart than this are left of, above, ... each other
TOUCH, COVER = 0.9, 0.75  # of the sum of radii: closer centres touch, cover each other
ROWS, COLUMNS = ("top", "", "bottom"), ("left", "", "right")
PLACES = tuple(tuple(f"{row} {column}".strip() or "middle" for column in COLUMNS) for row in ROWS)
TURNS = ("upright", "on its left side", "upside down", "on its right side")  # head at 0, 90, 180, 270 degrees


def size(thing: Object) -> str:
    """Size word by radius."""
    return "small" if thing.radius <= SMALL else "large" if thing.radius > LARGE else "medium"


def position(thing: Object) -> str:
    """Position word by thirds of x and y."""
    return PLACES[max(0, min(2, int(thing.y * 3)))][max(0, min(2, int(thing.x * 3)))]


def turn(thing: Object) -> str:
    """Named turn nearest to the angle."""
    return TURNS[round(thing.angle / 90) % 4]


def count(objects: tuple[Object, ...], name: str) -> int:
    """How many objects are of a class, of a family, or (`kb.ANY`) of any kind."""
    kinds = kb.classes()
    return sum(name in (thing.name, kinds[thing.name].family, kb.ANY) for thing in objects)


@cache
def hidden(style: str) -> frozenset[str]:
    """Values and factors that cannot be seen in a style (white in an ink drawing, colours of a negative)."""
    return frozenset(kb.values("style")[style].hides)


def attributes(thing: Object, style: str) -> dict[str, str]:
    """Visible attributes of an object by factor."""
    found = {"size": size(thing), "fill": thing.fill, "colour": thing.colour}
    hides = hidden(style)
    if hides:
        found = {factor: value for factor, value in found.items() if factor not in hides and value not in hides}
    found["position"], found["turn"] = position(thing), turn(thing)
    if thing.mirrored:
        found["mirrored"] = "mirrored"
    return found


def relations(a: Object, b: Object) -> list[str]:
    """Every relation that a has to b, by the circles of their radii."""
    dx, dy = b.x - a.x, b.y - a.y
    found = []
    if abs(dx) > abs(dy):
        if abs(dx) > SIDEWAYS:
            found.append("left of" if dx > 0 else "right of")
    elif abs(dy) > SIDEWAYS:
        found.append("above" if dy > 0 else "below")
    distance, reach = math.hypot(dx, dy) * SIDE, a.radius + b.radius
    if distance < TOUCH * reach:
        if distance + a.radius < b.radius:
            found.append("inside")
        elif distance + b.radius >= a.radius:
            found.append("touching")
        if distance < COVER * reach and a.z != b.z:
            found.append("in front of" if a.z < b.z else "behind")
    return found


def tuples(spec: Spec, general: bool = True) -> frozenset:
    """All true tuples of a scene. `general=False` leaves out those about families and unnamed objects."""
    found = {("scene", spec.background.name), ("scene", spec.style)}
    if spec.light.word:
        found.add(("scene", spec.light.word))
    kinds = kb.classes()
    names = [(o.name, kinds[o.name].family, kb.ANY) if general else (o.name,) for o in spec.objects]
    counts: dict[str, int] = {}
    for thing, called in zip(spec.objects, names):
        seen = tuple(attributes(thing, spec.style).values())
        for name in called:
            counts[name] = counts.get(name, 0) + 1
            found.add(("object", name))
            found.update(("attribute", name, value) for value in seen)
    found.update(("count", name, number) for name, number in counts.items())
    for i, a in enumerate(spec.objects):
        for j, b in enumerate(spec.objects):
            if i != j:
                for relation in relations(a, b):
                    found.update(("relation", one, relation, other) for one in names[i] for other in names[j])
    return frozenset(found)
