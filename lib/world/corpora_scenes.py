"""Scenes and single objects: which scene stands at an index of a split of "scenes/..." and "objects/...".

A variant of a preset is a function `(split, index, rng) -> Drawn` in `_VARIANTS`; presets without one are drawn as they
are, `objects` going round classes first and then styles, so that both are balanced in every split.
"""

import zlib
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np

from lib.world import atlas, badges, latent
from lib.world.edit import Op, edit
from lib.world.presets import TEXTURES, base_classes, natural_colour, preset, role, sample, usual_value
from lib.world.presets_table import FREE_CLASSES, NATURAL_CLASSES, TEXTURE_CLASSES, UNSEEN_COLOURS, UNSEEN_GROUNDS
from lib.world.spec import Background, Corruption, Light, Object, Spec

SEED = 0
IMAGES_PER_IDENTITY, GROUP = 24, 4
NATURAL_SETS = ("one", "two", "typical", "recoloured", "free", "mixed")  # the last four are split "probe"
OOD_SETS = ("id", "near", "far", "texture")
DEPTH_SETS = ("blur", "depth_blur", "depth_blur_near", "fog", "depth_fog", "motion", "depth_motion")
TEXTURE_SETS = ("id", "rotated", "partial", "ground", "fill", "colour", "small", "dark", "bright", "several",
                "occluded", "conflict", "shape", "texture", "classes", "noise", *DEPTH_SETS)  # fmt: skip
DOMAINS = {"objects/natural": NATURAL_SETS, "objects/ood": OOD_SETS, "objects/texture": TEXTURE_SETS}


class Drawn(NamedTuple):
    """A scene, the name of its domain ("": its style), and further columns of its row."""

    spec: Spec
    domain: str = ""
    columns: dict = {}


def domains(name: str) -> tuple[str, ...]:
    """Names of the domains of a corpus: its special sets, else its styles."""
    return DOMAINS.get(name, tuple(preset(name).styles))


def generators(name: str, split: str, index: int, seed: int = SEED) -> tuple[np.random.Generator, np.random.Generator]:
    """The generators of an example: of its picture, of its texts."""
    key = [zlib.crc32(name.encode()), zlib.crc32(split.encode()), seed, index]
    picture = np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
    if name == "scenes/long":  # scenes of a group share their first sentence
        key[-1] = index // GROUP
    return picture, np.random.Generator(np.random.PCG64(np.random.SeedSequence([*key, 1])))


def draw(name: str, split: str, index: int, rng: np.random.Generator) -> Drawn:
    """The scene at an index of a split; `rng` is the generator of that index."""
    if name in _VARIANTS:
        return _VARIANTS[name](split, index, rng)
    return Drawn(_balanced(name, index, rng) if name.startswith("objects/") else sample(name, rng))


def _balanced(name: str, index: int, rng, **overrides) -> Spec:
    rules = preset(name)
    styles = list(rules.styles)
    style = styles[index // len(rules.classes) % len(styles)]
    only = (rules.classes[index % len(rules.classes)],)
    return sample(name, rng, **{"only": only, "styles": {style: 1.0}} | overrides)


# ---- scenes


def _web(split: str, index: int, rng) -> Drawn:
    """The pool and "test_zipf" are long-tailed, "val" and "test" go round the classes."""
    if split in ("pool", "test_zipf"):
        return Drawn(sample("scenes/web", rng))
    classes = preset("scenes/web").classes
    return Drawn(sample("scenes/web", rng, zipf=0.0, only=(classes[index % len(classes)],), num_objects={1: 1.0}))


def _cooccur(split: str, index: int, rng) -> Drawn:
    """In "val" and "test" nothing goes together."""
    return Drawn(sample("scenes/cooccur", rng, **({"usual": {}} if split in ("val", "test") else {})))


def _long(split: str, index: int, rng) -> Drawn:
    """Groups of scenes that share their two largest objects, ground and style: what a short caption speaks of."""
    group = index // GROUP
    shared = sample("scenes/long", _generator("scenes/long", split, "group", group), num_objects={2: 1.0}, spread=27.0)
    own = sample("scenes/long", rng)
    high = min(thing.radius for thing in shared.objects) - 1.0
    names = {thing.name for thing in shared.objects}
    for thing in own.objects:
        if len(shared.objects) == 8 or thing.name in names:
            continue
        radius = round(min(thing.radius, high, 9.0), 1)
        if _gap(shared, thing) > 0.55 * (radius + 10):
            taken = {other.z for other in shared.objects}
            z = next(z for z in (thing.z, *range(1, 11)) if z not in taken)
            shared = edit(shared, Op("add", None, replace(thing, radius=radius, z=z)))
    return Drawn(shared.replace(noise_seed=own.noise_seed), columns={"group": group})


def _gap(spec: Spec, thing: Object) -> float:
    return min(64 * float(np.hypot(thing.x - other.x, thing.y - other.y)) for other in spec.objects)


# ---- objects


def _natural(split: str, index: int, rng) -> Drawn:
    name, classes = "objects/natural", preset("objects/natural").classes
    if split == "probe":
        domain = NATURAL_SETS[2 + index % 4]
        first = {"free": FREE_CLASSES}.get(domain, NATURAL_CLASSES)
        second = {"free": FREE_CLASSES, "mixed": FREE_CLASSES}.get(domain, NATURAL_CLASSES)
        pair = (first[rng.integers(8)], second[rng.integers(8)])
        while pair[0] == pair[1] or natural_colour(pair[0]) == natural_colour(pair[1]) != "":
            pair = (first[rng.integers(8)], second[rng.integers(8)])
        return Drawn(_side_by_side(pair[:: 1 - 2 * int(rng.integers(2))], rng, domain), domain)
    own = classes[index % len(classes)]
    if split == "train" and index // len(classes) % 5 > 2:
        other = own
        while other == own:
            other = classes[rng.integers(len(classes))]
        return Drawn(_side_by_side((own, other), rng, "two"), "two")
    rules = {} if split == "train" else {"natural": 0.5}
    return Drawn(_balanced(name, index, rng, **rules), "one")


def _side_by_side(pair: tuple, rng, domain: str) -> Spec:
    """Two objects, left and right, of colours that differ; "recoloured" ones have colours typical of neither."""
    natural = {"recoloured": 0.0, "two": 0.95}.get(domain, 1.0)
    spec = sample("objects/natural", rng, only=(pair[0],), natural=natural)
    mate = sample("objects/natural", rng, only=(pair[1],), natural=natural).objects[0]
    typical = {natural_colour(name) for name in pair} - {""}
    free = [c for c in ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink") if c not in typical]
    things = []
    for k, thing in enumerate((spec.objects[0], mate)):
        colour = thing.colour
        if domain == "recoloured" or not natural_colour(thing.name) or (things and colour == things[0].colour):
            colour = [c for c in free if not things or c != things[0].colour][rng.integers(len(free) - 1)]
        x, y = 0.27 + 0.46 * k + rng.uniform(-0.03, 0.03), rng.uniform(0.35, 0.65)
        things.append(replace(thing, colour=colour, radius=13.0, x=round(x, 3), y=round(y, 3), z=4 + k))
    return spec.replace(objects=tuple(things))


def _background(split: str, index: int, rng) -> Drawn:
    """ "train" holds usual grounds with p = .9, "curated" with p = .5; "val" and "test" go round the grounds."""
    name, rules = "objects/background", preset("objects/background")
    if split in ("train", "curated"):
        spec = _balanced(name, index, rng, **({} if split == "train" else {"usual": {"background": 0.5}}))
    else:
        grounds = tuple(rules.backgrounds)
        ground = grounds[index // len(rules.classes) % len(grounds)]
        spec = _balanced(name, index, rng, usual={}, backgrounds={ground: 1.0})
    usual = usual_value(rules, "background", spec.objects[0].name) == spec.background.name
    return Drawn(spec, columns={"attrs.usual": int(usual)})


@cache
def identity(split: str, number: int) -> tuple:
    """Fixed looks of an identity, (class, colour, fill, second colour, mark). Splits share none, by CRC-32."""
    shares = {"train": (0, 1, 2, 3), "val": (4,), "test": (5, 6, 7)}
    if split not in shares:
        raise ValueError(f"identities are of splits {', '.join(shares)}, not '{split}'")
    earlier = {identity(split, other) for other in range(number)}
    rng = _generator("objects/identity", split, "identity", number)
    while True:
        thing = sample("objects/identity", rng, only=(FREE_CLASSES[number % len(FREE_CLASSES)],)).objects[0]
        size, shape = ("small ", "", "large ")[rng.integers(3)], tuple(badges.values("mark"))[rng.integers(6)]
        looks = (thing.name, thing.colour, thing.fill, thing.fill_colour, size + shape)
        if zlib.crc32(repr(looks).encode()) % 8 in shares[split] and looks not in earlier:
            return looks


def _identity(split: str, index: int, rng) -> Drawn:
    number = index // IMAGES_PER_IDENTITY
    name, colour, fill, second, mark = identity(split, number)
    spec = sample("objects/identity", rng, only=(name,))
    thing = replace(spec.objects[0], colour=colour, fill=fill, fill_colour=second, mark=mark)
    ground = spec.background
    if ground.colour == colour and ground.name in ("plain", "gradient"):
        ground = replace(ground, colour="grey" if colour != "grey" else "white")
    return Drawn(spec.replace(objects=(thing,), background=ground), columns={"individual": number})


def _texture(split: str, index: int, rng) -> Drawn:
    """ "train" and "val": shape and texture go together with p = .7; "free": they do not; "test": TEXTURE_SETS."""
    name, count = "objects/texture", len(TEXTURE_CLASSES)
    domain = TEXTURE_SETS[index // count % len(TEXTURE_SETS)] if split == "test" else "id"
    own, texture = index % count, -1
    rules = {"usual": {"texture": 0.0}} if split == "free" else {}
    spec = _TEXTURE_EDITS[domain](_balanced(name, index, rng, **rules), own, rng)
    if spec.objects and (spec.objects[0].fill, spec.objects[0].fill_colour) in TEXTURES:
        texture = TEXTURES.index((spec.objects[0].fill, spec.objects[0].fill_colour))
    return Drawn(spec, domain, {"attrs.texture": texture})


def _first(**fields):
    return lambda spec, own, rng: spec.replace(objects=(replace(spec.objects[0], **fields), *spec.objects[1:]))


def _conflict(spec, own, rng):
    fill, second = TEXTURES[(own + int(rng.integers(1, 8))) % 8]
    return _first(fill=fill, fill_colour=second)(spec, own, rng)


def _all_texture(spec, own, rng):
    fill, second = TEXTURES[own]
    return _first(name="square", fill=fill, fill_colour=second, radius=46.0, x=0.5, y=0.5)(spec, own, rng)


def _occluded(spec, own, rng):
    thing = spec.objects[0]
    side = 0.55 * thing.radius / 64 * (1 - 2 * int(rng.integers(2)))
    block = Object("circle", "grey", radius=round(0.6 * thing.radius, 1), x=thing.x + side, y=thing.y, z=1)
    return spec.replace(objects=(replace(thing, z=9), block))


def _several(spec, own, rng):
    spec = _first(radius=12.0, x=0.25, y=0.3)(spec, own, rng)
    return edit(spec, Op("count", 0, 2 + int(rng.integers(2))))


_OTHERS = ("knight", "cat", "spade", "coffin", "peace sign", "club", "wheel", "victory hand")
_TEXTURE_EDITS = {
    "id": lambda spec, own, rng: spec,
    "rotated": lambda spec, own, rng: _first(angle=90.0 * int(rng.integers(1, 4)))(spec, own, rng),
    "partial": lambda spec, own, rng: _first(x=float(rng.integers(2)))(spec, own, rng),
    "ground": lambda spec, own, rng: spec.replace(background=Background(UNSEEN_GROUNDS[rng.integers(3)])),
    "fill": lambda spec, own, rng: _first(fill="speckled", fill_colour="yellow")(spec, own, rng),
    "colour": lambda spec, own, rng: _first(colour=UNSEEN_COLOURS[rng.integers(2)])(spec, own, rng),
    "small": _first(radius=10.0),
    "dark": lambda spec, own, rng: spec.replace(light=Light(0.35, word="dark")),
    "bright": lambda spec, own, rng: spec.replace(light=Light(1.7, word="bright")),
    "several": _several,
    "occluded": _occluded,
    "conflict": _conflict,
    "shape": _first(fill="plain"),
    "texture": _all_texture,
    "classes": lambda spec, own, rng: _first(name=_OTHERS[own])(spec, own, rng),
    "noise": lambda spec, own, rng: spec.replace(objects=(), corruptions=(Corruption("noise", 1.0, own),)),
} | {
    kind: lambda spec, own, rng, kind=kind: spec.replace(corruptions=(Corruption(kind, 0.6, spec.noise_seed),))
    for kind in DEPTH_SETS
}  # fmt: skip


@cache
def ood_classes(split: str) -> dict[str, tuple[str, ...]]:
    """Names of the known (id), near and far classes of a split; "val" and "test" share none."""
    order = sorted(base_classes(), key=lambda name: zlib.crc32(name.encode()))
    start = {"test": 0, "val": 24}[split]
    far = role("Z")[:8] if split == "test" else role("Z")[8:]
    return {"id": tuple(order[start : start + 12]), "near": tuple(order[start + 12 : start + 24]), "far": far}


def _ood(split: str, index: int, rng) -> Drawn:
    """ "train" and "all" go round all classes of the base; "val" and "test" round OOD_SETS."""
    if split in ("train", "all"):
        return Drawn(_balanced("objects/ood", index, rng), "id")
    domain = OOD_SETS[index % 4]
    spec = sample("objects/ood", rng)
    if domain == "texture":
        return Drawn(spec.replace(objects=()), domain)
    names = ood_classes(split)[domain]
    rules = {"classes": (names[index // 4 % len(names)],)}
    return Drawn(sample("objects/ood", rng, **rules), domain)


def _latent(split: str, index: int, rng) -> Drawn:
    vector = latent.sample(rng, 1)[0]
    return Drawn(latent.to_spec(vector, int(rng.integers(1 << 31))), columns={"latent": vector})


_VARIANTS = {
    "scenes/web": _web, "scenes/cooccur": _cooccur, "scenes/long": _long, "objects/natural": _natural,
    "objects/background": _background, "objects/identity": _identity, "objects/texture": _texture,
    "objects/ood": _ood, "objects/latent": _latent,
}  # fmt: skip


def _generator(*key) -> np.random.Generator:
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


def coarse(name: str) -> int:
    """Index of the family of a class in alphabetical order; of a badge, its group."""
    if name in badges.names():
        return int(badges.rows()[name]["group"]) - 1
    return sorted({row["family"] for row in atlas.rows()}).index(atlas.rows()[atlas.class_index(name)]["family"])
