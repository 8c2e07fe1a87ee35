"""Draws `overhead.Overhead` scenes in integers: land first, then bands and water, then small things with shadows."""

import math
from functools import cache

import numpy as np

from lib.world import optics
from lib.world.overhead_spec import COLOURS, LANDS, ORDER, Item, Overhead, Plan, grounds
from lib.world.spec import SIDE

_CROPS = ((118, 150, 66), (196, 178, 92), (146, 112, 72), (88, 128, 58), (214, 196, 132), (112, 86, 62), (164, 172, 96))
_SHADOW = np.array((16, 18, 30), np.int32)


def render(scene: Overhead) -> np.ndarray:
    """Draw a scene. -> u8 [64, 64, 3] RGB. Raises ValueError for an unknown land, ground, kind or colour."""
    for what, value, known in (("land", scene.land, LANDS), ("ground", scene.ground, grounds())):
        if value not in known:
            raise ValueError(f"{what} '{value}' is unknown; choose one of {', '.join(known)}")
    for item in scene.items:
        if item.kind not in ORDER:
            raise ValueError(f"item '{item.kind}' is unknown; choose one of {', '.join(ORDER)}")
        if item.colour and item.colour not in COLOURS:
            raise ValueError(f"colour '{item.colour}' of {item.kind} is unknown; choose one of {', '.join(COLOURS)}")
    noise = optics.generator(scene.noise + 1)
    colours = _colours(scene.ground, noise)
    sun = ((1, 1), (1, -1), (-1, 1), (-1, -1))[int(noise.integers(4))]
    grid = np.arange(SIDE, dtype=np.int32) * 16 + 8 - SIDE * 8  # 1/16 px from the centre
    cos, sin = _turn(scene.angle)
    u, v = (grid * cos + grid[:, None] * sin) >> 10, (grid[:, None] * cos - grid * sin) >> 10
    image = _land(scene.land, Plan(scene.land, scene.noise), u, v, colours, noise)
    for item in sorted(scene.items, key=lambda item: ORDER.index(item.kind)):
        _item(image, item, colours, sun, scene.noise)
    gains = noise.integers(236, 276, 3) * int(noise.integers(205, 283)) >> 8
    haze = int(noise.integers(0, 60))
    image = image * gains >> 8
    image += (np.array((196, 204, 214), np.int32) - image) * haze >> 8
    image += noise.integers(-5, 6, image.shape, dtype=np.int8)
    return np.clip(image, 0, 255).astype(np.uint8)


def _colours(ground: str, noise) -> dict[str, np.ndarray]:
    """Colours of soil, trees and water: the soil is the named one, the others are those of any ground."""
    rows = list(grounds())
    trees, water, shift = rows[int(noise.integers(len(rows)))], rows[int(noise.integers(len(rows)))], {}
    for key, row in (("", ground), ("tree_", trees if noise.integers(2) else ground), ("water_", water)):
        change = noise.integers(-9, 10, 3) + int(noise.integers(-22, 23))
        shift |= {key + end: np.clip(grounds()[row][key + end] + change, 8, 250) for end in ("low", "high")}
    return shift


def _turn(degrees: float) -> tuple[int, int]:
    turn = math.radians(degrees)
    return round(1024 * math.cos(turn)), round(1024 * math.sin(turn))


@cache
def _sine() -> np.ndarray:
    return np.array([round(1024 * math.sin(2 * math.pi * k / 256)) for k in range(256)], np.int32)


def _mix(low, high, weight: np.ndarray) -> np.ndarray:
    return low + ((high - low) * np.clip(weight, 0, 256)[..., None] >> 8)


def _edge(distance: np.ndarray) -> np.ndarray:
    """Cover 0..256 of distances in 1/16 px, positive inside."""
    return np.clip(128 + distance * 16, 0, 256)


# ---- land


def _land(land: str, plan: Plan, u, v, colours: dict, noise) -> np.ndarray:
    grain = optics.smooth(noise, (9, 9), 0, 200) + noise.integers(-40, 41, (SIDE, SIDE), dtype=np.int8)
    image = _mix(colours["low"], colours["high"], grain)
    paved = _paving(plan, colours, noise)
    if land == "harbour":
        wave = _wave(u, plan, plan.wave)
        optics.blend(image, paved, _edge(round(plan.level * 16) + wave - v) * 7 >> 3)
        if plan.coarse > 0.4:  # open ground behind the quay
            optics.blend(
                image, _mix(colours["low"], colours["high"], grain), _edge(round(plan.level * 16 - 96) + wave - v)
            )
        _water(image, _edge(v - round(plan.level * 16) - wave), colours, noise)
    elif land == "forest":
        _canopy(image, colours, noise, 4 + round(2 * plan.coarse), round(40 + 60 * plan.coarse))
    elif land == "desert":
        _dunes(image, plan, u, v, noise)
    elif land == "river":
        middle = _wave(u, plan, plan.swing)
        bank = round(plan.half * 16) - np.abs(v - middle) + optics.smooth(noise, (12, 12), -12, 12)
        optics.blend(image, (colours["low"] * 3 + colours["water_low"]) >> 2, _edge(bank + 22) >> 1)
        _water(image, _edge(bank), colours, noise)
    elif land == "airport":
        side = 1 if plan.side else -1
        apron = np.minimum(
            round(plan.reach * 16) - np.abs(u - round(plan.shift * 16)), round(plan.taxiway * 16) - side * v
        )
        taxiway = 28 - np.abs(side * v - round(plan.taxiway * 16))
        link = np.minimum(28 - np.abs(u - round(plan.shift * 16)), round(plan.level * 16) - side * v)
        link = np.minimum(link, side * v - round(plan.taxiway * 16))
        optics.blend(image, paved, _edge(np.maximum(np.maximum(apron, taxiway), link)))
    elif land == "town":
        for w in (u, v):
            offset = (w - round(plan.shift * 16)) % round(plan.pitch * 16)
            optics.blend(image, paved, _edge(np.minimum(offset, 52 - offset)))
    elif land == "car park":
        _bays(image, plan, u, v, paved)
    return image


def _paving(plan: Plan, colours: dict, noise) -> np.ndarray:
    tone = np.full(3, 76 + int(120 * plan.coarse)) + np.array((1, 0, -1)) * int(noise.integers(-16, 17))
    if noise.integers(2):  # gravel
        tone = (tone + (colours["low"] + colours["high"]) // 2) >> 1
    return tone.astype(np.int32) + optics.smooth(noise, (7, 7), -10, 10)[..., None]


def _wave(u, plan: Plan, swing: float) -> np.ndarray:
    """swing * sin(2 pi (u / period + phase)), in 1/16 px."""
    turn = u * 256 // round(plan.period * 16) + round(plan.phase * 256)
    return round(swing * 16) * _sine()[turn & 255] >> 10


def _water(image, cover, colours: dict, noise) -> None:
    ripple = optics.smooth(noise, (17, 9), 0, 150) + optics.smooth(noise, (5, 5), 0, 120)
    optics.blend(image, _mix(colours["water_low"], colours["water_high"], ripple), cover)


def _canopy(image, colours: dict, noise, cell: int, open_ground: int) -> None:
    """Crowns of trees, one per cell of a jittered grid, lit from one side, but for glades of `open_ground` in 256."""
    count = SIDE // cell + 3
    jx, jy, size, tone = noise.integers(0, 16 * cell, (4, count, count)).astype(np.int32)
    grid = np.arange(SIDE, dtype=np.int32)
    home = grid // cell + 1
    best = np.full((SIDE, SIDE), -(1 << 20), np.int32)
    shade = np.zeros((SIDE, SIDE), np.int32)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            rows, columns = (home + dy)[:, None], (home + dx)[None, :]
            ex = grid[None, :] * 16 + 8 - ((columns - 1) * cell * 16 + jx[rows, columns])
            ey = grid[:, None] * 16 + 8 - ((rows - 1) * cell * 16 + jy[rows, columns])
            radius = cell * 8 + (size[rows, columns] >> 1)
            height = radius * radius - ex * ex - ey * ey
            lit = 110 - (ex + ey) * 90 // radius + (tone[rows, columns] * 90 // (16 * cell))
            shade = np.where(height > best, lit, shade)
            best = np.maximum(best, height)
    crowns = _mix(colours["tree_low"], colours["tree_high"], shade)
    dark = np.clip(best * 256 // (cell * cell * 90) + 30, 0, 256)  # gaps between the crowns
    crowns = _mix(colours["tree_low"] * 5 >> 3, crowns, dark)
    glade = optics.smooth(noise, (5, 5), 0, 256) < open_ground
    image[:] = np.where((glade | (best < -(cell * cell * 40)))[..., None], image, crowns)


def _dunes(image, plan: Plan, u, v, noise) -> None:
    """Ridges with a lit and a shaded side."""
    length = round((8 + 8 * plan.coarse) * 16)
    bend = _wave(u, plan, plan.swing / 2) + optics.smooth(noise, (6, 6), -90, 90)
    step = ((v + bend) * 256 // length) & 255
    slope = np.where(step < 176, step * 256 // 176, (256 - step) * 256 // 80)  # long lit side, short shaded side
    image += ((slope - 128) * 46 >> 8)[..., None] - np.where(step >= 176, 16, 0)[..., None]


def _bays(image, plan: Plan, u, v, paved) -> None:
    extent = round(plan.extent * 16) + 40
    inside = _edge(extent - np.maximum(np.abs(u), np.abs(v)))
    optics.blend(image, paved, inside)
    lines = np.zeros(u.shape, np.int32)
    for v0 in plan.rows():
        near = 52 - np.abs(v - round(v0 * 16))
        across = (u - round(plan.shift / 3 * 16) + 38) % 77
        bar = np.minimum(7 - np.minimum(across, 77 - across), near)
        lines = np.maximum(lines, _edge(bar))
    bound = round(plan.extent * 16) + 8
    lines = np.minimum(lines, _edge(bound - np.maximum(np.abs(u), np.abs(v))))
    optics.blend(image, np.array((232, 232, 226), np.int32), lines * 3 >> 2)


# ---- things

# convex polygons in sixteenths of the length, along u; each with a shade (256ths of the colour, 0: dark glass)
_SHAPES = {
    "ship": (
        ((-8, -3, 3, -3, 8, 0, 3, 3, -8, 3), 256), ((-6, -1, 2, -1, 2, 1, -6, 1), 176),
        ((-6, -2, -3, -2, -3, 2, -6, 2), 0),
    ),
    "car": (((-8, -4, 8, -4, 8, 4, -8, 4), 256), ((1, -3, 4, -3, 4, 3, 1, 3), 0), ((-7, -3, -5, -3, -5, 3, -7, 3), 0)),
    "plane": (
        ((-3, -8, -1, -8, 4, 0, -1, 0), 216), ((-1, 0, 4, 0, -1, 8, -3, 8), 216),
        ((-8, -4, -7, -4, -4, 0, -7, 0), 216), ((-7, 0, -4, 0, -7, 4, -8, 4), 216),
        ((-8, -1, 6, -1.4, 8, 0, 6, 1.4, -8, 1), 266),
    ),
    "house": (((-8, -6, 8, -6, 8, 0, -8, 0), 282), ((-8, 0, 8, 0, 8, 6, -8, 6), 196)),
    "rock": (((-8, 1, -5, -6, 2, -8, 8, -3, 6, 5, -1, 8), 256), ((-4, 0, -2, -5, 3, -5, 5, -2, 1, 1), 300)),
}  # fmt: skip


def _item(image, item: Item, colours: dict, sun: tuple, seed: int) -> None:
    cx, cy = round(item.x * SIDE * 16), round(item.y * SIDE * 16)
    wide = max(item.size, item.width)
    reach = 3 * SIDE if item.kind in ("road", "runway") else round(wide * 0.75) + 3
    left, right = max(0, (cx >> 4) - reach), min(SIDE, (cx >> 4) + reach + 1)
    top, bottom = max(0, (cy >> 4) - reach), min(SIDE, (cy >> 4) + reach + 1)
    x = np.arange(left, right, dtype=np.int32)[None, :] * 16 + 8 - cx
    y = np.arange(top, bottom, dtype=np.int32)[:, None] * 16 + 8 - cy
    patch = image[top:bottom, left:right]
    cos, sin = _turn(item.angle)
    turned = (x * cos + y * sin) >> 10, (y * cos - x * sin) >> 10
    if item.kind in _SHAPES:
        shifted = tuple((x - 20 * sun[0]) * a + (y - 20 * sun[1]) * b >> 10 for a, b in ((cos, sin), (-sin, cos)))
        colour = np.array(COLOURS[item.colour], np.int32) if item.colour else (colours["low"] + (300, 282, 264)) >> 2
        _sprite(patch, item.kind, turned, shifted, round(item.size * 16), colour)
    elif item.kind == "tree":
        _tree(patch, item, x, y, colours, sun)
    elif item.kind in ("pier", "bridge"):
        _deck(patch, item, *turned, sun)
    else:
        noise = optics.generator([seed, cx + 4096, cy + 4096])  # of its own: removing one thing leaves the rest alone
        {"pond": _pond, "field": _field, "road": _road, "runway": _road}[item.kind](
            patch, item, *turned, colours, noise
        )


def _polygon(u, v, points: tuple, length: int) -> np.ndarray:
    """Cover of a convex polygon whose points are sixteenths of `length` (1/16 px)."""
    distance = None
    corners = list(zip(points[::2], points[1::2]))
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1]):
        ax, ay, bx, by = (value * length / 16 for value in (ax, ay, bx, by))
        size = math.sqrt((bx - ax) ** 2 + (by - ay) ** 2)
        nx, ny = round(256 * (ay - by) / size), round(256 * (bx - ax) / size)
        side = (u - round(ax)) * nx + (v - round(ay)) * ny >> 8
        distance = side if distance is None else np.minimum(distance, side)
    return _edge(distance)


def _sprite(patch, kind: str, turned, shifted, length: int, colour) -> None:
    shadow = np.max([_polygon(*shifted, points, length) for points, shade in _SHAPES[kind] if shade], 0)
    optics.blend(patch, _SHADOW, shadow * (60 if kind == "ship" else 110) >> 8)
    outline = np.max([_polygon(*turned, points, length + 14) for points, shade in _SHAPES[kind] if shade], 0)
    optics.blend(patch, colour * 5 >> 4, outline * 150 >> 8)
    for points, shade in _SHAPES[kind]:
        paint = np.minimum(colour * shade >> 8, 255) if shade else np.array((48, 54, 66), np.int32)
        optics.blend(patch, paint, _polygon(*turned, points, length))


def _tree(patch, item: Item, x, y, colours: dict, sun: tuple) -> None:
    radius = round(item.size * 8)
    low, high = colours["tree_low"], colours["tree_high"]
    for dx, dy, share, colour, strength in (
        (14 * sun[0], 14 * sun[1], 256, _SHADOW, 110), (0, 0, 256, (low * 3 + high) >> 2, 256),
        (-radius * sun[0] // 4, -radius * sun[1] // 4, 140, (high * 5 >> 2).clip(0, 255), 200),
    ):  # fmt: skip
        size = radius * share >> 8
        inside = (size * size - (x - dx) ** 2 - (y - dy) ** 2) // (2 * size)
        optics.blend(patch, colour, _edge(inside) * strength >> 8)


def _pond(patch, item: Item, u, v, colours: dict, noise) -> None:
    radius = round(item.size * 8)
    flat, skew, bend = (int(n) for n in noise.integers((150, -100, -90), (256, 101, 91)))
    v = v + u * u * bend // (256 * radius)  # bean-shaped
    inside = (radius * radius - u * u - (v * v * 256 // flat) + (u * v * skew >> 8)) // (2 * radius)
    optics.blend(patch, (colours["low"] * 3 + colours["water_low"]) >> 2, _edge(inside + 14))
    optics.blend(patch, _mix(colours["water_low"], colours["water_high"], 60 + inside), _edge(inside))


def _field(patch, item: Item, u, v, colours: dict, noise) -> None:
    half_u, half_v = round(item.size * 8), round(item.width * 8)
    crop, along, pitch = (int(n) for n in noise.integers((0, 0, 34), (len(_CROPS), 2, 64)))
    colour = (np.array(_CROPS[crop], np.int32) * 5 + colours["high"] * 3) >> 3
    cover = _edge(np.minimum(half_u - np.abs(u), half_v - np.abs(v)))
    furrow = np.where((u if along else v) % pitch < pitch // 2, 256, 0)
    optics.blend(patch, _mix(colour * 13 >> 4, colour, furrow), cover)
    rim = _edge(10 - np.abs(np.minimum(half_u - np.abs(u), half_v - np.abs(v))))
    optics.blend(patch, colours["tree_low"], rim * 5 >> 4)


def _deck(patch, item: Item, u, v, sun: tuple) -> None:
    """A pier of planks or a bridge with rails."""
    cover = np.minimum(_edge(round(item.size * 8) - np.abs(u)), _edge(round(item.width * 8) - np.abs(v)))
    optics.blend(patch, _SHADOW, np.roll(cover, sun, (1, 0)) * 100 >> 8)
    if item.kind == "bridge":
        optics.blend(patch, np.array((176, 170, 160), np.int32), cover)
        rails = _edge(5 - np.abs(np.abs(v) - round(item.width * 8) + 8))
        optics.blend(patch, np.array((74, 72, 74), np.int32), np.minimum(rails, cover))
    else:
        optics.blend(patch, np.array((128, 104, 78), np.int32), cover)
        optics.blend(patch, np.array((70, 54, 40), np.int32), cover * np.where(u % 40 < 10, 90, 0) >> 8)


def _road(patch, item: Item, u, v, colours: dict, noise) -> None:
    """A road of asphalt or earth, a runway with its lines."""
    half = round(item.size * 8)
    if item.kind == "road":
        earth = int(noise.integers(3)) == 0
        tone = (colours["high"] * 3 + 60) >> 2 if earth else np.array((104, 102, 104), np.int32)
        optics.blend(patch, tone, _edge(half - np.abs(v)))
        return
    white = np.array((236, 236, 230), np.int32)
    optics.blend(patch, np.array((78, 80, 86), np.int32), _edge(half - np.abs(v)))
    optics.blend(patch, white, np.where(u % 128 < 72, _edge(6 - np.abs(v)), 0) * 7 >> 3)
    optics.blend(patch, white, _edge(4 - np.abs(np.abs(v) - half + 10)) * 5 >> 3)
