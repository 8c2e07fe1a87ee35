"""Draw one object into a picture: silhouette with fill, lines and rim in the manner of a style. Integers only.

Pictures are planar here, int32 [3, 64, 64]; `u, v` are the texels of the atlas cell under the pixels of a patch.
"""

import math
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from lib.world import atlas, badges
from lib.world.spec import SIDE, Object
from lib.world.textures import hatch, palette

INK = np.array((34, 32, 38), np.int32)
PAPER = np.array((246, 244, 238), np.int32)
WIDE = atlas.CELL + 2  # of the padded fields
_HALF = atlas.CELL // 2
SOLID = 128  # opacity (of 256) from which a pixel belongs to a silhouette
_MIDDLES = np.arange(SIDE) + 0.5  # of the pixels of a row
PARTS = ("body", *badges.PARTS)  # part k of a picture's `parts` layer is PARTS[k - 1]


@cache
def _sine() -> np.ndarray:
    """One turn of a sine in 256 steps, 1/1024 units, int32."""
    return np.array([round(1024 * math.sin(2 * math.pi * k / 256)) for k in range(256)], np.int32)


class Jitter(NamedTuple):
    """Unnamed variation of one object, from its `noise` number."""

    tint: np.ndarray  # int [3] added to its colour
    waves: tuple  # amplitude (1/256 texel), frequency, phase of the two elastic waves
    weight: int  # eighths of a texel by which strokes grow
    aspect: float  # width over height
    phase: int  # of the fill pattern, texels


def jitter(noise: int) -> Jitter:
    """Variation of the object with this `noise` number."""
    draw = []  # what Generator.integers(0, 1 << 16, 12) draws: the upper half of each 32-bit word
    for word in np.random.PCG64(noise).random_raw(6).tolist():
        draw += ((word >> 16) & 0xFFFF, word >> 48)
    waves = (draw[0] * 900 >> 16, 128 + (draw[1] * 256 >> 16), draw[2] >> 8, draw[3] * 900 >> 16,
             128 + (draw[4] * 256 >> 16), draw[5] >> 8)  # fmt: skip
    tint = np.array([(d * 33 >> 16) - 16 for d in draw[6:9]], np.int32)
    return Jitter(tint, waves, (draw[9] * 21 >> 16) - 12, 0.88 + 0.24 * draw[10] / 65536, draw[11] & 31)


def _coordinates(thing: Object, varied: Jitter) -> tuple | None:
    """Texels u, v (int32 [h, w], from the middle) of the pixels around an object, and where that patch lies."""
    reach = 1.22 * thing.radius + 1
    cx, cy = thing.x * SIDE, thing.y * SIDE
    left, right = max(0, math.floor(cx - reach)), min(SIDE, math.ceil(cx + reach))
    top, bottom = max(0, math.floor(cy - reach)), min(SIDE, math.ceil(cy + reach))
    if left >= right or top >= bottom:
        return None
    scale = atlas.EXTENT / thing.radius  # texels per pixel
    dx = np.rint((_MIDDLES[left:right] - cx) * (scale * 256)).astype(np.int32)  # 1/256 texel
    dy = np.rint((_MIDDLES[top:bottom] - cy) * (scale * 256)).astype(np.int32)
    a1, f1, p1, a2, f2, p2 = varied.waves
    wave_x = _sine().take((dy * f1 >> 15) + p1 & 255) * a1 >> 10
    wave_y = _sine().take((dx * f2 >> 15) + p2 & 255) * a2 >> 10
    turn = math.radians(thing.angle)
    cos, sin = round(1024 * math.cos(turn)), round(1024 * math.sin(turn))
    across = round(1024 * (-1 if thing.mirrored else 1) / varied.aspect)
    x = dx[None, :] + wave_x[:, None]
    y = dy[:, None] + wave_y[None, :]
    u = x * cos
    u -= y * sin
    u >>= 10
    u *= across
    u >>= 18
    x *= sin
    y *= cos
    x += y
    x >>= 18
    return u, x, slice(top, bottom), slice(left, right)


class _Fields(NamedTuple):
    """What is known of each texel of a class, padded by one texel on every side, raveled, u8.

    Signed distances (eighths of a texel, as in atlas.Glyph) have atlas.CLIP added.
    """

    body: np.ndarray
    lines: np.ndarray | None
    mark: np.ndarray | None
    zones: np.ndarray | None  # of a badge, see badges.Badge
    parts: np.ndarray | None


def _padded(values: np.ndarray | None, added: int = atlas.CLIP) -> np.ndarray | None:
    if values is None:
        return None
    return np.pad((values + added).astype(np.uint8).reshape(atlas.CELL, atlas.CELL), 1).ravel()


@lru_cache(maxsize=1024)
def fields(name: str, parts: tuple = (), mark: str = "") -> _Fields:
    """Texel fields of a class, with replaced parts of a badge or with an identity mark."""
    if name in badges.names():
        shape = badges.shape(name, parts)
        return _Fields(*map(_padded, (shape.body, shape.lines, shape.mark)), *(_padded(a, 0) for a in shape[3:]))
    glyph = atlas.glyph(name)
    stamp = badges.identity_mark(name, mark) if mark else None
    return _Fields(*map(_padded, (glyph.body, glyph.lines, stamp)), None, None)


class _Covers(NamedTuple):
    """Opacity 0..256 by distance + atlas.CLIP, int32 [2 * CLIP + 1]."""

    body: np.ndarray
    rim: np.ndarray
    lines: np.ndarray
    mark: np.ndarray
    halo: np.ndarray


@lru_cache(maxsize=4096)
def _covers(radius: float, weight: int) -> _Covers:
    """Opacities for an object of this radius whose strokes grow by `weight` eighths of a texel."""
    per_pixel = round(32 * radius / atlas.EXTENT * 256)  # opacity (of 256) per eighth of a texel, times 256
    thin = max(0, round(8 * (0.55 * atlas.EXTENT / radius - 1.5)))  # keeps strokes of small glyphs visible
    rim = round(8 * (1.1 * atlas.EXTENT / radius)) + weight // 2
    distance = np.arange(-atlas.CLIP, atlas.CLIP + 1, dtype=np.int32)
    shifted = (distance, rim - np.abs(distance + rim // 2), distance + weight + thin, distance, distance + badges.HALO)
    return _Covers(*np.clip(128 + (np.array(shifted) * per_pixel >> 8), 0, 256).astype(np.int32))


class Drawn(NamedTuple):
    """Where an object lies: patch and opacity 0..256 of its silhouette, int32 [h, w]."""

    rows: slice
    columns: slice
    body: np.ndarray


def draw(image: np.ndarray, inst: np.ndarray, number: int, thing: Object, style: str,
         parts: np.ndarray | None = None) -> Drawn | None:  # fmt: skip
    """Draw an object into image (int32 [3, 64, 64]), inst and parts (u8 [64, 64]), in place; None if out of sight."""
    varied = jitter(thing.noise)
    placed = _coordinates(thing, varied)
    if placed is None:
        return None
    u, v, rows, columns = placed
    texel = np.minimum(np.maximum(v, -_HALF - 1), _HALF)
    texel *= WIDE
    texel += np.minimum(np.maximum(u, -_HALF - 1), _HALF)
    texel = np.add(texel, (_HALF + 1) * (WIDE + 1), dtype=np.intp)
    field, covers = fields(thing.name, thing.parts, thing.mark), _covers(thing.radius, varied.weight)
    distance = field.body.take(texel)
    body, rim, lines = covers.body.take(distance), covers.rim.take(distance), None
    if field.lines is not None:
        lines = covers.lines.take(field.lines.take(texel))
        np.minimum(lines, body, out=lines)
    pattern = None if thing.fill == "plain" else hatch(thing.fill, u, v, varied.phase + _HALF)
    patch = image[:, rows, columns]
    if field.zones is not None:
        zones = field.zones.take(texel)
        pattern = None if pattern is None else pattern * (zones == badges.BODY)
        if style not in ("ink", "outline", "sketch"):
            pattern = (zones == badges.SECOND) if pattern is None else pattern | (zones == badges.SECOND)
    _paint(patch, body, rim, lines, pattern, thing, varied, style, (u, v))
    seen = body >= SOLID
    inst[rows, columns][seen] = number
    stamp = None
    if field.mark is not None:
        distance = field.mark.take(texel)
        stamp = np.minimum(covers.halo.take(distance), body)
        _blend(patch, PAPER, stamp)
        _blend(patch, INK, np.minimum(covers.mark.take(distance), body))
    if parts is not None:
        kinds = 1 if field.parts is None else np.maximum(field.parts.take(texel), 1)
        if stamp is not None:
            kinds = np.where(stamp >= SOLID, PARTS.index("mark") + 1, kinds)
        parts[rows, columns] = np.where(seen, kinds, parts[rows, columns])
    return Drawn(rows, columns, body)


def _blend(patch: np.ndarray, colour: np.ndarray, opacity: np.ndarray) -> None:
    """patch += (colour - patch) * opacity / 256, in place. int32: patch [3, h, w], colour [3] or [3, h, w]."""
    change = (colour if colour.ndim == 3 else colour[:, None, None]) - patch
    change *= opacity
    change >>= 8
    patch += change


def _paint(patch, body, rim, lines, pattern, thing, varied, style, position) -> None:
    colour = np.minimum(np.maximum(palette(thing.colour) + varied.tint, 0), 255)
    second = palette(thing.fill_colour)
    dark = INK if style in ("sticker", "photo", "halftone", "inverted") else colour * 13 >> 4
    if style in ("ink", "outline", "sketch"):
        if thing.colour in ("white", "grey") and style != "sketch":
            dark = INK + 40
        if style == "ink":
            _blend(patch, PAPER, body * 15 >> 4)
        if style == "sketch":  # pencil on paper: the colour is nearly gone
            _blend(patch, PAPER - 14, body)
            dark = np.full(3, 74, np.int32)
            colour = (colour.sum() // 3 + colour) >> 1
            strokes = ((position[0] + position[1] + (varied.phase + 2 * _HALF)) % 12 < 3) * body
            _blend(patch, colour, strokes * 5 >> 3)
        if pattern is not None:
            _blend(patch, dark, body * pattern * (3 if style == "ink" else 2) >> 2)
        _blend(patch, dark, rim)
        if lines is not None:
            _blend(patch, dark, lines)
        return
    surface = colour
    if pattern is not None:
        surface = np.where(pattern > 0, second[:, None, None], colour[:, None, None])
    if style == "photo":
        u, v = position
        shade = 292 - (u + v + 2 * _HALF) * 5 // 8  # lit from the top left, of 256
        surface = surface if surface.ndim == 3 else surface[:, None, None]
        surface = np.minimum(surface * np.minimum(np.maximum(shade, 110), 320) >> 8, 255)
        _blend(patch, surface, body)
        _blend(patch, surface * 3 >> 3, rim * 5 >> 4)
        if lines is not None:
            _blend(patch, surface * 5 >> 4, lines * 3 >> 2)
        return
    _blend(patch, surface, body)
    if lines is not None:
        _blend(patch, dark, lines)
    _blend(patch, dark, rim * 7 >> 3)
