"""Damage of objects and grounds: scratch, hole, stain, blot, missing chunk, with exact masks.

A damage lies in its object's own frame (it turns and moves with it); on the ground (target -1) the frame is the
picture, of radius 32 px. A hole, a scratch, a stain and a blot change the looks of their object, which keeps its
silhouette (a mask is hole-filled). A chunk is gone: its pixels show what lies behind and belong to that in `inst`, and
the damage mask covers what is missing. On the ground a chunk bares a dark backing. Lengths here are 1/16 px, opacities
of 256.
"""

import math

import numpy as np

from lib.world import atlas
from lib.world.spec import SIDE, Damage, Object, Spec

KINDS = ("scratch", "hole", "stain", "blot", "chunk")
STATES = ("", "flawless", "damaged", *KINDS)  # values of Object.state: "" says nothing, a kind asks for such a damage
SIZES = (4.0, 10.0)  # px, of the corpora
_DARK, _PALE = np.array((20, 19, 24), np.int32), np.array((232, 229, 220), np.int32)
_BACKING = np.array((74, 70, 68), np.int32)
_STAINS = np.array(
    ((92, 62, 30), (58, 72, 34), (84, 76, 72), (112, 46, 30), (226, 206, 150), (196, 214, 190)), np.int32
)
_BLOTS = np.array(((24, 22, 34), (20, 28, 84), (92, 16, 26), (12, 62, 52)), np.int32)
_SEEN = 64  # opacity from which a pixel belongs to the mask
_FAINT = 16  # grey levels: a rim that differs less from what lies behind leaves no trace


def check(spec: Spec) -> None:
    """Raises ValueError for a damage that cannot be drawn, and for a state that the damage of the scene belies."""
    for one in spec.damage:
        if one.kind not in KINDS:
            raise ValueError(f"damage '{one.kind}' is unknown; choose one of {', '.join(KINDS)}")
        if not -1 <= one.target < len(spec.objects):
            raise ValueError(
                f"damage target {one.target} is no object: choose 0..{len(spec.objects) - 1} or -1, ground"
            )
        if not 1 <= one.size <= SIDE / 2:
            raise ValueError(f"damage size {one.size} px is outside 1..{SIDE // 2}")
    for index, thing in enumerate(spec.objects):
        if not thing.state:
            continue
        kinds = {one.kind for one in spec.damage if one.target == index}
        if thing.state not in STATES:
            raise ValueError(f"state '{thing.state}' of {thing.name} is unknown; choose one of {', '.join(STATES[1:])}")
        agrees = {"flawless": not kinds, "damaged": bool(kinds)}.get(thing.state, thing.state in kinds)
        if not agrees:
            raise ValueError(f"state '{thing.state}' of {thing.name} does not agree with Spec.damage: {sorted(kinds)}")


def centre(spec: Spec, one: Damage) -> tuple[float, float]:
    """Where a damage lies in the picture, px."""
    if one.target < 0:
        return SIDE / 2 * (1 + one.x), SIDE / 2 * (1 + one.y)
    return spots(spec.objects[one.target], one.x, one.y)


def spots(thing: Object, x, y) -> tuple:
    """Picture coordinates, px, of offsets x, y (radii; numbers or arrays) in the frame of an object."""
    turn = math.radians(thing.angle)
    dx, dy = (-x if thing.mirrored else x) * thing.radius, y * thing.radius
    return (thing.x * SIDE + dx * math.cos(turn) + dy * math.sin(turn),
            thing.y * SIDE - dx * math.sin(turn) + dy * math.cos(turn))  # fmt: skip


def draw(image: np.ndarray, spec: Spec, one: Damage, silhouette: np.ndarray, behind: np.ndarray | None) -> tuple:
    """Draw a damage into image, int32 [3, 64, 64], in place, within `silhouette`, bool [64, 64].

    `behind` is the picture without the object (a chunk shows it), None on the ground. -> mask bool [64, 64], and
    gone bool [64, 64]: pixels of a chunk that leave the object.
    """
    cx, cy = centre(spec, one)
    noise = np.random.Generator(np.random.PCG64(one.noise))
    numbers = noise.integers(0, 1 << 16, 24).tolist()
    half = max(8, round(one.size * 8))
    x = np.arange(8, 16 * SIDE, 16, dtype=np.int32)[None, :] - round(16 * cx)
    y = np.arange(8, 16 * SIDE, 16, dtype=np.int32)[:, None] - round(16 * cy)
    angle = math.radians(one.angle + (spec.objects[one.target].angle if one.target >= 0 else 0.0))
    cos, sin = round(1024 * math.cos(angle)), round(1024 * math.sin(angle))
    x, y = x * cos - y * sin >> 10, x * sin + y * cos >> 10
    inside = np.where(silhouette, 256, 0)
    shape = {"scratch": _scratch, "hole": _hole, "stain": _stain, "blot": _blot, "chunk": _bite}[one.kind]
    depth = shape(x, y, half, numbers)
    opacity = np.minimum(_cover(depth), inside)
    gone = np.zeros((SIDE, SIDE), bool)
    if one.kind == "scratch":
        tone = (image * np.array((77, 150, 29), np.int32)[:, None, None]).sum(0) >> 8
        here = silhouette & (opacity >= _SEEN)
        pale = not here.any() or int(tone[here].sum()) < 150 * int(here.sum())
        shadow = np.minimum(_cover(shape(x - 13, y - 13, half, numbers)), inside)
        _blend(image, _DARK if pale else _PALE, shadow >> 1)
        _blend(image, _PALE if pale else _DARK, opacity * 15 >> 4)
        opacity = np.maximum(opacity, shadow >> 1)
    elif one.kind == "hole":
        _blend(image, _PALE, np.minimum(_cover(depth + 12), inside) * 5 >> 3)  # torn edge
        _blend(image, _DARK, opacity)
        opacity = np.minimum(_cover(depth + 12), inside)
    elif one.kind == "stain":
        colour = _contrasting(_STAINS, image, opacity, numbers[23])
        _blend(image, colour, opacity * 12 >> 4)
        ring = np.minimum(_cover(16 - np.abs(depth - 10)), inside)
        _blend(image, colour * 9 >> 4, ring >> 1)
    elif one.kind == "blot":
        _blend(image, _contrasting(_BLOTS, image, opacity, numbers[23]), opacity)
    else:
        ink = silhouette if behind is None else silhouette | (np.abs(image - behind).max(0) > _FAINT)
        edge = np.minimum(_cover(18 - np.abs(depth + 9)), inside)  # the rim of what is left
        _blend(image, _DARK if behind is None else np.array((34, 32, 38), np.int32), edge * 7 >> 3)
        if behind is None:
            behind = np.broadcast_to(_BACKING[:, None, None], image.shape)
        _blend(image, behind, _cover(depth))
        gone = silhouette & (depth >= 0)
        opacity = np.where(ink, _cover(depth + 16), 0)
    return opacity >= _SEEN, gone


def _contrasting(colours: np.ndarray, image: np.ndarray, opacity: np.ndarray, number: int) -> np.ndarray:
    """One of the two colours that differ most from what the damage covers."""
    here = opacity >= _SEEN
    tone = image[:, here].sum(1) // max(1, int(here.sum()))
    order = np.abs(colours - tone).sum(1).argsort(kind="stable")[::-1]
    return colours[order[number & 1]]


def place(kind: str, rng: np.random.Generator, spec: Spec | None = None, target: int = -1, sizes=SIZES) -> Damage:
    """A damage of a random size (px, within `sizes`) at a random place where it shows: on its object, for a chunk at
    its edge. Objects of radius below 14 px get smaller ones, but none below sizes[0].

    The scene must hold its target where it will be drawn; only its own silhouette counts, not what may cover it.
    Without a scene, or with target -1, the damage is on the ground. Raises ValueError for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"damage '{kind}' is unknown; choose one of {', '.join(KINDS)}")
    size = round(float(rng.uniform(*sizes)), 1)
    angle, noise = round(float(rng.uniform(0, 180)), 1), int(rng.integers(1 << 31))
    if spec is None or target < 0:
        x, y = (round(float(v), 3) for v in rng.uniform(-0.8, 0.8, 2))
        return Damage(kind, -1, x, y, size, angle, noise)
    thing = spec.objects[target]
    size = round(min(size, max(sizes[0], 0.7 * thing.radius)), 1)
    us, vs = _fitting(thing, kind, size)
    px, py = spots(thing, us, vs)
    seen = (np.minimum(px, py) > size / 2) & (np.maximum(px, py) < SIDE - size / 2)
    if seen.any():
        us, vs = us[seen], vs[seen]
    pick = int(rng.integers(len(us)))
    return Damage(kind, target, round(float(us[pick]), 3), round(float(vs[pick]), 3), size, angle, noise)


def _fitting(thing: Object, kind: str, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (radii) of the places of an object where a damage of a kind fits."""
    from lib.world.draw import fields

    field = fields(thing.name, thing.parts)
    body, lines = (
        None if values is None else values.reshape(atlas.CELL + 2, -1).astype(np.int32) - atlas.CLIP
        for values in (field.body, field.lines)
    )
    if kind == "chunk":
        depth = body * thing.radius / (8 * atlas.EXTENT)  # px
        fits = (depth >= 0.1 * size) & (depth <= 0.3 * size)
        fits |= depth == depth.max() if not fits.any() else False
    else:
        need = min(8 * size / 2 * atlas.EXTENT / thing.radius * 0.9, 0.7 * int(body.max()))
        fits = body >= need
        if lines is not None and (fits & (lines < -8)).any():  # not on dark lines, where little of it would show
            fits &= lines < -8
    rows, columns = np.nonzero(fits)
    middle = (atlas.CELL + 1) / 2
    return (columns - middle) / atlas.EXTENT, (rows - middle) / atlas.EXTENT


# ---- shapes: depth inside the edge in 1/16 px, int32 [64, 64]; x, y from the middle, `half` half the size


def _scratch(x, y, half, numbers) -> np.ndarray:
    bend = (numbers[0] * 7 >> 16) - 3
    depth = None
    for k in range(1 + (half > 40 and numbers[1] & 1)):
        line = y + (x * x * bend >> 11) + 26 * k * (1 if numbers[2] & 1 else -1)
        reach = half * 5 // 4 if k == 0 else half * 3 // 4
        one = np.minimum(11 + (numbers[3] * 4 >> 16) - np.abs(line), reach - np.abs(x))
        depth = one if depth is None else np.maximum(depth, one)
    return depth


def _blob(x, y, half, numbers, lobes: int, share: int) -> np.ndarray:
    """A disc of `share` 16ths of half and lobes around it."""
    depth = half * share // 16 - _length(x, y)
    for k in range(lobes):
        turn = 2 * math.pi * (k + numbers[3 * k] / 65536 * 0.7) / lobes
        away = half * (16 - share) // 16 + half * (numbers[3 * k + 1] * 3 >> 16) // 16
        size = half * (share - 5 + (numbers[3 * k + 2] * 4 >> 16)) // 16
        dx, dy = round(away * math.cos(turn)), round(away * math.sin(turn))
        depth = np.maximum(depth, size - _length(x - dx, y - dy))
    return depth


def _hole(x, y, half, numbers) -> np.ndarray:
    return _blob(x * 15 // (13 + numbers[20] % 3), y, half, numbers, 4, 12)


def _stain(x, y, half, numbers) -> np.ndarray:
    return _blob(x, y, half * 9 // 8, numbers, 5, 11)


def _blot(x, y, half, numbers) -> np.ndarray:
    depth = _blob(x, y, half, numbers, 5, 11)
    for k in range(3):  # drops beside it
        turn = 2 * math.pi * (k + numbers[15 + k] / 65536) / 3
        dx, dy = round(half * 1.2 * math.cos(turn)), round(half * 1.2 * math.sin(turn))
        depth = np.maximum(depth, 9 + half // 10 - _length(x - dx, y - dy))
    return depth


def _bite(x, y, half, numbers) -> np.ndarray:
    return _blob(x, y, half * 9 // 8, numbers, 3, 12)


def _length(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sqrt((x * x + y * y).astype(np.float64)).astype(np.int32)  # a square root is exact on every machine


def _cover(depth: np.ndarray) -> np.ndarray:
    return np.clip(128 + depth * 16, 0, 256)


def _blend(image: np.ndarray, colour: np.ndarray, opacity: np.ndarray) -> None:
    image += ((colour if colour.ndim == 3 else colour[:, None, None]) - image) * opacity >> 8
