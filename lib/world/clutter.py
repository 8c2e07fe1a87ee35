"""What no caption mentions: pale blobs, printed marks and shadows on the ground (or on a thing, by a mask)."""

import numpy as np

from lib.world import optics

# polylines in halves of a mark's reach, -8..8; none looks like a class, a defect or a letter of the lexicon's words
_MARKS = (
    ((-8, -3, 8, -3), (-8, 3, 8, 3)),
    ((-8, 3, -4, -3), (-4, -3, 0, 3), (0, 3, 4, -3), (4, -3, 8, 3)),
    ((-6, -7, -6, 7), (0, -7, 0, 7), (6, -7, 6, 7)),
    ((-6, -6, -6, 6), (-6, 6, 7, 6)),
    ((-4, -8, 4, -8), (-4, -8, -4, 8), (-4, 8, 4, 8)),
    ((-8, 0, -6, 0), (-1, 0, 1, 0), (6, 0, 8, 0)),
    ((-8, 5, 8, -5),),
    ((-7, -4, 7, -4), (-7, 4, -2, 4), (2, 4, 7, 4)),
)


def draw(image: np.ndarray, count: int, noise: np.random.Generator, mask: np.ndarray | None = None) -> None:
    """Draw `count` uncaptioned things into `image`, int32 [H, W, 3], in place; only where `mask`, bool [H, W], is set.

    The first k of them are the same for every count of at least k. A third each: blobs, marks, shadows.
    """
    if count < 0:
        raise ValueError(f"clutter {count} is negative; it is a number of things")
    for numbers in noise.integers(0, 1 << 16, (count, 20)).tolist():
        _one(image, numbers, mask)


def _one(image: np.ndarray, numbers: list, mask: np.ndarray | None) -> None:
    height, width = image.shape[:2]
    reach = 5 + numbers[0] % 5  # px
    cx, cy = numbers[1] * width >> 16, numbers[2] * height >> 16
    left, right = max(0, cx - reach - 2), min(width, cx + reach + 3)
    top, bottom = max(0, cy - reach - 2), min(height, cy + reach + 3)
    x = (np.arange(left, right, dtype=np.int32) - cx)[None, :] * 16 + numbers[3] % 16 - 8  # 1/16 px
    y = (np.arange(top, bottom, dtype=np.int32) - cy)[:, None] * 16 + numbers[4] % 16 - 8
    patch = image[top:bottom, left:right]
    kind = numbers[5] % 3
    if kind == 0:
        cover = _blob(x, y, reach, numbers[6:]) * (90 + numbers[15] % 70) >> 8
        colour = np.array([60 + (n * 180 >> 16) for n in numbers[16:19]], np.int32)
    elif kind == 1:
        cover = _mark(x, y, reach, numbers[6:]) * (120 + numbers[15] % 90) >> 8
        colour = np.array((40, 38, 44) if numbers[16] & 1 else (246, 244, 238), np.int32)
    else:
        cover = _shade(x, y, reach, numbers[6:]) * (70 + numbers[15] % 60) >> 8
        colour = np.array((14, 16, 26), np.int32)
    if mask is not None:
        cover = np.where(mask[top:bottom, left:right], cover, 0)
    optics.blend(patch, colour, cover)


def _blob(x: np.ndarray, y: np.ndarray, reach: int, numbers: list) -> np.ndarray:
    """Three discs that flow into each other. -> cover 0..256"""
    field = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.int32)
    for k in range(3):
        size = reach * (3 + numbers[3 * k] % 4)  # 1/16 px
        dx = x - (numbers[3 * k + 1] % (reach * 19) - reach * 9)
        dy = y - (numbers[3 * k + 2] % (reach * 19) - reach * 9)
        field += (size * size * 256) // (dx * dx + dy * dy + 32)
    return np.clip((field - 260) * 2, 0, 256)


def _mark(x: np.ndarray, y: np.ndarray, reach: int, numbers: list) -> np.ndarray:
    """A few pen strokes of 1 to 2 px. -> cover 0..256"""
    cos, sin = ((16, 0), (15, 6), (11, 11), (6, 15), (0, 16), (-6, 15), (-11, 11), (-15, 6))[numbers[0] % 8]
    u, v = (x * cos + y * sin) >> 4, (y * cos - x * sin) >> 4
    half = 8 + numbers[1] % 8  # 1/16 px
    cover = np.zeros(u.shape, np.int32)
    for x0, y0, x1, y1 in _MARKS[numbers[2] % len(_MARKS)]:
        x0, y0, x1, y1 = (value * reach for value in (x0, y0, x1, y1))  # reach/2 px is 8 * reach sixteenths
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((u - x0) * dx + (v - y0) * dy) * 64 // (dx * dx + dy * dy), 0, 64)
        ex, ey = u - x0 - (along * dx >> 6), v - y0 - (along * dy >> 6)
        cover = np.maximum(cover, 128 + (half * half - ex * ex - ey * ey) * 8 // half)
    return np.clip(cover, 0, 256)


def _shade(x: np.ndarray, y: np.ndarray, reach: int, numbers: list) -> np.ndarray:
    """A soft ellipse. -> cover 0..256"""
    cos, sin = ((16, 0), (11, 11), (0, 16), (-11, 11))[numbers[0] % 4]
    u, v = (x * cos + y * sin) >> 4, (y * cos - x * sin) >> 4
    flat = 2 + numbers[1] % 3
    square = (u * u + v * v * flat) * 256 // (reach * reach * 256)
    return np.clip((256 - square) * 2, 0, 256)
