"""Draw scenes: `sample` gives a Spec from the distribution of a preset (`presets_table` has them all)."""

import math
from dataclasses import replace

import numpy as np

from lib.world import badges, damage, lettering
from lib.world.presets_table import (
    BASE_STYLES,
    HELD_OUT_STYLES,
    OBJECT_CLASSES,
    PRESETS,
    TEXTURES,
    Preset,
    base_classes,
    held_out_pair,
    natural_colour,
    preset,
    role,
    solid_classes,
    usual_value,
)
from lib.world.spec import SIDE, Background, Corruption, Light, Object, Spec, Word
from lib.world.textures import PATTERNS, colours

__all__ = ["BASE_STYLES", "HELD_OUT_STYLES", "OBJECT_CLASSES", "PRESETS", "TEXTURES", "Draws", "Preset",
           "base_classes", "held_out_pair", "natural_colour", "preset", "role", "sample", "solid_classes",
           "usual_value"]  # fmt: skip


class Draws:
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
    draw = Draws(rng)
    style = draw.choose(rules.styles)
    same = draw() < rules.same_class
    count = 2 + int(draw() * 5) if same else draw.choose(rules.num_objects)
    names = _names(rules, draw, count, same)
    objects = [_object(n, rules, draw) for n in names]
    objects = _in_cells(objects, rules, draw) if rules.grid else _place(objects, rules, draw)
    ground = _background(rules, draw, {thing.colour for thing in objects}, names[0] if names else "")
    light = _changed_light(draw) if draw() < rules.light else Light()
    spec = Spec(objects, ground, light, style=style, noise_seed=draw.seed())
    return _extras(spec, rules, draw)


def _extras(spec: Spec, rules: Preset, draw: Draws) -> Spec:
    """What only some presets have: badge, damage, words, clutter, corruption. Others draw no number here."""
    if rules.badges and spec.objects and draw() < rules.badges:
        badge = replace(spec.objects[0], name=draw.choose(badges.names()), fill="plain", fill_colour="white",
                        radius=max(spec.objects[0].radius, 15.0), mirrored=False)  # fmt: skip
        spec = spec.replace(objects=(badge, *spec.objects[1:]))
    if rules.damage:
        spec = _damaged(spec, rules, draw)
    if rules.words:
        rows = [row["word"] for row in lettering.lexicon()]
        spec = spec.replace(words=tuple(_word(draw.choose(rows), rules, draw) for _ in range(draw.choose(rules.words))))
    if rules.clutter[1]:
        low, high = rules.clutter
        spec = spec.replace(clutter=low + int(draw() * (high - low + 1)))
    if rules.corruption and draw() < rules.corruption:
        spoilt = Corruption(draw.choose(("blur", "noise")), round(0.6 * draw(), 2), draw.seed())
        spec = spec.replace(corruptions=(spoilt,))
    return spec


def _damaged(spec: Spec, rules: Preset, draw: Draws) -> Spec:
    """With probability `rules.damage` a defect on the first object of role A, as often the word that it has none."""
    fate = draw() / rules.damage
    targets = [i for i, thing in enumerate(spec.objects) if thing.name in role("A")]
    if fate >= 2 or not targets:
        return spec
    kind, state, seed = draw.choose(damage.KINDS), "damaged" if draw() < 0.5 else "", draw.seed()
    thing = replace(spec.objects[targets[0]], state="flawless" if fate >= 1 else state or kind)
    things = tuple(thing if i == targets[0] else other for i, other in enumerate(spec.objects))
    if fate >= 1:
        return spec.replace(objects=things)
    hurt = damage.place(kind, np.random.default_rng(seed), spec, targets[0])
    return spec.replace(objects=things, damage=(hurt,))


def _word(text: str, rules: Preset, draw: Draws) -> Word:
    plate = draw.choose(("white", "yellow", "grey", "blue", "red"))
    inks = [ink for ink in ("black", "red", "blue", "white", "green") if lettering.readable(ink, plate)]
    x, y = round(draw.between(0.25, 0.75), 3), round(draw.between(0.1, 0.9), 3)
    return Word(text, x, y, draw.choose(inks), plate, draw.seed(), rules.letters)


def _names(rules: Preset, draw: Draws, count: int, same: bool) -> list[str]:
    if rules.grid:  # two classes, 0 to 8 of each
        first = draw.choose(rules.classes)
        second = draw.choose([name for name in rules.classes if name != first])
        return [first] * int(draw() * 9) + [second] * int(draw() * 9)
    if not count:
        return []
    classes = rules.only or rules.classes
    ranks = {name: (k + 1.0) ** -rules.zipf for k, name in enumerate(classes)} if rules.zipf else classes
    names = [draw.choose(ranks)]
    if count > 1 and rules.usual.get("partner", 0) and draw() < rules.usual["partner"]:
        names.append(usual_value(rules, "partner", names[0]))
    while len(names) < count:
        name = names[0] if same else draw.choose(ranks)
        if same or name not in names or len(classes) < count:
            names.append(name)
    return names


def _object(name: str, rules: Preset, draw: Draws) -> Object:
    natural = natural_colour(name)
    if natural and draw() < rules.natural:
        colour = natural
    else:
        colour = _usually("colour", name, rules, draw) or _allowed(name, rules.colours or list(colours()), rules, draw)
    fill = _usually("fill", name, rules, draw) or _allowed(name, rules.fills, rules, draw)
    second = draw.choose([c for c in ("white", "yellow", "blue", "red", "grey", "green") if c != colour])
    if "texture" in rules.usual:
        fill, second = _usually("texture", name, rules, draw) or draw.choose(TEXTURES)
    turn = (90.0, 180.0, 270.0)[int(draw() * 3)] if draw() < rules.turn else 0.0
    angle = round(turn + draw.between(-rules.tilt, rules.tilt), 1)
    return Object(name, colour, fill, second if fill != "plain" else "white", angle=angle,
                  mirrored=draw() < rules.mirrored, noise=draw.seed())  # fmt: skip


def _usually(factor: str, name: str, rules: Preset, draw: Draws):
    """The usual value of a factor, with the probability that the preset gives it; else None."""
    share = rules.usual.get(factor)
    return usual_value(rules, factor, name) if share and draw() < share else None


def _allowed(name: str, options, rules: Preset, draw: Draws) -> str:
    while True:
        value = draw.choose(options)
        if rules.held_out_pairs or not held_out_pair(name, value):
            return value


def _place(objects: list[Object], rules: Preset, draw: Draws) -> tuple[Object, ...]:
    """Give objects radius, place and layer; centres keep apart unless the scene has an overlapping pair."""
    count = len(objects)
    low, high = rules.radius
    if count > 1:
        low, high = min(low, 16.0 - 1.6 * count), min(high, 21.0 - 2.0 * count)
        low = max(low, 6.0)
    if rules.spread:
        low, high = 0.7 * rules.spread / math.sqrt(count), rules.spread / math.sqrt(count)
    overlap = count == 2 and draw() < 0.2
    layers = sorted(range(1, 11), key=lambda _: draw())[:count]
    placed: list[Object] = []
    for thing, z in zip(objects, layers):
        best = None
        for _ in range(12):
            share = draw()
            share = (10 / z - 1) / 9 if rules.perspective else share
            radius = round(low + (high - low) * share, 1)
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


def _in_cells(objects: list[Object], rules: Preset, draw: Draws) -> tuple[Object, ...]:
    """Objects apart from each other in the cells of a 5 x 5 grid; their size says nothing about their number."""
    cells = sorted(range(25), key=lambda _: draw())
    radius = math.sqrt(rules.grid * draw.between(0.35, 1.0) / math.pi / max(1, len(objects)))
    radius = round(min(6.4, max(3.4, radius)), 1)
    slack = 6.4 - radius
    placed = []
    for z, (cell, thing) in enumerate(zip(cells, objects)):
        x = 12.8 * (cell % 5) + 6.4 + draw.between(-slack, slack)
        y = 12.8 * (cell // 5) + 6.4 + draw.between(-slack, slack)
        placed.append(replace(thing, radius=radius, x=round(x / SIDE, 3), y=round(y / SIDE, 3), z=1 + z % 10))
    return tuple(placed)


def _background(rules: Preset, draw: Draws, taken: set, main: str) -> Background:
    name = main and _usually("background", main, rules, draw) or draw.choose(rules.backgrounds)
    if name not in PATTERNS:
        return Background(name, noise=draw.seed())
    free = [c for c in colours() if c not in taken and not (name == "plain" and c in ("grey", "brown"))]
    first = draw.choose(free)
    second = draw.choose([c for c in free if c != first]) if name != "plain" else "white"
    return Background(name, first, second, draw.seed())


def _changed_light(draw: Draws) -> Light:
    word = ("dark", "dim", "bright")[int(draw() * 3)]
    gain = draw.between(*{"dark": (0.25, 0.45), "dim": (0.5, 0.72), "bright": (1.35, 1.75)}[word])
    cast = tuple(round(draw.between(0.9, 1.1), 2) for _ in range(3))
    gamma, vignette = draw.between(0.85, 1.2), draw.between(0, 0.5)
    return Light(round(gain, 2), round(gamma, 2), cast, round(vignette, 2), word)
