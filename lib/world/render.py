"""Draw a `Spec` as a 64 x 64 picture with exact masks, in integer arithmetic: every machine gives the same bytes.

Order: background, objects from back to front (silhouette with fill, then rim and lines, in the manner of the style),
style of the whole picture, light, camera grain.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from lib.world import atlas
from lib.world.spec import SIDE, Camera, Light, Object, Spec
from lib.world.textures import BACKGROUNDS, background, hatch, palette, shades

STYLES = ("sticker", "ink", "outline", "photo", "sketch", "halftone", "inverted")  # the last three are held out
FILLS = ("plain", "striped", "dotted", "checked", "gridded", "speckled")
LAYERS = ("sem", "depth")
INK = np.array((34, 32, 38), np.int32)
PAPER = np.array((246, 244, 238), np.int32)
NUM_CLASSES = 128  # semantic ids below are classes, NUM_CLASSES + k is background k


class Rendered(NamedTuple):
    """A picture and its truth.

    `image` u8 [64, 64, 3] RGB; `inst` u8 [64, 64], 0 ground, i + 1 where `objects[i]` is the front-most silhouette;
    `boxes` f32 [n, 4] xyxy in [0, 1] of the visible silhouettes (zeros where hidden); on request `sem` u8 [64, 64]
    (class index, or 128 + background index) and `depth` f32 [64, 64] in [0, 1], 0 nearest.
    """

    image: np.ndarray
    inst: np.ndarray
    boxes: np.ndarray
    sem: np.ndarray | None = None
    depth: np.ndarray | None = None


def render(spec: Spec, layers: tuple = ()) -> Rendered:
    """Draw a scene. Raises ValueError for a field value or layer that cannot be drawn."""
    _check(spec, layers)
    image = background(spec.background).astype(np.int32)
    inst = np.zeros((SIDE, SIDE), np.uint8)
    order = sorted(range(len(spec.objects)), key=lambda i: -spec.objects[i].z)
    for i in order:
        _draw(image, inst, i + 1, spec.objects[i], spec.style)
    noise = np.random.Generator(np.random.PCG64(spec.noise_seed))
    image = _finish(image, spec.style, noise)
    image = _light(image, spec.light)
    image += noise.integers(-4, 5, image.shape, dtype=np.int8)
    image = np.clip(image, 0, 255, out=image).astype(np.uint8)
    sem = semantic(inst, spec) if "sem" in layers else None
    return Rendered(image, inst, boxes(inst, len(spec.objects)), sem, depth(inst, spec) if "depth" in layers else None)


def _check(spec: Spec, layers: tuple) -> None:
    if spec.style not in STYLES:
        raise ValueError(f"style '{spec.style}' is unknown; choose one of {', '.join(STYLES)}")
    for layer in layers:
        if layer not in LAYERS:
            raise ValueError(f"layer '{layer}' is unknown; choose from {', '.join(LAYERS)}")
    if spec.camera != Camera() or spec.words or spec.damage or spec.clutter:
        raise ValueError(
            "camera, words, damage and clutter cannot be drawn: leave these fields of the Spec at their defaults"
        )
    for thing in spec.objects:
        if thing.fill not in FILLS:
            raise ValueError(f"fill '{thing.fill}' of {thing.name} is unknown; choose one of {', '.join(FILLS)}")
        if not 2 <= thing.radius <= SIDE:
            raise ValueError(f"radius {thing.radius} px of {thing.name} is outside 2..{SIDE}")
        if thing.parts or thing.state or thing.mark:
            raise ValueError(f"parts, state and mark of {thing.name} cannot be drawn: leave them empty")


def boxes(inst: np.ndarray, num_objects: int) -> np.ndarray:
    """Boxes of the visible instances. inst u8 [H, W] -> f32 [num_objects, 4], xyxy in [0, 1]."""
    found = np.zeros((num_objects, 4), np.float32)
    for i in range(num_objects):
        mask = inst == i + 1
        rows, columns = mask.any(1), mask.any(0)
        if rows.any():
            top, left = rows.argmax(), columns.argmax()
            bottom, right = len(rows) - rows[::-1].argmax(), len(columns) - columns[::-1].argmax()
            found[i] = (left / SIDE, top / SIDE, right / SIDE, bottom / SIDE)
    return found


def semantic(inst: np.ndarray, spec: Spec) -> np.ndarray:
    """Class index of the front-most object of each pixel, 128 + background index on the ground. u8 [H, W]."""
    names = [NUM_CLASSES + BACKGROUNDS.index(spec.background.name)]
    names += [atlas.class_index(thing.name) for thing in spec.objects]
    return np.array(names, np.uint8)[inst]


def depth(inst: np.ndarray, spec: Spec) -> np.ndarray:
    """Depth in [0, 1], f32 [H, W]: layer z of an object is z / 12; the ground recedes from 11/12 below to 1 above."""
    ground = np.linspace(1.0, 11 / 12, SIDE, dtype=np.float32)[:, None].repeat(SIDE, 1)
    layer = np.array([0.0] + [thing.z / 12 for thing in spec.objects], np.float32)[inst]
    return np.where(inst == 0, ground, layer)


@cache
def _sine() -> np.ndarray:
    """One turn of a sine in 256 steps, 1/1024 units, int32."""
    return np.array([round(1024 * math.sin(2 * math.pi * k / 256)) for k in range(256)], np.int32)


class _Jitter(NamedTuple):
    """Unnamed variation of one object, from its `noise` number."""

    tint: np.ndarray  # int [3] added to its colour
    waves: tuple  # amplitude (1/256 texel), frequency, phase of the two elastic waves
    weight: int  # eighths of a texel by which strokes grow
    aspect: float  # width over height
    phase: int  # of the fill pattern, texels


def _jitter(noise: int) -> _Jitter:
    draw = np.random.Generator(np.random.PCG64(noise)).integers(0, 1 << 16, 12).tolist()
    waves = (draw[0] * 900 >> 16, 128 + (draw[1] * 256 >> 16), draw[2] >> 8, draw[3] * 900 >> 16,
             128 + (draw[4] * 256 >> 16), draw[5] >> 8)  # fmt: skip
    tint = np.array([(d * 33 >> 16) - 16 for d in draw[6:9]], np.int32)
    return _Jitter(tint, waves, (draw[9] * 21 >> 16) - 12, 0.88 + 0.24 * draw[10] / 65536, draw[11] & 31)


def _coordinates(thing: Object, jitter: _Jitter) -> tuple | None:
    """Texel coordinates u, v (int32 [h, w]) of the pixels around an object, and where that patch lies."""
    reach = 1.22 * thing.radius + 1
    cx, cy = thing.x * SIDE, thing.y * SIDE
    left, right = max(0, math.floor(cx - reach)), min(SIDE, math.ceil(cx + reach))
    top, bottom = max(0, math.floor(cy - reach)), min(SIDE, math.ceil(cy + reach))
    if left >= right or top >= bottom:
        return None
    scale = atlas.EXTENT / thing.radius  # texels per pixel
    dx = np.rint((np.arange(left, right) + 0.5 - cx) * (scale * 256)).astype(np.int32)  # 1/256 texel
    dy = np.rint((np.arange(top, bottom) + 0.5 - cy) * (scale * 256)).astype(np.int32)
    a1, f1, p1, a2, f2, p2 = jitter.waves
    wave_x = a1 * _sine()[((dy * f1 >> 15) + p1) & 255] >> 10
    wave_y = a2 * _sine()[((dx * f2 >> 15) + p2) & 255] >> 10
    turn = math.radians(thing.angle)
    cos, sin = round(1024 * math.cos(turn)), round(1024 * math.sin(turn))
    across = round(1024 * (-1 if thing.mirrored else 1) / jitter.aspect)
    x = dx[None, :] + wave_x[:, None]
    y = dy[:, None] + wave_y[None, :]
    u = (x * cos - y * sin) >> 10
    v = (x * sin + y * cos) >> 10
    u = (u * across >> 18) + atlas.CELL // 2
    v = (v >> 8) + atlas.CELL // 2
    return u, v, slice(top, bottom), slice(left, right)


def _draw(image: np.ndarray, inst: np.ndarray, number: int, thing: Object, style: str) -> None:
    """Draw one object into image (int32) and inst (u8), in place."""
    jitter = _jitter(thing.noise)
    placed = _coordinates(thing, jitter)
    if placed is None:
        return
    u, v, rows, columns = placed
    inside = (u >= 0) & (u < atlas.CELL) & (v >= 0) & (v < atlas.CELL)
    texel = np.where(inside, v * atlas.CELL + u, 0)
    glyph = atlas.glyph(thing.name)
    per_pixel = round(32 * thing.radius / atlas.EXTENT * 256)  # opacity (of 256) per eighth of a texel, times 256
    body_distance = np.where(inside, glyph.body[texel], -atlas.CLIP).astype(np.int32)
    body = _cover(body_distance, per_pixel)
    thin = max(0, round(8 * (0.55 * atlas.EXTENT / thing.radius - 1.5)))  # keeps strokes of small glyphs visible
    weight = jitter.weight + thin
    rim_width = round(8 * (1.1 * atlas.EXTENT / thing.radius)) + jitter.weight // 2
    rim = _cover(rim_width - np.abs(body_distance + rim_width // 2), per_pixel)
    lines = None
    if glyph.lines is not None:
        lines = _cover(np.where(inside, glyph.lines[texel], -atlas.CLIP).astype(np.int32) + weight, per_pixel)
        lines = np.minimum(lines, body)
    patch = image[rows, columns]
    pattern = None if thing.fill == "plain" else hatch(thing.fill, u, v, jitter.phase)
    _paint(patch, body, rim, lines, pattern, thing, jitter, style, (u, v))
    inst[rows, columns][body >= 128] = number


def _cover(distance: np.ndarray, per_pixel: int) -> np.ndarray:
    """Opacity 0..256 from signed distances in eighths of a texel."""
    return np.clip(128 + (distance * per_pixel >> 8), 0, 256)


def _blend(patch: np.ndarray, colour: np.ndarray, opacity: np.ndarray) -> None:
    """patch += (colour - patch) * opacity / 256, in place. colour int32 [3] or [h, w, 3]."""
    patch += (colour - patch) * opacity[..., None] >> 8


def _paint(patch, body, rim, lines, pattern, thing, jitter, style, position) -> None:
    colour = np.clip(palette(thing.colour) + jitter.tint, 0, 255)
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
            strokes = ((position[0] + position[1] + jitter.phase) % 12 < 3) * body
            _blend(patch, colour, strokes * 5 >> 3)
        if pattern is not None:
            _blend(patch, dark, body * pattern * (3 if style == "ink" else 2) >> 2)
        _blend(patch, dark, rim)
        if lines is not None:
            _blend(patch, dark, lines)
        return
    surface = colour if pattern is None else np.where(pattern[..., None] > 0, second, colour)
    if style == "photo":
        u, v = position
        shade = 292 - (u + v) * 5 // 8  # lit from the top left, of 256
        surface = np.minimum(surface * np.clip(shade, 110, 320)[..., None] >> 8, 255)
        _blend(patch, surface, body)
        _blend(patch, surface * 3 >> 3, rim * 5 >> 4)
        if lines is not None:
            _blend(patch, surface * 5 >> 4, lines * 3 >> 2)
        return
    _blend(patch, surface, body)
    if lines is not None:
        _blend(patch, dark, lines)
    _blend(patch, dark, rim * 7 >> 3)


def _finish(image: np.ndarray, style: str, noise: np.random.Generator) -> np.ndarray:
    """What a style does to the whole picture. int32 [64, 64, 3] -> int32."""
    if style == "inverted":
        return 255 - image
    if style == "sketch":
        grey = (image * np.array((77, 150, 29), np.int32)).sum(-1, keepdims=True) >> 8
        paper = 150 + (grey * 3 >> 3) + noise.integers(-9, 10, (SIDE, SIDE, 1), dtype=np.int32)
        return (paper * 5 + image * 3) >> 3
    if style == "halftone":
        screen = shades("screen")
        return (np.where(image > screen[..., None], 250, 24) * 11 + image * 5) >> 4
    if style == "photo":
        image = image + noise.integers(-8, 9, image.shape, dtype=np.int8)
        return image
    return image


def _light(image: np.ndarray, light: Light) -> np.ndarray:
    """Gain, gamma, cast and vignette through one table per channel. int32 [64, 64, 3] -> int32."""
    if light == Light():
        return image
    image = np.clip(image, 0, 255)
    for channel, cast in enumerate(light.cast):
        table = _curve(light.gain * cast, light.gamma)
        image[..., channel] = table[image[..., channel]]
    if light.vignette:
        loss = round(256 * light.vignette)
        image = image * (256 - (shades("corner") * loss >> 8))[..., None] >> 8
    return image


@cache
def _curve(gain: float, gamma: float) -> np.ndarray:
    values = [min(255, round(255 * gain * (value / 255) ** gamma)) for value in range(256)]
    return np.array(values, np.int32)
