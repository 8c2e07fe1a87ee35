"""Small inputs that many tests make: unit rows, folders of pictures."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of x [..., D] at length 1."""
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def noise_pictures(root: Path, names: Iterable[str], count: int, size: tuple[int, int] = (16, 16)) -> Path:
    """Write `count` pictures of noise into root/<name> for each name, of size (height, width); returns root."""
    rng = np.random.default_rng(0)
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for k in range(count):
            Image.fromarray(rng.integers(0, 256, (*size, 3)).astype(np.uint8)).save(root / name / f"{k}.png")
    return root
