"""Colours, fill patterns and backgrounds, in integers.

Inside, pictures are planar, [3, 64, 64]: numpy is several times faster where the long axis is the last one.
"""

import csv
import re
from functools import cache, lru_cache

import numpy as np

from lib.world.atlas import TABLES
from lib.world.spec import SIDE, Background

PATTERNS = ("plain", "gradient", "striped", "dotted", "checked")  # in two colours of the Background
MATERIALS = ("grass", "sand", "water", "snow", "sky", "night", "brick", "wood")  # with colours of their own
BACKGROUNDS = PATTERNS + MATERIALS
_GRID = np.arange(SIDE, dtype=np.int32)


@cache
def colours() -> dict[str, tuple[int, int, int]]:
    """Colour name -> RGB, from tables/colours.csv."""
    with open(TABLES / "colours.csv", newline="") as file:
        return {row["name"]: (int(row["red"]), int(row["green"]), int(row["blue"])) for row in csv.DictReader(file)}


@lru_cache(maxsize=8192)
def palette(name: str) -> np.ndarray:
    """RGB of a colour name or of "#rrggbb", int32 [3]. Raises KeyError with the known names."""
    if re.fullmatch("#[0-9a-f]{6}", name):
        return np.array([int(name[k : k + 2], 16) for k in (1, 3, 5)], np.int32)
    if name not in colours():
        raise KeyError(f"'{name}' is no colour of tables/colours.csv; known: {', '.join(colours())}, #rrggbb")
    return np.array(colours()[name], np.int32)


def hatch(fill: str, u: np.ndarray, v: np.ndarray, phase: int) -> np.ndarray:
    """Where a fill shows its second colour: int32 {0, 1} over texel coordinates u, v (int32 [h, w])."""
    u, v = u + phase, v + phase
    if fill == "striped":
        return ((u + v) % 26 < 12).astype(np.int32)
    if fill == "dotted":
        du, dv = u % 24 - 12, v % 24 - 12
        return (du * du + dv * dv < 52).astype(np.int32)
    if fill == "checked":
        return ((u // 14 + v // 14) & 1).astype(np.int32)
    if fill == "gridded":
        return ((u % 22 < 6) | (v % 22 < 6)).astype(np.int32)
    if fill == "speckled":
        return ((((u // 5) * 7919 + (v // 5) * 104729 + ((u // 5) * (v // 5)) * 31) & 1023) < 300).astype(np.int32)
    raise ValueError(f"fill '{fill}' has no pattern")


@cache
def shades(name: str) -> np.ndarray:
    """Fixed maps, int32 [64, 64]: `corner`, 0 in the centre to 256 in the corners; `screen`, halftone thresholds."""
    y, x = np.meshgrid(_GRID, _GRID, indexing="ij")
    if name == "corner":
        square = (2 * x - SIDE + 1) ** 2 + (2 * y - SIDE + 1) ** 2
        return (square * 256 // (2 * (SIDE - 1) ** 2)).astype(np.int32)
    dot = np.array(((5, 9, 11, 7), (10, 15, 13, 4), (12, 14, 16, 3), (6, 8, 2, 1)), np.int32)
    return np.tile(dot * 15, (SIDE // 4, SIDE // 4))


@cache
def _steps(size: int) -> tuple:
    """Neighbour indices and weight (of 256) for linear interpolation of `size` knots over SIDE pixels."""
    position = _GRID * (size - 1) * 256 // SIDE
    low = position >> 8
    return low, low + 1, position & 255


def _smooth(noise: np.random.Generator, rows: int, columns: int, depth: int) -> np.ndarray:
    """Value noise: a random grid of rows x columns knots, values in 0..depth, interpolated to int32 [64, 64]."""
    knots = noise.integers(0, depth + 1, (rows, columns)).astype(np.int32)
    low, high, weight = _steps(rows)
    image = (knots[low] * (256 - weight)[:, None] + knots[high] * weight[:, None]) >> 8
    low, high, weight = _steps(columns)
    return (image[:, low] * (256 - weight) + image[:, high] * weight) >> 8


def _mix(first, second, weight: np.ndarray) -> np.ndarray:
    """Blend two colours by a map of 0..256. -> int32 [3, 64, 64]"""
    weight = np.minimum(np.maximum(weight, 0), 256).astype(np.int32, copy=False)
    image = np.empty((3, SIDE, SIDE), np.int32)
    for channel, (low, high) in enumerate(zip(first, second)):
        np.multiply(weight, int(high) - int(low), out=image[channel])
        image[channel] >>= 8
        image[channel] += int(low)
    return image


def _limited(image: np.ndarray) -> np.ndarray:
    """Clip to 0..255 in place."""
    return np.minimum(np.maximum(image, 0, out=image), 255, out=image)


def background(ground: Background) -> np.ndarray:
    """Draw a background. -> int32 [64, 64, 3] within 0..255. Raises ValueError for an unknown name."""
    return planar(ground).transpose(1, 2, 0)


def planar(ground: Background) -> np.ndarray:
    """`background` as int32 [3, 64, 64]."""
    if ground.name not in BACKGROUNDS:
        raise ValueError(f"background '{ground.name}' is unknown; choose one of {', '.join(BACKGROUNDS)}")
    noise = np.random.Generator(np.random.PCG64(ground.noise))
    draw = noise.integers(0, 256, 8).tolist()
    if ground.name in MATERIALS:
        image = _material(ground.name, draw, noise)
        image += np.array([(d >> 4) - 8 for d in draw[5:8]], np.int32)[:, None, None]
        return _limited(image)
    first, second = _tint(ground.colour, draw[5]), _tint(ground.colour2, draw[6])
    x, y = _GRID[None, :], _GRID[:, None]
    period = 10 + draw[0] % 9
    shift = draw[1] % period
    if ground.name == "plain":
        return _limited(first[:, None, None] + (_smooth(noise, 5, 5, 12) - 6))
    if ground.name == "gradient":
        slant_x, slant_y = draw[2] - 128, draw[3] - 128
        ramp = x * slant_x + y * slant_y
        ramp = (ramp - ramp.min()) * 256 // max(1, int(ramp.max() - ramp.min()))
        return _mix(first, second, ramp)
    if ground.name == "striped":
        line = (x, y, x + y, x - y)[draw[2] % 4] + shift + 0 * x * y
        return _mix(first, second, np.where(np.broadcast_to(line % period < period // 2, (SIDE, SIDE)), 256, 0))
    if ground.name == "dotted":
        dx, dy = (x + shift) % period - period // 2, (y + draw[2] % period) % period - period // 2
        return _mix(first, second, np.where(dx * dx + dy * dy < (period * period) // 9, 256, 0))
    return _mix(first, second, (((x + shift) // period + (y + shift) // period) & 1) * 256)


def _tint(name: str, draw: int) -> np.ndarray:
    """A paper tint of a colour: lighter and paler than the colour of an object, so that objects stand out."""
    grey = (draw >> 3) - 16
    return np.clip((palette(name) * 7 + np.array((232, 230, 224), np.int32) * 9 >> 4) + grey, 0, 255)


def _material(name: str, draw: list, noise: np.random.Generator) -> np.ndarray:
    x, y = _GRID[None, :], _GRID[:, None]
    if name == "grass":
        blades = noise.integers(0, 257, (SIDE, SIDE), dtype=np.int32)
        blades = (blades + np.roll(blades, 1, 0) + np.roll(blades, 2, 0)) // 3 + _smooth(noise, 6, 6, 120) - 60
        return _mix((52, 104, 40), (142, 190, 84), blades)
    if name == "sand":
        grain = noise.integers(0, 150, (SIDE, SIDE), dtype=np.int32) + _smooth(noise, 5, 9, 130)
        return _mix((196, 168, 118), (240, 220, 174), grain)
    if name == "water":
        wave = _smooth(noise, 17, 5, 200) + ((y * 3 + _smooth(noise, 4, 9, 40)) % 13 < 3) * 90
        return _mix((40, 96, 158), (140, 196, 226), wave)
    if name == "snow":
        return _mix((206, 220, 236), (252, 253, 255), _smooth(noise, 7, 7, 256) + noise.integers(-30, 31, (SIDE, SIDE)))
    if name == "sky":
        clouds = np.clip(_smooth(noise, 6, 5, 420) - 190, 0, 256)
        return _mix((112, 168, 226), (244, 247, 251), clouds + (y * 2) + 0 * x)
    if name == "night":
        stars = (noise.integers(0, 100, (SIDE, SIDE)) == 0) * 200
        return _mix((30, 34, 66), (150, 150, 190), _smooth(noise, 4, 4, 70) + stars)
    if name == "brick":
        row = (y + draw[1] % 8) // 8
        joint = ((y + draw[1] % 8) % 8 < 1) | ((x + (row & 1) * 8 + draw[2] % 16) % 16 < 1)
        tone = _smooth(noise, 9, 9, 220) + noise.integers(0, 60, (SIDE, SIDE))
        mortar = np.array((208, 198, 186), np.int32)[:, None, None]
        return np.where(joint, mortar, _mix((142, 66, 50), (192, 106, 80), tone))
    grain = _smooth(noise, 5, 33, 150) + _smooth(noise, 3, 60, 90)
    plank = ((x + draw[1] % 21) % 21 < 1) * 150
    return _mix((198, 150, 98), (122, 80, 46), grain + plank + 0 * y)
