"""From the scene to the picture: style of the whole picture, light, grain. Planar int32 [3, 64, 64] inside."""

import math
from functools import lru_cache

import numpy as np

from lib.world.spec import SIDE, Light, Spec
from lib.world.textures import shades


class Grain:
    """Small random numbers as `Generator.integers` draws them, several times faster.

    numpy multiplies a number of the bit stream, of the width of `dtype`, by the number of values, takes the upper half
    and rejects a few lower halves (Lemire 2019); every call starts on a fresh 32-bit word.
    """

    def __init__(self, seed: int):
        self.bits, self.stream = np.random.PCG64(seed), np.zeros(0, np.uint32)

    def integers(self, low: int, high: int, shape: tuple, dtype=np.int8) -> np.ndarray:
        """Uniform in low..high-1. dtype int8 or int32."""
        narrow, wide, width = (np.uint8, np.uint16, 1) if dtype == np.int8 else (np.uint32, np.uint64, 4)
        count, span = math.prod(shape), high - low
        need = (count + count // 16 + 64) * width // 4  # 32-bit words
        while True:
            if len(self.stream) < need:
                fresh = self.bits.random_raw((need - len(self.stream) + 1) // 2).astype("<u8", copy=False)
                self.stream = np.concatenate([self.stream, fresh.view(np.uint32)])
            product = self.stream[:need].view(narrow).astype(wide)
            product *= wide(span)
            good = product.astype(narrow) >= 256**width % span
            stop = count
            while stop < len(good) and (missing := count - np.count_nonzero(good[:stop])):
                stop += missing
            if np.count_nonzero(good[:stop]) == count:
                break
            need *= 2
        self.stream = self.stream[(stop - 1) * width // 4 + 1 :]
        product >>= wide(8 * width)
        values = product[:stop].astype(dtype)[good[:stop]]
        values += low
        return values.reshape(shape)


def expose(image: np.ndarray, inst: np.ndarray, spec: Spec) -> np.ndarray:
    """Style of the whole picture, light and grain. int32 [3, 64, 64] -> u8 [64, 64, 3]"""
    noise = Grain(spec.noise_seed)
    image = _finish(image, spec.style, noise)
    if spec.light != Light():
        image = _light(image, spec.light)
        if spec.light.backlit:
            from lib.world import optics

            image = image * optics.light_map(spec.light, inst) >> 8
    picture = np.empty((SIDE, SIDE, 3), np.int16)
    for channel in range(3):
        picture[..., channel] = image[channel]
    picture += noise.integers(-4, 5, picture.shape)
    return np.minimum(np.maximum(picture, 0, out=picture), 255, out=picture).astype(np.uint8)


def _finish(image: np.ndarray, style: str, noise: Grain) -> np.ndarray:
    """What a style does to the whole picture. int32 [3, 64, 64] -> int32."""
    if style == "inverted":
        return 255 - image
    if style == "sketch":
        grey = (image * np.array((77, 150, 29), np.int32)[:, None, None]).sum(0, dtype=np.int32) >> 8
        paper = 150 + (grey * 3 >> 3) + noise.integers(-9, 10, (SIDE, SIDE), np.int32)
        return (paper * 5 + image * 3) >> 3
    if style == "halftone":
        return (np.where(image > shades("screen"), 250, 24) * 11 + image * 5) >> 4
    if style == "photo":
        return image + noise.integers(-8, 9, (SIDE, SIDE, 3)).transpose(2, 0, 1)
    return image


def _light(image: np.ndarray, light: Light) -> np.ndarray:
    """Gain, gamma, cast and vignette through one table per channel. int32 [3, 64, 64] -> int32."""
    image = np.minimum(np.maximum(image, 0), 255)
    for channel, cast in enumerate(light.cast):
        image[channel] = _curve(light.gain * cast, light.gamma)[image[channel]]
    if light.vignette:
        loss = round(256 * light.vignette)
        image = image * (256 - (shades("corner") * loss >> 8)) >> 8
    return image


@lru_cache(maxsize=1024)
def _curve(gain: float, gamma: float) -> np.ndarray:
    values = [min(255, round(255 * gain * (value / 255) ** gamma)) for value in range(256)]
    return np.array(values, np.int32)
