"""What scenes are made of: the distribution of every preset.

A new preset is a row of `PRESETS`; a new factor is a field of `Preset` and its draw in `presets`.
"""

import zlib
from dataclasses import dataclass, field, fields, replace
from functools import cache

from lib.world import atlas, badges, latent
from lib.world.textures import MATERIALS, colours

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
    return "" if name in badges.names() else atlas.rows()[atlas.class_index(name)]["natural_colour"]


@cache
def role(letter: str) -> tuple[str, ...]:
    """Names of the classes that have a role: S, N, A, B or Z."""
    return tuple(row["name"] for row in atlas.rows() if letter in row["roles"])


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
    only: tuple = ()  # those of `classes` that are drawn; () for all
    colours: tuple = ()  # colours of objects; () for all
    perspective: bool = False  # nearer objects are larger: radii fall with 1 / z within their range
    spread: float = 0.0  # px: n objects have radii up to spread / sqrt(n); 0: the rule of the base
    grid: float = 0.0  # px**2: objects stand in cells of a grid and cover at most this area together; 0: they do not
    zipf: float = 0.0  # exponent of class frequencies, in the order of `classes`
    usual: dict = field(default_factory=dict)  # factor -> probability of the class's usual value (`usual_value`)
    badges: float = 0.0  # scenes whose first object is a badge
    damage: float = 0.0  # of scenes with an object of role A: the first is damaged, of as many said to be flawless
    words: dict = field(default_factory=dict)  # number of written words -> weight
    letters: float = 8.0  # px: height of their letters
    clutter: tuple = (0, 0)  # number of uncaptioned things
    corruption: float = 0.0  # scenes that are blurred or noisy, at a strength in [0, 0.6]


MATERIAL_GROUNDS = dict.fromkeys(MATERIALS, 1.0)
# grounds with structure: a share of plain ones would let the ground be ignored
BUSY_GROUNDS = MATERIAL_GROUNDS | {"gradient": 0.5, "striped": 0.7, "dotted": 0.7, "checked": 0.7}
CROWD_CLASSES = (
    "cloud", "rook", "knight", "spade", "diamond", "gear", "telephone", "envelope", "urn", "flower", "smiling face",
    "skull", "yin yang", "cow", "cat", "square",
)  # fmt: skip
# of classes with a ground of their own: two per ground
GROUND_CLASSES = (
    "rook", "flower", "envelope", "cow", "gear", "cat", "urn", "spade", "skull", "telephone", "smiling face", "diamond",
)  # fmt: skip
USUAL_GROUNDS = ("grass", "sand", "water", "snow", "brick", "wood")
TEXTURE_CLASSES = ("rook", "gear", "envelope", "urn", "flower", "cow", "skull", "telephone")
UNSEEN_GROUNDS, UNSEEN_COLOURS = ("water", "night", "brick"), ("teal", "purple")  # of objects/texture
TEXTURES = tuple((fill, second) for second in ("white", "blue") for fill in ("striped", "dotted", "checked", "gridded"))
COUNT_CLASSES = ("circle", "square", "triangle", "spade", "diamond", "club", "cat", "envelope", "cloud", "wheel")
NATURAL_CLASSES = ("heart", "sun", "anchor", "flag", "shamrock", "warning sign", "recycling sign", "snowflake")
FREE_CLASSES = ("cloud", "rook", "spade", "gear", "telephone", "urn", "cat", "skull")
_ONE = {"num_objects": {1: 1.0}, "same_class": 0.0}

PRESETS = {
    "scenes/base": Preset(),
    "scenes/full": Preset(badges=0.1, damage=0.14, words={0: 0.85, 1: 0.11, 2: 0.04}),
    "scenes/crowd": Preset(
        classes=CROWD_CLASSES, num_objects={3: 0.2, 4: 0.25, 5: 0.2, 6: 0.15, 7: 0.1, 8: 0.1}, same_class=0.0,
        backgrounds=BUSY_GROUNDS, spread=30.0, turn=0.0, held_out_pairs=True,
    ),
    "scenes/web": Preset(
        classes=(*TEXTURE_CLASSES, "cloud", "spade", "cat", "diamond"), num_objects={1: 0.8, 2: 0.2}, same_class=0.0,
        zipf=1.2, radius=(14.0, 26.0), turn=0.0,
    ),
    "scenes/cooccur": Preset(
        classes=GROUND_CLASSES, num_objects={1: 0.5, 2: 0.5}, same_class=0.0, radius=(13.0, 24.0),
        backgrounds=dict.fromkeys(USUAL_GROUNDS, 1.0), fills=dict.fromkeys(tuple(FILL_RATES)[:6], 1.0), turn=0.0,
        usual={"background": 0.7, "fill": 0.7, "colour": 0.7, "partner": 0.7}, held_out_pairs=True,
    ),
    "scenes/clutter": Preset(
        classes=OBJECT_CLASSES, **_ONE, backgrounds=BUSY_GROUNDS, radius=(14.0, 20.0), turn=0.0, clutter=(4, 10),
        held_out_pairs=True,
    ),
    "scenes/signs": Preset(
        num_objects={1: 0.7, 2: 0.3}, same_class=0.0, words={0: 0.15, 1: 0.5, 2: 0.35}, turn=0.0, light=0.0,
    ),
    "scenes/counts": Preset(
        classes=COUNT_CLASSES, fills={"plain": 0.7, "striped": 0.15, "dotted": 0.15}, styles={"sticker": 1.0},
        grid=1600.0, turn=0.0, light=0.6, colours=("red", "orange", "yellow", "green", "blue", "purple"),
        corruption=0.5, mirrored=0.0, held_out_pairs=True,
    ),
    "scenes/long": Preset(
        classes=CROWD_CLASSES, num_objects={4: 0.3, 5: 0.3, 6: 0.2, 7: 0.1, 8: 0.1}, same_class=0.0, spread=30.0,
        turn=0.0, light=0.0, held_out_pairs=True,
    ),
    "scenes/attr": Preset(
        classes=OBJECT_CLASSES, **_ONE, fills=dict.fromkeys(FILL_RATES, 1.0), radius=(8.0, 24.0), turn=0.3, light=0.3,
    ),
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
    "objects/badges": Preset(
        classes=badges.names(), **_ONE, styles={"sticker": 1.0}, fills={"plain": 1.0}, radius=(18.0, 26.0), turn=0.0,
        mirrored=0.0, light=0.1, held_out_pairs=True,
    ),
    "objects/natural": Preset(
        classes=NATURAL_CLASSES + FREE_CLASSES, **_ONE, styles={"sticker": 1.0}, fills={"plain": 1.0},
        radius=(12.0, 18.0), turn=0.0, light=0.0, natural=0.95, held_out_pairs=True,
    ),
    "objects/background": Preset(
        classes=GROUND_CLASSES, **_ONE, styles={"sticker": 1.0}, backgrounds=dict.fromkeys(USUAL_GROUNDS, 1.0),
        radius=(12.0, 20.0), turn=0.0, light=0.0, usual={"background": 0.9}, held_out_pairs=True,
    ),
    "objects/identity": Preset(
        classes=FREE_CLASSES, **_ONE, styles={"sticker": 1.0}, radius=(12.0, 22.0), turn=0.0, light=0.2,
        held_out_pairs=True,
    ),
    "objects/texture": Preset(
        classes=TEXTURE_CLASSES, **_ONE, styles={"sticker": 1.0},
        backgrounds={name: rate for name, rate in BASE_BACKGROUNDS.items() if name not in UNSEEN_GROUNDS},
        colours=("red", "orange", "yellow", "green", "pink", "brown"),
        fills=dict.fromkeys(("striped", "dotted", "checked", "gridded"), 1.0), radius=(15.0, 24.0), turn=0.0, light=0.0,
        mirrored=0.0, usual={"texture": 0.7}, held_out_pairs=True,
    ),
    "objects/ood": Preset(**_ONE, styles={"sticker": 1.0}, radius=(12.0, 24.0), turn=0.0, light=0.1),
    "objects/latent": Preset(classes=latent.CLASSES, **_ONE, styles={"sticker": 1.0}),
    "damage": Preset(
        **_ONE, styles={"sticker": 0.7, "photo": 0.3}, radius=(17.0, 24.0), turn=0.0, light=0.3, clutter=(0, 5),
        held_out_pairs=True,
    ),
    "backlit": Preset(
        classes=OBJECT_CLASSES, num_objects={1: 0.6, 2: 0.4}, same_class=0.0, styles={"sticker": 0.8, "photo": 0.2},
        radius=(14.0, 24.0), turn=0.0, light=0.0, held_out_pairs=True,
    ),
}  # fmt: skip


def usual_value(rules: Preset, factor: str, name: str):
    """The value of a factor that goes with a class: its place in `rules.classes` among the values of the factor.

    "background", "colour" and "fill" give a name, "partner" another class, "texture" a fill and its second colour.
    """
    index = rules.classes.index(name)
    if factor == "partner":
        return rules.classes[index ^ 1 if index ^ 1 < len(rules.classes) else 0]
    options = {"background": tuple(rules.backgrounds), "fill": tuple(rules.fills), "texture": TEXTURES,
               "colour": rules.colours or tuple(colours())}  # fmt: skip
    if factor not in options:
        raise ValueError(f"factor '{factor}' has no usual values; choose from {', '.join((*options, 'partner'))}")
    step = {"colour": 5, "fill": 5}.get(factor, 1)  # so that factors do not go in step with each other
    return options[factor][index * step % len(options[factor])]


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
