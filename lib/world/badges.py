"""Badges: compound objects of a body, an emblem, a band, a cap and a mark, whose names are invented ("dax disc").

`tables/badges.csv` has the 24 classes, 6 groups of 4 that differ in one or two parts; `tables/badge_parts.csv` has
every part with its phrase. A new class is a row; a new part is a row and a function of this module. Shapes are integer
inequalities on the atlas cell, x, y in half texels from its centre, so that a badge is drawn by the machinery that
draws glyphs. The same marks, on a pale edge, are the identity marks of other objects (`Object.mark`).
"""

import csv
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from lib.world import atlas
from lib.world.spec import Object

PARTS = ("emblem", "band", "cap", "mark")  # beside the body
NONE = "none"  # the value of a part that is left out
BODY, SECOND, BARE = 0, 1, 2  # zones: the object's colour with its fill, its second colour, its colour without the fill
HALO = 27  # eighths of a texel of pale edge around a mark
MARK_SIZES = {"small": 9, "": 12, "large": 16}  # texels from the middle of a mark to its end
_SEAL = 11  # the same, of the mark on a badge


class Badge(NamedTuple):
    """Texel fields of one badge, each [CELL * CELL]."""

    body: np.ndarray  # int16 signed distances (eighths of a texel) of the whole silhouette, cap included
    lines: np.ndarray  # int16, of the ink: emblem, texture of the band, edges of the parts
    mark: np.ndarray | None  # int16, of the mark
    zones: np.ndarray  # u8: BODY, SECOND or BARE
    parts: np.ndarray  # u8: 0 outside, 1 body, k + 2 for PARTS[k]


# ---- tables


@cache
def rows() -> dict[str, dict]:
    """Rows of tables/badges.csv by name: name, group, the five parts, word (invented), noun (of the body), aliases
    (further invented words that no caption uses), captioned (share of captions that may say the invented word)."""
    return {row["name"]: row for row in atlas.badge_rows()}


@cache
def names() -> tuple[str, ...]:
    """Names of the badge classes in the order of the table."""
    return tuple(rows())


@cache
def group(number: int) -> tuple[str, ...]:
    """Names of the classes of a group, 1 to 6."""
    return tuple(name for name, row in rows().items() if int(row["group"]) == number)


@cache
def values(part: str) -> dict[str, str]:
    """Value -> phrase of the values of a part: "body" or one of PARTS. Raises ValueError for another part."""
    with open(atlas.TABLES / "badge_parts.csv", newline="") as file:
        found = {row["value"]: row["phrase"] for row in csv.DictReader(file) if row["part"] == part}
    if not found:
        raise ValueError(f"part '{part}' is unknown; choose body or one of {', '.join(PARTS)}")
    return found


@lru_cache(maxsize=1024)
def parts(name: str, changes: tuple = ()) -> dict[str, str]:
    """Part -> value of a badge, body first, with (part, value) pairs of `Object.parts` replaced; parts that are "none"
    are left out. Raises ValueError for an unknown part or value."""
    row = rows()[name]
    found = {part: row[part] for part in ("body", *PARTS)}
    for part, value in changes:
        if part not in PARTS:
            raise ValueError(f"part '{part}' of {name} cannot be changed; choose one of {', '.join(PARTS)}")
        if value != NONE and value not in values(part):
            raise ValueError(f"{part} '{value}' of {name} is unknown; choose {', '.join(values(part))} or {NONE}")
        found[part] = value
    return {part: value for part, value in found.items() if value != NONE}


def phrases(thing: Object) -> dict[str, str]:
    """Part -> noun phrase without article, with the colour that the part shows ("white striped band").

    The body has `colour`, band and cap have `fill_colour`; emblem and mark are dark on any badge and get no colour.
    """
    colours = {"body": thing.colour + " ", "band": thing.fill_colour + " ", "cap": thing.fill_colour + " "}
    return {part: colours.get(part, "") + values(part)[value] for part, value in parts(thing.name, thing.parts).items()}


def differences(one: str, other: str) -> dict[str, tuple[str, str]]:
    """Part -> the two values, of the parts in which two classes differ."""
    first, second = parts(one), parts(other)
    return {part: (first[part], second[part]) for part in first if first[part] != second[part]}


# ---- shapes

_AXIS = 2 * np.arange(atlas.CELL, dtype=np.int32) - (atlas.CELL - 1)
_x, _y = _AXIS[None, :], _AXIS[:, None]
_MIDDLE = 20  # y of the middle of a body
_LAYOUT = {  # body -> y of the emblem's middle, its half size; y of the band's upper and lower edge
    "disc": (-12, 38, 34, 76), "shield": (-16, 38, 30, 70), "tile": (-14, 40, 36, 80),
    "lozenge": (-8, 34, 30, 66), "arch": (-8, 38, 38, 80), "banner": (-16, 38, 32, 74),
}  # fmt: skip


def _disc(cx: int, cy: int, radius: int) -> np.ndarray:
    return (_x - cx) ** 2 + (_y - cy) ** 2 <= radius * radius


def _box(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    return (_x >= left) & (_x <= right) & (_y >= top) & (_y <= bottom)


def _body(name: str) -> np.ndarray:
    x, y = np.abs(_x), _y - _MIDDLE
    if name == "disc":
        return _disc(0, _MIDDLE, 84)
    if name == "shield":
        return (x <= 78) & (y >= -80) & ((y <= -10) | ((x + 24) ** 2 + (y + 10) ** 2 <= 102**2))
    if name == "tile":
        dx, dy = np.maximum(x - 56, 0), np.maximum(np.abs(y) - 60, 0)
        return dx * dx + dy * dy <= 22 * 22
    if name == "lozenge":
        return x * 84 + np.abs(y) * 100 <= 84 * 100
    if name == "arch":
        return (y <= 82) & (x <= 72) & ((y >= -12) | (_x * _x + (y + 12) ** 2 <= 72 * 72))
    if name == "banner":
        return (x <= 68) & (y >= -80) & (y <= 56 + x * 28 // 68)
    raise ValueError(f"body '{name}' has no shape")


def _cap(name: str) -> np.ndarray:
    if name == "knob":
        return _disc(0, -82, 21) | _box(-9, -82, 9, -54)
    if name == "crown":
        fold = np.abs(_x) % 42
        return _box(-44, -104, 44, -54) & (_y >= -103 + np.minimum(fold, 42 - fold) * 3 // 2)
    if name == "horns":
        return _disc(0, -98, 48) & ~_disc(0, -112, 38) & (_y >= -103) | _box(-12, -60, 12, -52)
    if name == "loop":
        return _disc(0, -80, 24)
    if name == "spire":
        return (_y >= -103) & (_y <= -54) & (np.abs(_x) * 8 <= (_y + 103) * 5)
    raise ValueError(f"cap '{name}' has no shape")


def _texture(name: str, top: int) -> np.ndarray:
    """Ink of a band's texture over the whole cell."""
    x, y = _x + 240, _y - top + 240  # positive, in half texels
    if name == "striped":
        return (x + y) % 30 < 13
    if name == "dotted":
        dx, dy = (x + 12 * (y // 22 & 1)) % 24 - 12, y % 22 - 11
        return dx * dx + dy * dy < 56
    if name == "checked":
        return ((x // 18 + (y + 6) // 18) & 1) == 1
    return np.zeros((atlas.CELL, atlas.CELL), bool)


def _mark(name: str, cx: int, cy: int, reach: int) -> np.ndarray:
    """A mark around (cx, cy), half texels."""
    x, y = np.abs(_x - cx), _y - cy
    if name == "dot":
        return x * x + y * y <= (reach * 7 // 8) ** 2
    if name == "ring":
        return (x * x + y * y <= reach * reach) & (x * x + y * y >= (reach * 9 // 16) ** 2)
    if name == "bar":
        return (x <= reach * 5 // 4) & (np.abs(y) <= reach * 3 // 8)
    if name == "plus":
        return (np.maximum(x, np.abs(y)) <= reach) & (np.minimum(x, np.abs(y)) <= reach * 5 // 16)
    if name == "wedge":
        return (y <= reach * 7 // 8) & (x * 9 <= (y + reach) * 5)
    if name == "two dots":
        return (x - reach * 3 // 4) ** 2 + y * y <= (reach * 9 // 16) ** 2
    raise ValueError(f"mark '{name}' has no shape")


def _emblem(name: str, cy: int, half: int) -> tuple[np.ndarray, np.ndarray]:
    """Silhouette and ink of a glyph shrunk to `half` half texels from its middle (0, cy) to its end."""
    glyph = atlas.glyph(name)
    cell = np.full((2, atlas.CELL, atlas.CELL), -atlas.CLIP, np.int16)
    cell[0] = glyph.body.reshape(atlas.CELL, atlas.CELL)
    if glyph.lines is not None:
        cell[1] = glyph.lines.reshape(atlas.CELL, atlas.CELL)
    column = (_x * 2 * atlas.EXTENT // half + atlas.CELL - 1) // 2
    row = ((_y - cy) * 2 * atlas.EXTENT // half + atlas.CELL - 1) // 2
    inside = (column >= 0) & (column < atlas.CELL) & (row >= 0) & (row < atlas.CELL)
    body, lines = np.where(inside, cell[:, np.clip(row, 0, atlas.CELL - 1), np.clip(column, 0, atlas.CELL - 1)], -120)
    silhouette = body > 0
    thick = 8 * 2 * atlas.EXTENT // half  # strokes of line glyphs stay at least two texels wide
    ink = lines > 8 - thick if atlas.is_line(name) else silhouette & ~(lines > 0)
    return silhouette, ink & (body > -thick)


@lru_cache(maxsize=512)
def shape(name: str, changes: tuple = ()) -> Badge:
    """Texel fields of a badge, with parts replaced as in `parts`."""
    made = parts(name, changes)
    ey, half, top, bottom = _LAYOUT[made["body"]]
    body = _body(made["body"])
    ids = body.astype(np.uint8)
    zones = np.where(body, BODY, SECOND).astype(np.uint8)
    ink = np.zeros_like(body)
    if "band" in made:
        band = body & (_y >= top) & (_y <= bottom)
        ids[band], zones[band] = 2 + PARTS.index("band"), SECOND
        ink |= band & (_texture(made["band"], top) | _edge(band))
    if "emblem" in made:
        silhouette, strokes = _emblem(made["emblem"], ey, half)
        zones[body & (zones == BODY) & (_distance(silhouette) > -40)] = BARE
        ids[silhouette & body] = 2 + PARTS.index("emblem")
        ink |= strokes & body
    if "cap" in made:
        cap = _cap(made["cap"])
        ids[cap], zones[cap] = 2 + PARTS.index("cap"), SECOND
        ink = (ink & ~cap) | (_edge(cap) & (cap | body))
        if made["cap"] == "loop":
            ink |= _disc(0, -80, 12)
        body = body | cap
    mark = None
    if "mark" in made:
        mark = _distance(_mark(made["mark"], 0, (top + bottom) // 2, 2 * _SEAL))
    return Badge(*(a.ravel() if a is not None else None for a in (_distance(body), _distance(ink), mark, zones, ids)))


def _distance(mask: np.ndarray) -> np.ndarray:
    return atlas.signed_distance(mask).reshape(atlas.CELL, atlas.CELL)


def _edge(mask: np.ndarray) -> np.ndarray:
    return np.abs(_distance(mask)) <= 10


# ---- identity marks


def split_mark(mark: str) -> tuple[str, str]:
    """Size word ("" for the middle size) and shape of an identity mark such as "large ring". Raises ValueError."""
    size, _, name = mark.rpartition(" ") if mark not in values("mark") else ("", "", mark)
    for prefix in ("small", "large"):
        if mark.startswith(prefix + " "):
            size, name = prefix, mark[len(prefix) + 1 :]
    if name not in values("mark") or size not in MARK_SIZES:
        raise ValueError(f"mark '{mark}' is unknown; choose one of {', '.join(values('mark'))}, with small or large")
    return size, name


@lru_cache(maxsize=512)
def identity_mark(name: str, mark: str) -> np.ndarray:
    """Signed distances of a mark at the place that the class has for it: inside, clear of lines, to the lower right.

    int16 [CELL * CELL]
    """
    size, kind = split_mark(mark)
    reach = MARK_SIZES[size]
    glyph = atlas.glyph(name)
    clear = glyph.body if glyph.lines is None else np.minimum(glyph.body, 40 - glyph.lines)
    clear = clear.reshape(atlas.CELL, atlas.CELL).astype(np.int32)
    room = np.minimum(clear, 8 * MARK_SIZES["large"]) * 16 - 2 * (np.abs(_x - 36) + np.abs(_y - 36))
    row, column = divmod(int(room.argmax()), atlas.CELL)
    return _distance(_mark(kind, int(_AXIS[column]), int(_AXIS[row]), 2 * reach)).ravel()
