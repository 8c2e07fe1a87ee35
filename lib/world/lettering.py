"""Written words: plates with small letters in scenes, and crops of words for readers.

The letters of 21 faces lie in the repository (tables/letters.png, masks of one bit; advances in tables/letters.csv), so
that every machine draws the same bytes. `python -m lib.world.lettering` draws them again from matplotlib's fonts
(DejaVu, STIX and Computer Modern; licences beside the tables).
"""

import csv
import math
from functools import cache, lru_cache

import numpy as np

from lib.world import atlas, clutter, optics
from lib.world.spec import SIDE, Word
from lib.world.textures import palette

CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,-&'!?:/()"
CELL_WIDTH, CELL_HEIGHT = 96, 64  # texels of the atlas
ORIGIN, BASELINE, ASCENT = 14, 46, 40  # column of the pen, row of the base line, height of a "d"
CLIP = 96  # distances are clipped to +-CLIP eighths of a texel
CROP = (32, 128)  # pixels of a reader crop
SCENE_FACE = "sans bold"
INK, PAPER = (34, 32, 38), (246, 244, 238)


# ---- the atlas


@cache
def rows() -> tuple[dict, ...]:
    """Rows of tables/letters.csv, in order; the row number is the index of a face."""
    with open(atlas.TABLES / "letters.csv", newline="") as file:
        return tuple({**row, "advances": tuple(map(int, row["advances"].split()))} for row in csv.DictReader(file))


@cache
def lexicon() -> tuple[dict, ...]:
    """Rows of tables/lexicon.csv: word, kind ("content": the name of a class, or "function"), class."""
    with open(atlas.TABLES / "lexicon.csv", newline="") as file:
        return tuple(csv.DictReader(file))


@cache
def faces(group: str) -> tuple[int, ...]:
    """Indices of the faces of set "F1" or "F2". The sets share no face and no family."""
    found = tuple(index for index, row in enumerate(rows()) if row["set"] == group)
    if not found:
        raise ValueError(f"face set '{group}' is unknown; choose F1 or F2")
    return found


@cache
def rows_by_name() -> dict[str, int]:
    """Name of a face -> its index."""
    return {row["name"]: index for index, row in enumerate(rows())}


@cache
def _sheet() -> np.ndarray:
    from PIL import Image

    sheet = np.asarray(Image.open(atlas.TABLES / "letters.png").convert("L")) > 127
    cells = sheet.reshape(len(rows()), CELL_HEIGHT, len(CHARACTERS), CELL_WIDTH).swapaxes(1, 2)
    return cells


@cache
def _letter(face: int, character: str) -> np.ndarray:
    """Signed distance to the edge of a letter in eighths of a texel, positive inside, int16 [64, 96]."""
    from scipy.ndimage import distance_transform_edt

    mask = np.pad(_sheet()[face, CHARACTERS.index(character)], 1)
    distance = np.where(mask, distance_transform_edt(mask) - 0.5, 0.5 - distance_transform_edt(~mask))
    return np.clip(np.rint(distance[1:-1, 1:-1] * 8), -CLIP, CLIP).astype(np.int16)


@lru_cache(4096)
def strip(text: str, face: int) -> np.ndarray:
    """A line of text as signed distances, eighths of a texel, int16 [64, W]. Raises ValueError for other characters."""
    unknown = sorted(set(text) - set(CHARACTERS) - {" "})
    if unknown:
        raise ValueError(f"'{text}' has characters without a letter: {unknown}; there are {CHARACTERS}")
    advances = rows()[face]["advances"]
    steps = [advances[CHARACTERS.index(c)] if c != " " else ASCENT * 3 // 8 for c in text]
    line = np.full((CELL_HEIGHT, sum(steps) + CELL_WIDTH), -CLIP, np.int16)
    pen = 0
    for character, step in zip(text, steps):
        if character != " ":
            cell = line[:, pen : pen + CELL_WIDTH]
            np.maximum(cell, _letter(face, character), out=cell)
        pen += step
    return line[:, ORIGIN // 2 : ORIGIN // 2 + pen + ORIGIN]


def draw_atlas() -> None:
    """Draw tables/letters.png and fill the advances of tables/letters.csv from matplotlib's fonts."""
    from pathlib import Path

    import matplotlib
    from matplotlib.ft2font import FT2Font, LoadFlags
    from PIL import Image

    fine = 8  # drawn this many times larger, then averaged
    sheet = np.zeros((len(rows()), CELL_HEIGHT, len(CHARACTERS), CELL_WIDTH), bool)
    for index, row in enumerate(rows()):
        font = FT2Font(str(Path(matplotlib.get_data_path(), "fonts/ttf", row["file"])))
        font.set_size(1000, 72)
        font.set_size(1000 * ASCENT * fine * 64 / font.load_char(ord("d"), LoadFlags.NO_HINTING).horiBearingY, 72)
        advances = []
        for column, character in enumerate(CHARACTERS):
            font.set_text(character, 0, flags=LoadFlags.NO_HINTING)
            font.draw_glyphs_to_bitmap(antialiased=True)
            ink = np.asarray(font.get_image())
            ys, xs = np.nonzero(ink > 127)
            ink = ink[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
            glyph = font.load_char(ord(character), LoadFlags.NO_HINTING)
            advances.append(round(glyph.linearHoriAdvance / 65536 / fine))
            cell = np.zeros((CELL_HEIGHT * fine, CELL_WIDTH * fine), np.uint8)
            left = ORIGIN * fine + round(glyph.horiBearingX / 64)
            top = BASELINE * fine - round(glyph.horiBearingY / 64)
            cell[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
            small = cell.reshape(CELL_HEIGHT, fine, CELL_WIDTH, fine).mean((1, 3))
            sheet[index, :, column] = small >= 128
        row["advances"] = advances
    picture = sheet.reshape(len(rows()) * CELL_HEIGHT, -1)
    Image.fromarray(picture).save(atlas.TABLES / "letters.png", optimize=True)
    with open(atlas.TABLES / "letters.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["name", "file", "set", "advances"], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "advances": " ".join(map(str, row["advances"]))} for row in rows())


# ---- words in scenes


def readable(colour: str, plate: str) -> bool:
    """Whether letters of `colour` stand out on `plate` (colour names, "black"; a plate of "" always will do)."""
    if not plate:
        return True
    tones = [int((_colour(name) * (77, 150, 29)).sum()) >> 8 for name in (colour, plate)]
    return abs(tones[0] - tones[1]) >= 75


def _colour(name: str) -> np.ndarray:
    return np.array(INK, np.int32) if name == "black" else palette(name)


def draw(image: np.ndarray, word: Word) -> tuple[np.ndarray, np.ndarray]:
    """Print a word into `image`, int32 [64, 64, 3], in place, tilted by up to 6 degrees and moved inside the picture.

    Words that would get longer than 60 px are squeezed. -> box f32 [4], xyxy in [0, 1], and
    mask bool [64, 64] of the plate (without a plate: of the letters and the halo that sets them off).
    """
    jitter = optics.generator(word.noise).integers(0, 1 << 16, 8).tolist()
    line = strip(word.text, rows_by_name()[SCENE_FACE])
    texels = ASCENT / word.height  # per px, upright
    width = min(line.shape[1] * 0.92 / texels, 57.0)
    half_x, half_y = width / 2 + 1.5, (ASCENT + 12) / texels / 2 + 1.2
    turn = math.radians(12 * jitter[0] / 65536 - 6)
    cos, sin = round(1024 * math.cos(turn)), round(1024 * math.sin(turn))
    reach_x = (half_x * cos + half_y * abs(sin)) / 1024 + 0.5
    reach_y = (half_y * cos + half_x * abs(sin)) / 1024 + 0.5
    cx = min(max(word.x * SIDE, reach_x), SIDE - reach_x) if reach_x < SIDE / 2 else SIDE / 2
    cy = min(max(word.y * SIDE, reach_y), SIDE - reach_y)
    left, right = max(0, math.floor(cx - reach_x)), min(SIDE, math.ceil(cx + reach_x))
    top, bottom = max(0, math.floor(cy - reach_y)), min(SIDE, math.ceil(cy + reach_y))
    x = np.arange(left * 64 + 16, right * 64, 32, dtype=np.int32)[None, :] - round(cx * 64)  # half pixels, in 1/64 px
    y = np.arange(top * 64 + 16, bottom * 64, 32, dtype=np.int32)[:, None] - round(cy * 64)
    u, v = (x * cos - y * sin) >> 10, (x * sin + y * cos) >> 10
    column = (u * round(line.shape[1] / width * 1024) >> 16) + line.shape[1] // 2
    row = (v * round(texels * 1024) >> 16) + CELL_HEIGHT // 2
    inside = (column >= 0) & (column < line.shape[1]) & (row >= 0) & (row < CELL_HEIGHT)
    texel = np.where(inside, row * line.shape[1] + column, 0)
    distance = np.where(inside, line.ravel()[texel], -CLIP).astype(np.int32)
    sharpness = round(32 * 256 * 2 / texels)
    letters = _shrink(np.clip(128 + (distance * sharpness >> 8), 0, 256))
    patch = image[top:bottom, left:right]
    ink = np.clip(_colour(word.colour) + np.array([(j * 17 >> 16) - 8 for j in jitter[1:4]], np.int32), 0, 255)
    if word.plate:
        bound_x, bound_y = round(half_x * 64), round(half_y * 64)
        edge = np.minimum(np.minimum(bound_x - np.abs(u), bound_y - np.abs(v)),
                          (bound_x + bound_y - 96 - np.abs(u) - np.abs(v)) * 181 >> 8)  # fmt: skip
        under = _shrink(np.clip(128 + edge * 8, 0, 256))
        rim = _shrink(np.clip(128 + (32 - np.abs(edge - 24)) * 8, 0, 256)) * 7 >> 3
        optics.blend(patch, palette(word.plate), under)
        optics.blend(patch, np.array(INK, np.int32), np.minimum(rim, under))
    else:
        under = _shrink(np.clip(128 + ((distance + round(9.0 * texels)) * sharpness >> 8), 0, 256))
        bright = int(ink.sum()) > 400
        optics.blend(patch, np.array(INK if bright else PAPER, np.int32), under * 13 >> 4)
    optics.blend(patch, ink, letters)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top:bottom, left:right] = under >= 128
    ys, xs = np.nonzero(mask)
    box = np.array((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), np.float32) / SIDE
    return box, mask


def _shrink(cover: np.ndarray) -> np.ndarray:
    """Mean of 2 x 2 half pixels."""
    return (cover[::2, ::2] + cover[1::2, ::2] + cover[::2, 1::2] + cover[1::2, 1::2]) >> 2


# ---- crops for readers


def crop(text: str, face: int, noise: int, wear: float = 1.0, logo: str = "") -> np.ndarray:
    """A reader's crop of printed text. -> u8 [32, 128, 3]

    `face` is an index into `rows()` (`faces("F1")`); "\\n" in the text starts a second line; "" gives a crop of the
    ground alone; `logo` is the name of a class drawn to the left. `noise` is the seed of colours, place, slant,
    perspective, blur, ragged and fading ink, clutter and grain; `wear` scales them, 0 is a clean black print.
    """
    if text.count("\n") > 1:
        raise ValueError(f"text {text!r} has more than two lines; a crop holds one or two")
    if not 0 <= wear <= 2:
        raise ValueError(f"wear {wear} is outside [0, 2]")
    random = optics.generator(noise)
    numbers = iter((random.integers(0, 1 << 16, 40) / 65536).tolist())
    paper, ink = _inks(numbers, wear)
    glow = optics.smooth(random, (3, 7), round(-28 * wear), round(28 * wear), CROP)
    planes = paper[:, None, None] + glow  # a long last axis makes numpy several times faster
    image = planes.transpose(1, 2, 0)
    blots = int(next(numbers) * 3.5 * wear)
    if blots:
        clutter.draw(image, blots, random)
    cover = None
    if logo:
        cover = _logo(logo)
    if text:
        letters = _lines(text, face, numbers, wear, bool(logo), random)
        cover = letters if cover is None else np.maximum(cover, letters)
    if cover is not None:
        fading = optics.smooth(random, (3, 12), round(-160 * wear), round(110 * wear), CROP)
        cover = _soften(cover, next(numbers) * wear, next(numbers))
        optics.blend(image, ink, cover * (256 - np.maximum(fading, 0)) >> 8)
    grain = round((2 + 12 * next(numbers) ** 2) * wear)
    planes += random.integers(-grain, grain + 1, planes.shape, dtype=np.int8)
    return np.ascontiguousarray(image.clip(0, 255), np.uint8)


def _inks(numbers, wear: float) -> tuple[np.ndarray, np.ndarray]:
    """Colours of paper and ink, int32 [3]; at wear 1 at least 52 grey levels apart, mostly above 100."""
    dark = [22 + 58 * next(numbers) * wear for _ in range(3)]
    light = [250 - 75 * next(numbers) * wear for _ in range(3)]
    middle, gap = 130 + 60 * (next(numbers) - 0.5) * wear, 1 - 0.45 * next(numbers) * min(wear, 1.2)
    dark, light = ([round(middle + (value - middle) * gap) for value in colour] for colour in (dark, light))
    if next(numbers) < 0.3 * wear:
        dark, light = light, dark
    return np.array(light, np.int32), np.array(dark, np.int32)


def _lines(text: str, face: int, numbers, wear: float, logo: bool, random) -> np.ndarray:
    """Cover (0..256) of one or two lines of text, squeezed where they are too long, int32 [32, 128]."""
    lines = [strip(line, face) for line in text.split("\n")]
    columns = max(line.shape[1] for line in lines)
    pitch = CELL_HEIGHT - 6
    block = np.full((pitch * (len(lines) - 1) + CELL_HEIGHT, columns), -CLIP, np.int16)
    for k, line in enumerate(lines):
        start = (columns - line.shape[1]) // 2
        part = block[k * pitch : k * pitch + CELL_HEIGHT, start : start + line.shape[1]]
        np.maximum(part, line, out=part)
    left, height, width = (31 if logo else 2), CROP[0], CROP[1]
    tall = height * (1 - 0.22 * next(numbers) * wear) if len(lines) == 1 else height - 0.0
    wide = columns * tall / len(block) * (1 + (0.4 * next(numbers) - 0.15) * wear)
    slant = 0.6 * (next(numbers) - 0.5) * wear * tall
    room = width - 2 - left - abs(slant) * 0.8
    wide = min(wide, room)
    x = left + (width - 2 - left - wide) / 2 + (next(numbers) - 0.5) * (room - wide) * min(wear, 1.0)
    y = (height - tall) / 2 + (next(numbers) - 0.5) * (height - tall)
    bend = [0.2 * next(numbers) * wear * tall for _ in range(4)]
    corners = ((x + slant / 2, y + bend[0]), (x + wide + slant / 2, y + bend[1]),
               (x + wide - slant / 2, y + tall - bend[2]), (x - slant / 2, y + tall - bend[3]))  # fmt: skip
    matrix = optics.inverse(optics.quad_map(tuple((px / width, py / width) for px, py in corners)))
    matrix = [m * columns for m in matrix[:3]] + [m * len(block) for m in matrix[3:6]] + matrix[6:]
    step = np.arange(width, dtype=np.int64) * (4096 // width) + 2048 // width
    column, row = optics.project(matrix, step[None, :], step[:height, None], 1.0)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < len(block))
    index = np.where(inside, row * columns + column, 0)
    distance = np.where(inside, block.ravel()[index], -CLIP).astype(np.int32)
    ragged = round(5 * wear)
    if ragged:
        distance += random.integers(-ragged, ragged + 1, CROP, dtype=np.int8)
    weight = round((next(numbers) - 0.35) * 14 * wear)
    per_pixel = round(32 * 256 * math.sqrt(tall / len(block) * wide / columns))
    return np.clip(128 + ((distance + weight) * per_pixel >> 8), 0, 256)


def _logo(name: str) -> np.ndarray:
    """Cover of a class's glyph, 25 px at the left of a crop."""
    glyph = atlas.glyph(name)
    x = (np.arange(CROP[1], dtype=np.int32) * 2 + 1 - 30) * (2 * atlas.EXTENT) // 50 + atlas.CELL // 2
    y = (np.arange(CROP[0], dtype=np.int32) * 2 + 1 - CROP[0]) * (2 * atlas.EXTENT) // 50 + atlas.CELL // 2
    u, v = np.broadcast_arrays(x[None, :], y[:, None])
    inside = (u >= 0) & (u < atlas.CELL) & (v >= 0) & (v < atlas.CELL)
    texel = np.where(inside, v * atlas.CELL + u, 0)
    cover = np.clip(128 + np.where(inside, glyph.body[texel], -atlas.CLIP).astype(np.int32) * 8, 0, 256)
    if glyph.lines is not None:
        lines = np.clip(128 + glyph.lines[texel].astype(np.int32) * 8 + 40, 0, 256)
        cover = np.where(inside, lines if glyph.solidity < 0.45 else np.maximum(cover - lines, 0), 0)
    return cover


def _soften(cover: np.ndarray, strength: float, place: float) -> np.ndarray:
    """Blur by up to about 1 px, in a fifth of the crops only to the right of `place`. int32 [32, 128]"""
    amount = round(256 * min(strength * strength, 1.0))
    if amount < 8:
        return cover
    blurred = cover.copy()
    for _ in range(2):
        blurred[1:-1] = (blurred[:-2] + 2 * blurred[1:-1] + blurred[2:] + 2) >> 2
        blurred[:, 1:-1] = (blurred[:, :-2] + 2 * blurred[:, 1:-1] + blurred[:, 2:] + 2) >> 2
    if place > 0.8:
        amount = amount * np.clip((np.arange(CROP[1], dtype=np.int32) - round(640 * (place - 0.8))) * 10, 0, 256) >> 8
    return cover + ((blurred - cover) * amount >> 8)


def two_lines(text: str, longest: int = 12) -> str:
    """Break a text of more than `longest` characters at the space nearest its middle; others come back unchanged."""
    spaces = [i for i, character in enumerate(text) if character == " "]
    if len(text) <= longest or not spaces:
        return text
    middle = min(spaces, key=lambda i: abs(2 * i - len(text)))
    return text[:middle] + "\n" + text[middle + 1 :]


if __name__ == "__main__":
    draw_atlas()
