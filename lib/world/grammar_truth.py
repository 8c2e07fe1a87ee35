"""What is true of a scene, as tuples: the judge's side of the grammar.

A tuple is ("object", name), ("attribute", name, value), ("relation", name, relation, name), ("count", name, n),
("scene", value) or ("word", text). `name` is a class; its family and `kb.ANY` are true wherever the class is. A written
word has attributes and relations under its text in quotes. ("not", ...) before a tuple denies it: ("not", "object",
name, *values) says that nothing of that name has all of the values.
"""

import math
from dataclasses import replace
from functools import cache

from lib.world import kb
from lib.world.spec import SIDE, Camera, Object, Spec, Word

SMALL, LARGE = 10.5, 15.5  # px: radii up to SMALL are small, above LARGE large
SIDEWAYS = 0.12  # of the image side: centres farther apart than this are left of, above, ... each other
TOUCH, COVER = 0.9, 0.75  # of the sum of radii: closer centres touch, cover each other
ROWS, COLUMNS = ("top", "", "bottom"), ("left", "", "right")
PLACES = tuple(tuple(f"{row} {column}".strip() or "middle" for column in COLUMNS) for row in ROWS)
QUALITIES = {"noise": "noisy", "blur": "blurry", "jpeg": "blocky", "fog": "foggy", "motion": "shaky"}
QUALITIES |= {"halftone": "rastered", "contrast": "faded", "depth_blur": "blurry", "depth_blur_near": "blurry"}
QUALITIES |= {"depth_fog": "foggy", "depth_motion": "shaky"}
WORD_RADIUS = 4.0  # px: of a written word, where it stands beside objects
SIDES = ("left of", "right of", "above", "below")
_ORDINARY = {("scene", "clean"), ("scene", "well lit")}
_NEUTRAL = Camera()
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
    return sum(name in kb.called(thing.name) for thing in objects)


@cache
def hidden(style: str) -> frozenset[str]:
    """Values and factors that cannot be seen in a style (white in an ink drawing, colours of a negative)."""
    return frozenset(kb.values("style")[style].hides)


def parts(thing: Object) -> dict[str, str]:
    """Part -> phrase of what a badge has beside its body ("heart emblem"), and the identity mark of other objects."""
    if thing.mark:
        return {"mark": kb.part("mark", thing.mark)}
    badge = kb.badges().get(thing.name)
    if badge is None:
        return {}
    values = dict(badge.parts) | dict(thing.parts)
    return {part: kb.part(part, values[part]) for part in kb.PARTS if values.get(part, "none") != "none"}


def states(spec: Spec, index: int) -> tuple[str, ...]:
    """State values of an object, or of the ground (index -1): ("flawless",) or ("damaged", kind, ...)."""
    kinds = [one.kind for one in spec.damage if one.target == index]
    said = spec.objects[index].state if index >= 0 else ""
    if said not in ("", "flawless", "damaged"):
        kinds.append(said)
    return ("damaged", *dict.fromkeys(kinds)) if kinds or said == "damaged" else ("flawless",)


def seen(spec: Spec) -> Spec:
    """The scene as the camera sees it: places and radii after its shift, zoom and tilt. Raises ValueError."""
    camera = spec.camera
    if camera.zoom == 1 and not (camera.dx or camera.dy or camera.tilt):
        return spec
    half = 0.5 / camera.zoom
    x, y = 0.5 + camera.dx / SIDE - half, 0.5 + camera.dy / SIDE - half

    def place(thing):
        new = {"x": (thing.x - x) * camera.zoom, "y": (thing.y - y) * camera.zoom}
        if camera.tilt:
            new = dict(zip("xy", _tilted(camera, thing)))
        if isinstance(thing, Object):
            new["radius"] = thing.radius * camera.zoom
        return replace(thing, **new)

    return spec.replace(objects=tuple(map(place, spec.objects)), words=tuple(map(place, spec.words)), camera=_NEUTRAL)


def _tilted(camera: Camera, thing) -> tuple[float, float]:
    """Where a place of the scene is in the picture of a tilted camera."""
    from lib.world.optics import inverse, quad_map

    half, x, y = 0.5 / camera.zoom, 0.5 + camera.dx / SIDE, 0.5 + camera.dy / SIDE
    corners = ((x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half))
    shifted = tuple((a + tx, b + ty) for (a, b), (tx, ty) in zip(corners, camera.tilt))
    m = inverse(quad_map(shifted))
    bottom = m[6] * thing.x + m[7] * thing.y + m[8]
    return (m[0] * thing.x + m[1] * thing.y + m[2]) / bottom, (m[3] * thing.x + m[4] * thing.y + m[5]) / bottom


def quoted(word: Word) -> str:
    """The name of a written word in tuples: its text in quotes and lower case."""
    return f'"{word.text.lower()}"'


def attributes(thing: Object, style: str) -> dict[str, str]:
    """Visible attributes of an object by factor; its state and its parts where it has any."""
    found = {"size": size(thing), "fill": thing.fill, "colour": thing.colour}
    hides = hidden(style)
    if hides:
        found = {factor: value for factor, value in found.items() if factor not in hides and value not in hides}
    found["position"], found["turn"] = position(thing), turn(thing)
    if thing.mirrored:
        found["mirrored"] = "mirrored"
    if thing.state:
        found["state"] = thing.state
    if thing.mark or thing.name in kb.badges():
        found |= parts(thing)
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
    """All true tuples of a scene.

    `general=False` leaves out those about families and unnamed objects, and what goes without saying (that a thing is
    flawless, a picture clean and well lit).
    """
    spec = seen(spec)
    found = {("scene", spec.background.name), ("scene", spec.style)}
    if spec.light.word:
        found.add(("scene", spec.light.word))
    if not general or spec.corruptions or spec.light.backlit or spec.light.word or spec.damage or not spec.objects:
        found |= _picture(spec, general)
    else:
        found |= _ORDINARY
    names = [kb.called(o.name) if general else kb.called(o.name)[:-2] for o in spec.objects]
    counts: dict[str, int] = {}
    for index, (thing, called) in enumerate(zip(spec.objects, names)):
        looks = tuple(attributes(thing, spec.style).values())
        if thing.state or spec.damage:
            looks += tuple(s for s in states(spec, index) if general or s != "flawless")
        elif general:
            looks += ("flawless",)
        for name in called:
            counts[name] = counts.get(name, 0) + 1
            found.add(("object", name))
            found.update([("attribute", name, value) for value in looks])
    found.update(("count", name, number) for name, number in counts.items())
    for i, a in enumerate(spec.objects):
        for j, b in enumerate(spec.objects):
            if i != j:
                for relation in relations(a, b):
                    found.update([("relation", one, relation, other) for one in names[i] for other in names[j]])
    if spec.words:
        found |= _written(spec, names)
    return frozenset(found)


def _picture(spec: Spec, general: bool) -> set:
    """Tuples of light, quality and a damaged ground."""
    found = {("scene", QUALITIES[one.kind]) for one in spec.corruptions if one.strength > 0}
    if general and not found:
        found.add(("scene", "clean"))
    if spec.light.backlit:
        found.add(("scene", "backlit"))
    elif general and spec.light.word in ("", "bright"):
        found.add(("scene", "well lit"))
    if any(one.target < 0 for one in spec.damage) or (general and not spec.objects):
        found.update(("attribute", kb.ANY, value) for value in states(spec, -1))
    return found


def _written(spec: Spec, names: list) -> set:
    """Tuples of the written words: place and colour of each, and the sides it has to objects."""
    found = set()
    for word in spec.words:
        text = quoted(word)
        found.update((("word", text[1:-1]), ("attribute", text, position(word)), ("attribute", text, word.colour)))
        stand = Object(text, x=word.x, y=word.y, radius=WORD_RADIUS)
        for thing, called in zip(spec.objects, names):
            for relation in relations(stand, thing):
                if relation in SIDES:
                    found.update(("relation", text, relation, name) for name in called)
                    found.update(("relation", name, kb.inverse(relation), text) for name in called)
    return found


def matches(spec: Spec, name: str, values: tuple[str, ...] = ()) -> list[int]:
    """Indices of the objects of a name (class, family, `kb.ANY`) that have all of the attribute values."""
    spec, found = seen(spec), []
    for index, thing in enumerate(spec.objects):
        if name in kb.called(thing.name):
            own = {*attributes(thing, spec.style).values(), *states(spec, index)}
            if own.issuperset(values):
                found.append(index)
    return found


def denied(spec: Spec, said: tuple) -> bool:
    """Whether a tuple that begins with "not" is true. Raises ValueError for one that cannot be judged."""
    if said[1] == "object":
        return not matches(spec, said[2], said[3:])
    if said[1] in ("scene", "word"):
        return said[1:] not in tuples(spec)
    raise ValueError(f"{said} cannot be judged; deny an object, a scene value or a word")
