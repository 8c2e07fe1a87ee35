"""What stands between a scene and its picture: backlight, camera, corruptions. Integers only.

`light_map` is applied before the camera grain, `view` to every layer of the finished picture, `corrupt` last.
"""

import math
from functools import cache

import numpy as np

from lib.world.spec import SIDE, Camera, Corruption, Light

PLAIN_KINDS = ("noise", "blur", "jpeg", "fog", "motion", "halftone", "contrast")
DEPTH_KINDS = ("depth_blur", "depth_blur_near", "depth_fog", "depth_motion")
KINDS = PLAIN_KINDS + DEPTH_KINDS


def generator(seed: int) -> np.random.Generator:
    """The generator of one `noise` number."""
    return np.random.Generator(np.random.PCG64(seed))


@cache
def _knots(count: int, size: int) -> tuple:
    position = np.arange(size, dtype=np.int32) * ((count - 1) * 256) // size
    return position >> 8, (position >> 8) + 1, position & 255


def smooth(noise: np.random.Generator, knots: tuple, low: int, high: int, shape: tuple = (SIDE, SIDE)) -> np.ndarray:
    """Value noise: rows x columns random `knots` within low..high, interpolated. -> int32 `shape`"""
    image = noise.integers(low, high + 1, knots).astype(np.int32)
    before, after, weight = _knots(knots[0], shape[0])
    image = (image[before] * (256 - weight)[:, None] + image[after] * weight[:, None]) >> 8
    before, after, weight = _knots(knots[1], shape[1])
    return (image[:, before] * (256 - weight) + image[:, after] * weight) >> 8


def blend(patch: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> None:
    """patch += (colour - patch) * cover / 256, in place. int32 [h, w, 3]; colour [3] or [h, w, 3]; cover [h, w]."""
    for channel in range(3):  # numpy is slow where the last axis is short
        plane = patch[..., channel]
        plane += (colour[..., channel] - plane) * cover >> 8


def _box(image: np.ndarray, radius: int, axis: int) -> np.ndarray:
    """Sum over a window of 2 radius + 1 along one axis, edges repeated. int32 [H, W, ...]"""
    if radius == 0:
        return image
    image = np.moveaxis(image, axis, 0)
    padded = np.concatenate([image[:1]] * (radius + 1) + [image] + [image[-1:]] * radius)
    total = np.cumsum(padded, 0, dtype=np.int32)
    return np.moveaxis(total[2 * radius + 1 :] - total[: -2 * radius - 1], 0, axis)


# ---- backlight


def light_map(light: Light, inst: np.ndarray) -> np.ndarray:
    """Brightness of each pixel of a backlit twin. inst u8 [64, 64] -> int32 [64, 64] in 256ths.

    On every object within .06 of 1 - light.backlit (.15 to .4 in the corpora), beyond a soft edge of 2 to 6 px within
    .9 to 1.2; the shaded region reaches past the objects in random lobes. 256 everywhere where light.backlit is 0.
    """
    if not 0 <= light.backlit < 1:
        raise ValueError(f"light.backlit {light.backlit} is outside [0, 1): it is the share of light lost")
    if light.backlit == 0:
        return np.full(inst.shape, 256, np.int32)
    noise = generator(light.noise)
    radius, reach, bound = (int(v) for v in noise.integers((1, 3, 40), (4, 8, 120)))
    mask = (inst > 0).astype(np.int32)
    near = _spread(_spread(mask, reach), reach // 2) * 256 // ((2 * reach + 1) * (reach // 2 * 2 + 1)) ** 2
    lobes = (near > 40) & (near + smooth(noise, (6, 6), -90, 90) > bound)
    mask = (_spread(_spread(mask | lobes, radius), radius) > 0).astype(np.int32)  # the soft edge stays off the objects
    weight = _spread(_spread(mask, radius), radius) * 256 // (2 * radius + 1) ** 4
    dark = np.maximum(round(256 * (1 - light.backlit)) + smooth(noise, (5, 5), -15, 15), 8)
    bright = smooth(noise, (4, 4), 231, 307)
    return bright + ((dark - bright) * weight >> 8)


def _spread(mask: np.ndarray, radius: int) -> np.ndarray:
    return _box(_box(mask, radius, 0), radius, 1)


# ---- camera


def quad_map(corners: tuple) -> list[float]:
    """Homography from the unit square to a quadrilateral, corners clockwise from top left as (x, y) pairs.

    -> nine numbers, row by row, for (x, y, 1) column vectors (Heckbert 1989, 2.2.3). Raises ValueError where three
    corners lie on a line.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    dx1, dx2, sx = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, sy = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    area = dx1 * dy2 - dx2 * dy1
    if abs(area) < 1e-9:
        raise ValueError(f"corners {corners} span no quadrilateral; move them apart")
    g, h = (sx * dy2 - dx2 * sy) / area, (dx1 * sy - sx * dy1) / area
    return [x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1.0]


def inverse(matrix: list) -> list[float]:
    """Homography that undoes `matrix`, nine numbers row by row."""
    a, b, c, d, e, f, g, h, i = matrix
    rows = [e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f]
    rows += [d * h - e * g, b * g - a * h, a * e - b * d]
    return [value / rows[8] for value in rows]


def project(matrix: list, x: np.ndarray, y: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Map points through a homography, times `scale`, rounded down. x, y int [..] in 1/4096 -> two int32 arrays."""
    a, b, c, d, e, f = (round(value * scale * (1 << 16)) for value in matrix[:6])
    g, h, i = (round(value * (1 << 16)) for value in matrix[6:])
    x, y = x.astype(np.int64), y.astype(np.int64)
    bottom = np.maximum(g * x + h * y + (i << 12), 1)
    return (
        ((a * x + b * y + (c << 12)) // bottom).astype(np.int32),
        ((d * x + e * y + (f << 12)) // bottom).astype(np.int32),
    )


def coordinates(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Where in the scene each pixel of the view lies: x, y int32 [64, 64] in 1/256 px, pixel centres at 128.

    The camera moves by (dx, dy) px to the right and down, so the scene moves the other way; `zoom` above 1 comes
    nearer; `tilt` has four (x, y) pairs by which the corners of what is seen move, as fractions of the side.
    """
    if camera.zoom <= 0:
        raise ValueError(f"zoom {camera.zoom} is not positive; 1 leaves the size as it is")
    if camera.tilt and (len(camera.tilt) != 4 or any(len(pair) != 2 for pair in camera.tilt)):
        raise ValueError(f"tilt {camera.tilt} must be four (x, y) pairs, clockwise from top left, or ()")
    half = 0.5 / camera.zoom
    middle_x, middle_y = 0.5 + camera.dx / SIDE, 0.5 + camera.dy / SIDE
    corners = [(middle_x + sx * half, middle_y + sy * half) for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    if camera.tilt:
        corners = [(x + tx, y + ty) for (x, y), (tx, ty) in zip(corners, camera.tilt)]
    step = np.arange(SIDE, dtype=np.int64) * 64 + 32
    return project(quad_map(tuple(corners)), step[None, :], step[:, None], SIDE * 256)


def view(arrays: dict[str, np.ndarray], camera: Camera) -> dict[str, np.ndarray]:
    """See a picture and its layers from another place. Arrays [64, 64, ...] or [n, 64, 64]; the same keys come back.

    "image" is resampled bilinearly, every other array takes the nearest pixel; beyond the border the scene is
    mirrored, in all layers alike. The default camera returns `arrays` itself.
    """
    if camera == Camera():
        return arrays
    x, y = coordinates(camera)
    near_x, near_y = _mirror(x >> 8), _mirror(y >> 8)
    seen = {}
    for key, array in arrays.items():
        if key == "image":
            seen[key] = _bilinear(array, x - 128, y - 128)
        elif array.shape[:2] == (SIDE, SIDE):
            seen[key] = array[near_y, near_x]
        elif array.shape[-2:] == (SIDE, SIDE):
            seen[key] = array[..., near_y, near_x]
        else:
            raise ValueError(f"layer '{key}' has shape {array.shape}; a view needs [{SIDE}, {SIDE}, ...] or [n, ...]")
    return seen


def _mirror(index: np.ndarray) -> np.ndarray:
    index = np.mod(index, 2 * SIDE)
    return np.where(index < SIDE, index, 2 * SIDE - 1 - index)


def _bilinear(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    left, top = x >> 8, y >> 8
    right, bottom = _mirror(left + 1), _mirror(top + 1)
    left, top = _mirror(left), _mirror(top)
    fx, fy = (x & 255)[..., None], (y & 255)[..., None]
    wide = image.astype(np.int32)
    upper = wide[top, left] * (256 - fx) + wide[top, right] * fx
    lower = wide[bottom, left] * (256 - fx) + wide[bottom, right] * fx
    return ((upper * (256 - fy) + lower * fy + (1 << 15)) >> 16).astype(image.dtype)


# ---- corruptions


def corrupt(image: np.ndarray, corruption: Corruption, depth: np.ndarray | None = None) -> np.ndarray:
    """Spoil a picture. u8 [64, 64, 3] -> u8; strength 0 returns `image`, the error grows with strength in [0, 1].

    noise, blur, jpeg, fog, motion, halftone, contrast treat all pixels alike. depth_blur (near things sharp),
    depth_blur_near (far things sharp), depth_fog and depth_motion (sideways, near things most) follow `depth`, f32
    [64, 64] as render.depth gives it; at constant depth they equal blur, blur, fog and sideways motion.
    """
    if corruption.kind not in KINDS:
        raise ValueError(f"corruption '{corruption.kind}' is unknown; choose one of {', '.join(KINDS)}")
    if not 0 <= corruption.strength <= 1:
        raise ValueError(f"strength {corruption.strength} of {corruption.kind} is outside [0, 1]")
    if corruption.strength == 0:
        return image
    amount = round(256 * corruption.strength)  # of 256, a number or a map
    if corruption.kind in DEPTH_KINDS:
        if depth is None:
            raise ValueError(f"corruption '{corruption.kind}' needs a depth map; render the scene with layer 'depth'")
        amount = amount * _nearness(depth, corruption.kind in ("depth_blur_near", "depth_motion")) >> 8
    noise = generator(corruption.noise)
    wide = image.astype(np.int32)
    if corruption.kind == "noise":
        grain = noise.integers(-64, 65, (3, *image.shape), dtype=np.int8).sum(0, dtype=np.int32)
        wide = wide + (grain * amount >> 8)  # standard deviation 64 grey levels at strength 1
    elif corruption.kind in ("blur", "depth_blur", "depth_blur_near"):
        wide = _between(_blurred, wide, amount)
    elif corruption.kind == "jpeg":
        wide = _jpeg(wide, amount)
    elif corruption.kind in ("fog", "depth_fog"):
        veil = amount * smooth(noise, (4, 4), 150, 230) >> 8
        wide = wide + ((np.array((214, 219, 224), np.int32) - wide) * veil[..., None] >> 8)
    elif corruption.kind in ("motion", "depth_motion"):
        turn = 0 if corruption.kind == "depth_motion" else int(noise.integers(0, 8))
        wide = _between(lambda picture, level: _moved(picture, level, turn), wide, amount)
    elif corruption.kind == "halftone":
        dots = np.where((wide * _LUMA).sum(-1, keepdims=True) >> 8 > _screen()[..., None], 244, 26)
        wide = wide + ((dots - wide) * amount >> 8)
    else:
        middle = (wide * _LUMA).sum(-1).sum() // (SIDE * SIDE * 256)
        wide = middle + ((wide - middle) * (256 - (amount * 15 >> 4)) >> 8)
    return np.clip(wide, 0, 255).astype(np.uint8)


_LUMA = np.array((77, 150, 29), np.int32)
_LEVELS = 7  # of blur and motion; strengths in between mix two of them


def _nearness(depth: np.ndarray, near: bool) -> np.ndarray:
    """Share (of 256) of a depth corruption at each pixel: depth over the deepest, or the nearest over depth."""
    steps = np.maximum(np.rint(depth * 4096).astype(np.int32), 64)
    share = steps.min() * 256 // steps if near else steps * 256 // steps.max()
    return share.astype(np.int32)


def _between(level_of, image: np.ndarray, amount) -> np.ndarray:
    """Mix the two nearest of _LEVELS + 1 levels of an effect, per pixel. amount in 0..256, a number or [64, 64]."""
    amount = np.asarray(amount)
    position = np.broadcast_to(amount * amount * _LEVELS >> 8, (SIDE, SIDE))  # quadratic: small strengths stay mild
    level, weight = position >> 8, (position & 255)[..., None]
    low, high = int(level.min()), min(int(level.max()) + 1, _LEVELS)
    mixed = np.zeros_like(image)
    before = level_of(image, low)
    for k in range(low, high + 1):
        after = level_of(image, k + 1) if k < high else before
        here = (level == k)[..., None]
        mixed = np.where(here, before + ((after - before) * weight + 128 >> 8), mixed)
        before = after
    return mixed


def _blurred(image: np.ndarray, level: int) -> np.ndarray:
    """Blur of about `level` * .62 px standard deviation: two box filters each way."""
    image = image << 4
    for first in (level // 2, level - level // 2):
        for axis in (0, 1):
            image = _box(image, first, axis) // (2 * first + 1)
    return (image + 8) >> 4


def _moved(image: np.ndarray, level: int, turn: int) -> np.ndarray:
    """Triangular mean of 2 level + 1 pictures along one of eight directions."""
    step_x, step_y = ((4, 0), (4, 2), (3, 3), (2, 4), (0, 4), (-2, 4), (-3, 3), (-4, 2))[turn]
    total = image * (level + 1)
    grid = np.arange(SIDE)
    for k in range(1, level + 1):
        for sign in (-1, 1):
            rows = np.clip(grid + sign * ((k * step_y + 2) >> 2), 0, SIDE - 1)
            columns = np.clip(grid + sign * ((k * step_x + 2) >> 2), 0, SIDE - 1)
            total = total + image[rows[:, None], columns] * (level + 1 - k)
    return total // (level + 1) ** 2


@cache
def _screen() -> np.ndarray:
    """Thresholds of a clustered-dot screen turned by 45 degrees, int32 [64, 64]."""
    order = np.array(((6, 3, 7), (2, 0, 1), (8, 4, 5)), np.int32)
    tile = np.block([[order, 17 - order], [17 - order, order]])
    return np.tile(tile * 13 + 17, (11, 11))[:SIDE, :SIDE]


_QUANTS = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip  # JPEG, ITU-T T.81, table K.1


@cache
def _cosines() -> np.ndarray:
    """Orthonormal 8-point DCT, int32 [8, 8] in 1/1024 units."""
    rows = [[math.cos((2 * x + 1) * k * math.pi / 16) * (0.5 if k else 0.125**0.5) for x in range(8)] for k in range(8)]
    return np.rint(np.array(rows) * 1024).astype(np.int32)


def _jpeg(image: np.ndarray, amount: int) -> np.ndarray:
    """Quantise 8 x 8 blocks of luma and colour differences. Steps are those of JPEG times 3 at strength 1."""
    red, green, blue = (image[..., k] for k in range(3))
    luma = (77 * red + 150 * green + 29 * blue) >> 8
    planes = np.stack([luma - 128, (blue - luma) * 144 >> 8, (red - luma) * 183 >> 8])
    blocks = planes.reshape(3, 8, 8, 8, 8).swapaxes(2, 3)  # plane, block row, block column, y, x
    turn = _cosines()
    steps = np.maximum(np.array(_QUANTS, np.int32) * amount * 3 >> 8, 1)
    steps = np.stack([steps, steps * 2, steps * 2])[:, None, None]
    waves = (turn @ blocks @ turn.T + (1 << 19)) >> 20
    waves = (np.abs(waves) + steps // 2) // steps * steps * np.sign(waves)
    planes = ((turn.T @ waves @ turn + (1 << 19)) >> 20).swapaxes(2, 3).reshape(3, SIDE, SIDE)
    luma, blue, red = planes[0] + 128, planes[1] * 455 >> 8, planes[2] * 358 >> 8
    red, blue = red + luma, blue + luma
    return np.stack([red, (256 * luma - 77 * red - 29 * blue) // 150, blue], -1)


def wire(image: np.ndarray, noise: int) -> np.ndarray:
    """Another paper's print of one photograph: cropped anew, in grey, with its own contrast, halftone and ink grain.

    u8 [64, 64, 3] -> u8 [64, 64, 3]
    """
    draw = generator(noise)
    dx, dy, zoom, gain, black, dots = draw.integers(0, 1001, 6).tolist()
    camera = Camera((dx - 500) / 100, (dy - 500) / 100, 1.02 + zoom / 3300)
    picture = view({"image": image}, camera)["image"].astype(np.int32)
    grey = (picture * _LUMA).sum(-1) >> 8
    grey = 128 + ((grey - 128) * (180 + gain * 150 // 1000) >> 8) + black * 40 // 1000 - 20
    grey = grey + draw.integers(-10, 11, grey.shape)
    screen = np.where(grey > np.roll(_screen(), (dx % 6, dy % 6), (0, 1)), 232, 34)
    grey = grey + ((screen - grey) * (40 + dots * 80 // 1000) >> 8)
    return np.clip(grey, 0, 255).astype(np.uint8)[..., None].repeat(3, -1)
