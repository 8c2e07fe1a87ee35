"""The glyph atlas: one mask per class, drawn once from DejaVu Sans and kept in the repository (tables/glyphs.png).

Rendering never touches a font, so that every machine draws the same bytes. `python -m lib.world.atlas` draws the atlas
again, which is needed only when tables/classes.csv gains a class.
"""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

TABLES = Path(__file__).parent / "tables"
CELL = 128  # texels; a glyph's longer side spans 2 * EXTENT of them, centred
EXTENT = 52
COLUMNS = 12
CLIP = 120  # distances are clipped to +-CLIP eighths of a texel


class Glyph(NamedTuple):
    """Signed distances to the edge, eighths of a texel, positive inside, int16 [CELL * CELL].

    `body` is the hole-filled silhouette. `lines` is the ink drawn on it: strokes of a line glyph, or the light lines
    inside a solid one (a knight's eye); `lines` is None where the silhouette says it all.
    """

    body: np.ndarray
    lines: np.ndarray | None
    solidity: float  # share of the glyph's box that the silhouette covers


@cache
def rows() -> tuple[dict, ...]:
    """Rows of tables/classes.csv, in order; the row number is the class index."""
    with open(TABLES / "classes.csv", newline="") as file:
        return tuple(csv.DictReader(file))


@cache
def badge_rows() -> tuple[dict, ...]:
    """Rows of tables/badges.csv, in order; their class indices follow those of the glyphs."""
    with open(TABLES / "badges.csv", newline="") as file:
        return tuple(csv.DictReader(file))


@cache
def _masks() -> np.ndarray:
    from PIL import Image

    sheet = np.asarray(Image.open(TABLES / "glyphs.png"))
    height, width = sheet.shape
    cells = sheet.reshape(height // CELL, CELL, width // CELL, CELL).swapaxes(1, 2).reshape(-1, CELL, CELL)
    if len(cells) < len(rows()):
        raise ValueError(f"glyphs.png has {len(cells)} cells for {len(rows())} classes; run python -m lib.world.atlas")
    return cells


def signed_distance(mask: np.ndarray) -> np.ndarray:
    """Distances to the edge of a mask, bool [CELL, CELL]: eighths of a texel, positive inside, int16, raveled."""
    from scipy.ndimage import distance_transform_edt

    outside = np.pad(mask, 1)  # the frame around the cell counts as outside
    inner = distance_transform_edt(outside)[1:-1, 1:-1]
    outer = distance_transform_edt(~outside)[1:-1, 1:-1]
    distance = np.where(mask, inner - 0.5, 0.5 - outer)
    return np.clip(np.rint(distance * 8), -CLIP, CLIP).astype(np.int16).ravel()


@cache
def glyph(name: str) -> Glyph:
    """Distances of one glyph class. Raises KeyError with the known names where `name` is none of them."""
    ink, body = _ink(name)
    span = body.any(0).sum() * body.any(1).sum()
    lines = ink if is_line(name) else body & ~ink
    return Glyph(signed_distance(body), signed_distance(lines) if lines.any() else None, float(body.sum() / span))


@cache
def _ink(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Ink and hole-filled silhouette of a glyph class, bool [CELL, CELL]."""
    from scipy.ndimage import binary_fill_holes

    index = class_index(name)
    if index >= len(rows()):
        raise KeyError(f"'{name}' is a badge: it is composed by badges.shape and has no glyph")
    ink = _masks()[index] >= 128
    return ink, binary_fill_holes(ink)


@cache
def is_line(name: str) -> bool:
    """Whether a glyph is drawn in strokes rather than as a solid silhouette."""
    ink, body = _ink(name)
    return not ink.sum() > 0.6 * body.sum()


@cache
def _indices() -> dict[str, int]:
    return {row["name"]: index for index, row in enumerate((*rows(), *badge_rows()))}


def class_index(name: str) -> int:
    """Index of a class name: its row in tables/classes.csv, or after those its row in tables/badges.csv."""
    if name not in _indices():
        raise KeyError(f"'{name}' is no class of tables/classes.csv or badges.csv; known: {', '.join(_indices())}")
    return _indices()[name]


def class_names() -> tuple[str, ...]:
    """Names of all classes, glyphs and then badges, in the order of their indices."""
    return tuple(_indices())


def draw() -> None:
    """Draw tables/glyphs.png from matplotlib's DejaVu Sans."""
    import matplotlib
    from matplotlib.ft2font import FT2Font
    from PIL import Image

    path = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
    cells = []
    for row in rows():
        font = FT2Font(str(path))
        font.set_size(640, 72)
        font.set_text(chr(int(row["code"], 16)))
        font.draw_glyphs_to_bitmap(antialiased=True)
        ink = np.asarray(font.get_image())
        ys, xs = np.nonzero(ink > 127)
        ink = ink[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        scale = 2 * EXTENT / max(ink.shape)
        size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
        small = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BOX))
        cell = np.zeros((CELL, CELL), np.uint8)
        top, left = (CELL - small.shape[0]) // 2, (CELL - small.shape[1]) // 2
        cell[top : top + small.shape[0], left : left + small.shape[1]] = small
        cells.append(cell)
    cells += [np.zeros((CELL, CELL), np.uint8)] * (-len(cells) % COLUMNS)
    sheet = np.array(cells).reshape(-1, COLUMNS, CELL, CELL).swapaxes(1, 2).reshape(-1, COLUMNS * CELL)
    Image.fromarray(sheet).save(TABLES / "glyphs.png", optimize=True)


if __name__ == "__main__":
    draw()
