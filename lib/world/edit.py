"""Edits of a scene: each changes what it says and nothing else. A new kind is one function in `_KINDS`."""

import math
from dataclasses import replace
from typing import Any, NamedTuple

from lib.world.atlas import class_index
from lib.world.spec import Background, Camera, Damage, Light, Object, Spec, Word


class Op(NamedTuple):
    """One edit. `target` is the index of an object (a pair of indices for swaps), where the kind needs one.

    add: an Object. remove: no value. replace: a class name. recolour: a colour name. refill: (fill, second colour).
    resize: radius in px. move: (x, y). turn: degrees. mirror: no value. light: a Light. background: a Background.
    viewpoint: a Camera. none: changes nothing.
    count: number of objects of the target's class; copies of the target come at free places, or the last ones go.
    state: a Damage, given the target; the object then says that it is damaged. Without value: it has no damage.
    word: a Word to print where target is None, else the new text of word `target`, or None to take it away.
    swap subject, swap object: a class name for the first, the second object of the pair. swap attribute: the pair
    exchanges colours and fills. swap relation: the pair exchanges places.
    """

    kind: str
    target: Any = None
    value: Any = None


def edit(spec: Spec, op: Op) -> Spec:
    """Apply one edit. Raises ValueError where it cannot be applied or would change nothing."""
    if op.kind not in KINDS:
        raise ValueError(f"edit '{op.kind}' is unknown; choose one of {', '.join(KINDS)}")
    if op.kind == "none":
        return spec
    after = _KINDS[op.kind](spec, op)
    if after == spec:
        raise ValueError("the edit changes nothing: the scene already is as it asks")
    return after


def free_place(spec: Spec, radius: float) -> tuple[float, float]:
    """The place of a 7 x 7 grid that is farthest from all objects of a scene, as (x, y)."""
    margin = 0.9 * radius / 64
    grid = [margin + (1 - 2 * margin) * k / 6 for k in range(7)]

    def gap(place):
        x, y = place
        return min((math.hypot(x - o.x, y - o.y) - o.radius / 64 for o in spec.objects), default=0.0)

    x, y = max(((x, y) for y in grid for x in grid), key=gap)
    return round(x, 3), round(y, 3)


def _thing(spec: Spec, op: Op, index) -> Object:
    if not isinstance(index, int) or not 0 <= index < len(spec.objects):
        raise ValueError(f"edit '{op.kind}' needs a target within 0..{len(spec.objects) - 1}, not {op.target}")
    return spec.objects[index]


def _changed(spec: Spec, changes: dict[int, dict]) -> Spec:
    """Objects by index with some fields changed."""
    return spec.replace(objects=tuple(replace(o, **changes.get(i, {})) for i, o in enumerate(spec.objects)))


def _with(**fields):
    """An edit of one object; `fields` are functions of the value."""

    def apply(spec: Spec, op: Op) -> Spec:
        _thing(spec, op, op.target)
        return _changed(spec, {op.target: {name: make(op.value) for name, make in fields.items()}})

    return apply


def _scene(field: str, kind: type):
    """An edit that puts in another light, background or camera."""

    def apply(spec: Spec, op: Op) -> Spec:
        if not isinstance(op.value, kind):
            raise ValueError(f"edit '{op.kind}' needs a {kind.__name__} as value, not {op.value!r}")
        return spec.replace(**{field: op.value})

    return apply


def _add(spec: Spec, op: Op) -> Spec:
    if not isinstance(op.value, Object):
        raise ValueError(f"edit 'add' needs an Object as value, not {op.value!r}")
    return spec.replace(objects=(*spec.objects, op.value))


def _remove(spec: Spec, op: Op) -> Spec:
    _thing(spec, op, op.target)
    things = tuple(o for i, o in enumerate(spec.objects) if i != op.target)
    kept = tuple(one for one in spec.damage if one.target != op.target)
    moved = tuple(replace(one, target=one.target - (one.target > op.target)) for one in kept)
    return spec.replace(objects=things, damage=moved)


def _named(value: str) -> str:
    class_index(value)
    return value


def _mirror(spec: Spec, op: Op) -> Spec:
    return _changed(spec, {op.target: {"mirrored": not _thing(spec, op, op.target).mirrored}})


def _count(spec: Spec, op: Op) -> Spec:
    thing = _thing(spec, op, op.target)
    if not isinstance(op.value, int) or not 0 <= op.value <= 12:
        raise ValueError(f"edit 'count' needs a number within 0..12 as value, not {op.value!r}")
    same = [i for i, other in enumerate(spec.objects) if other.name == thing.name]
    for k in range(len(same), op.value):
        x, y = free_place(spec, thing.radius)
        z = min(10, thing.z + k)
        copy = replace(thing, x=x, y=y, z=z, noise=thing.noise + 7919 * k, state="")
        spec = spec.replace(objects=(*spec.objects, copy))
    for index in reversed(same[op.value :]):
        spec = _remove(spec, Op("remove", index))
    return spec


def _state(spec: Spec, op: Op) -> Spec:
    _thing(spec, op, op.target)
    if op.value is not None and not isinstance(op.value, Damage):
        raise ValueError(f"edit 'state' needs a Damage or None as value, not {op.value!r}")
    kept = tuple(one for one in spec.damage if one.target != op.target)
    hurt = () if op.value is None else (replace(op.value, target=op.target),)
    state = "flawless" if op.value is None else "damaged"
    return _changed(spec, {op.target: {"state": state}}).replace(damage=kept + hurt)


def _word(spec: Spec, op: Op) -> Spec:
    if op.target is None:
        if not isinstance(op.value, Word):
            raise ValueError(f"edit 'word' without a target needs a Word as value, not {op.value!r}")
        return spec.replace(words=(*spec.words, op.value))
    if not isinstance(op.target, int) or not 0 <= op.target < len(spec.words):
        raise ValueError(f"edit 'word' needs a target within 0..{len(spec.words) - 1} or None, not {op.target}")
    words = list(spec.words)
    if op.value is None:
        del words[op.target]
    else:
        words[op.target] = replace(words[op.target], text=op.value)
    return spec.replace(words=tuple(words))


def _pair(spec: Spec, op: Op) -> tuple[int, int]:
    if not isinstance(op.target, tuple) or len(op.target) != 2 or op.target[0] == op.target[1]:
        raise ValueError(f"edit '{op.kind}' needs a pair of objects as target, not {op.target!r}")
    for index in op.target:
        _thing(spec, op, index)
    return op.target


def _swap_name(place: int):
    def apply(spec: Spec, op: Op) -> Spec:
        return _changed(spec, {_pair(spec, op)[place]: {"name": _named(op.value)}})

    return apply


def _exchange(*fields: str):
    def apply(spec: Spec, op: Op) -> Spec:
        a, b = _pair(spec, op)
        taken = {i: {f: getattr(spec.objects[j], f) for f in fields} for i, j in ((a, b), (b, a))}
        return _changed(spec, taken)

    return apply


_KINDS = {
    "add": _add,
    "remove": _remove,
    "replace": _with(name=_named),
    "recolour": _with(colour=str),
    "refill": _with(fill=lambda value: value[0], fill_colour=lambda value: value[1]),
    "resize": _with(radius=float),
    "move": _with(x=lambda value: value[0], y=lambda value: value[1]),
    "count": _count,
    "turn": _with(angle=float),
    "mirror": _mirror,
    "state": _state,
    "word": _word,
    "light": _scene("light", Light),
    "background": _scene("background", Background),
    "viewpoint": _scene("camera", Camera),
    "swap subject": _swap_name(0),
    "swap object": _swap_name(1),
    "swap attribute": _exchange("colour", "fill", "fill_colour"),
    "swap relation": _exchange("x", "y"),
}
KINDS = (*_KINDS, "none")
