"""What scenes are made of: the distribution of every preset, and `sample`, which draws a Spec from one."""

import math
import zlib
from dataclasses import dataclass, field, fields, replace
from functools import cache

import numpy as np

from lib.world import atlas
from lib.world.spec import SIDE, Background, Light, Object, Spec
from lib.world.textures import MATERIALS, PATTERNS, colours

BASE_STYLES = {"sticker": 0.55, "ink": 0.2, "outline": 0.15, "photo": 0.1}
HELD_OUT_STYLES = ("sketch", "halftone", "inverted")
BASE_BACKGROUNDS = {"plain": 0.1, "gradient": 0.1, "striped": 0.08, "dotted": 0.07, "checked": 0.07}
BASE_BACKGROUNDS |= dict.fromkeys(MATERIALS, 0.0725)
FILL_RATES = {"plain": 0.5, "striped": 0.1, "dotted": 0.1, "checked": 0.1, "gridded": 0.1, "speckled": 0.1}
# twenty solid classes of different families, none with a natural colour
OBJECT_CLASSES = (
    "cloud", "rook", "knight", "spade", "diamond", "club", "gear", "wheel", "telephone", "envelope",
    "coffin", "urn", "flower", "victory hand", "smiling face", "skull", "yin yang", "peace sign", "cow", "cat",
)  # fmt: skip


@cache
def base_classes() -> tuple[str, ...]:
    """Names of the classes that base training may show: all but the zodiac (role Z)."""
    return tuple(row["name"] for row in atlas.rows() if "Z" not in row["roles"])


@cache
def solid_classes() -> tuple[str, ...]:
    """Names of the solid classes (role S)."""
    return tuple(row["name"] for row in atlas.rows() if "S" in row["roles"])


@cache
def natural_colour(name: str) -> str:
    """Typical colour of a class with role N, else the empty string."""
    return atlas.rows()[atlas.class_index(name)]["natural_colour"]


@cache
def held_out_pair(name: str, value: str) -> bool:
    """Whether a (class, attribute value) pair never enters base training: one pair in seven, by hash."""
    return value != "plain" and value != natural_colour(name) and zlib.crc32(f"{name}|{value}".encode()) % 7 == 0


@dataclass(frozen=True)
class Preset:
    """Distribution of a scene. Rates are probabilities; weights need not sum to one."""

    classes: tuple = field(default_factory=base_classes)
    num_objects: dict = field(default_factory=lambda: {1: 0.6, 2: 0.25, 3: 0.06, 4: 0.04, 5: 0.03, 6: 0.02})
    same_class: float = 0.1  # scenes that show 2 to 6 objects of one class
    styles: dict = field(default_factory=lambda: dict(BASE_STYLES))
    backgrounds: dict = field(default_factory=lambda: dict(BASE_BACKGROUNDS))
    fills: dict = field(default_factory=lambda: dict(FILL_RATES))
    radius: tuple = (8.0, 26.0)  # px, of a single object; more objects are smaller
    free_position: bool = True  # False: in the centre
    turn: float = 0.08  # objects turned by 90, 180 or 270 degrees
    mirrored: float = 0.1
    tilt: float = 25.0  # degrees, uniform within +-tilt
    light: float = 0.15  # scenes with changed light
    natural: float = 0.9  # objects of a class with a natural colour that have it
    held_out_pairs: bool = False  # whether (class, attribute) pairs kept from the base may occur


PRESETS = {
    "scenes/base": Preset(),
    "objects/plain": Preset(
        classes=OBJECT_CLASSES, num_objects={1: 1.0}, same_class=0.0,
        styles=dict.fromkeys((*BASE_STYLES, *HELD_OUT_STYLES), 1.0), backgrounds={"plain": 1.0}, fills={"plain": 1.0},
        radius=(19.0, 21.0), free_position=False, turn=0.0, mirrored=0.0, tilt=4.0, light=0.0, held_out_pairs=True,
    ),
    "objects/styles": Preset(
        classes=OBJECT_CLASSES, num_objects={1: 1.0}, same_class=0.0,
        styles=dict.fromkeys(("sticker", *HELD_OUT_STYLES), 1.0),
        radius=(13.0, 24.0), turn=0.0, mirrored=0.3, light=0.35, held_out_pairs=True,
    ),
}  # fmt: skip


def preset(name: str, **overrides) -> Preset:
    """The distribution of a preset with some fields replaced. Raises ValueError with the known names."""
    if name not in PRESETS:
        raise ValueError(f"preset '{name}' is unknown; choose one of {', '.join(PRESETS)}")
    unknown = set(overrides) - {f.name for f in fields(Preset)}
    if unknown:
        raise ValueError(
            f"a preset has no field {sorted(unknown)}; fields: {', '.join(f.name for f in fields(Preset))}"
        )
    return replace(PRESETS[name], **overrides) if overrides else PRESETS[name]


class _Draws:
    """Uniform numbers from one generator, drawn in blocks because single draws are slow."""

    def __init__(self, rng: np.random.Generator):
        self.rng, self.block = rng, iter(())

    def __call__(self) -> float:
        for value in self.block:
            return value
        self.block = iter(self.rng.random(64).tolist())
        return next(self.block)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self()

    def choose(self, options):
        """One of a sequence, or of a dict by weight."""
        if isinstance(options, dict):
            target = self() * sum(options.values())
            for option, weight in options.items():
                target -= weight
                if target < 0:
                    return option
            return option
        return options[int(self() * len(options))]

    def seed(self) -> int:
        return int(self() * (1 << 31))


def sample(name: str, rng: np.random.Generator, **overrides) -> Spec:
    """Draw a scene from preset `name` ("scenes/base"), with fields of `Preset` replaced by `overrides`."""
    rules = preset(name, **overrides)
    draw = _Draws(rng)
    style = draw.choose(rules.styles)
    same = draw() < rules.same_class
    count = 2 + int(draw() * 5) if same else draw.choose(rules.num_objects)
    names = _names(rules, draw, count, same)
    objects = _place([_object(n, rules, draw) for n in names], rules, draw)
    ground = _background(rules, draw, {thing.colour for thing in objects})
    light = _changed_light(draw) if draw() < rules.light else Light()
    return Spec(objects, ground, light, style=style, noise_seed=draw.seed())


def _names(rules: Preset, draw: _Draws, count: int, same: bool) -> list[str]:
    names = [draw.choose(rules.classes)]
    while len(names) < count:
        name = names[0] if same else draw.choose(rules.classes)
        if same or name not in names or len(rules.classes) < count:
            names.append(name)
    return names


def _object(name: str, rules: Preset, draw: _Draws) -> Object:
    natural = natural_colour(name)
    if natural and draw() < rules.natural:
        colour = natural
    else:
        colour = _allowed(name, list(colours()), rules, draw)
    fill = _allowed(name, rules.fills, rules, draw)
    second = draw.choose([c for c in ("white", "yellow", "blue", "red", "grey", "green") if c != colour])
    turn = (90.0, 180.0, 270.0)[int(draw() * 3)] if draw() < rules.turn else 0.0
    angle = round(turn + draw.between(-rules.tilt, rules.tilt), 1)
    return Object(name, colour, fill, second if fill != "plain" else "white", angle=angle,
                  mirrored=draw() < rules.mirrored, noise=draw.seed())  # fmt: skip


def _allowed(name: str, options, rules: Preset, draw: _Draws) -> str:
    while True:
        value = draw.choose(options)
        if rules.held_out_pairs or not held_out_pair(name, value):
            return value


def _place(objects: list[Object], rules: Preset, draw: _Draws) -> tuple[Object, ...]:
    """Give objects radius, place and layer; centres keep apart unless the scene has an overlapping pair."""
    count = len(objects)
    low, high = rules.radius
    if count > 1:
        low, high = min(low, 16.0 - 1.6 * count), min(high, 21.0 - 2.0 * count)
        low = max(low, 6.0)
    overlap = count == 2 and draw() < 0.2
    layers = sorted(range(1, 11), key=lambda _: draw())[:count]
    placed: list[Object] = []
    for thing, z in zip(objects, layers):
        best = None
        for _ in range(12):
            radius = round(draw.between(low, high), 1)
            margin = min(0.5, 0.85 * radius / SIDE)
            x, y = (
                (draw.between(margin, 1 - margin), draw.between(margin, 1 - margin))
                if rules.free_position
                else (0.5, 0.5)
            )
            gap = min((math.hypot(x - o.x, y - o.y) * SIDE / (radius + o.radius) for o in placed), default=9.0)
            if best is None or gap > best[0]:
                best = (gap, radius, x, y)
            if gap > (0.45 if overlap else 1.0):
                best = (gap, radius, x, y)
                break
        placed.append(replace(thing, radius=best[1], x=round(best[2], 3), y=round(best[3], 3), z=z))
    return tuple(placed)


def _background(rules: Preset, draw: _Draws, taken: set) -> Background:
    name = draw.choose(rules.backgrounds)
    if name not in PATTERNS:
        return Background(name, noise=draw.seed())
    free = [c for c in colours() if c not in taken and not (name == "plain" and c in ("grey", "brown"))]
    first = draw.choose(free)
    second = draw.choose([c for c in free if c != first]) if name != "plain" else "white"
    return Background(name, first, second, draw.seed())


def _changed_light(draw: _Draws) -> Light:
    word = ("dark", "dim", "bright")[int(draw() * 3)]
    gain = draw.between(*{"dark": (0.25, 0.45), "dim": (0.5, 0.72), "bright": (1.35, 1.75)}[word])
    cast = tuple(round(draw.between(0.9, 1.1), 2) for _ in range(3))
    gamma, vignette = draw.between(0.85, 1.2), draw.between(0, 0.5)
    return Light(round(gain, 2), round(gamma, 2), cast, round(vignette, 2), word)
