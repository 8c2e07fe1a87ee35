"""Scene specifications: plain frozen dataclasses that say everything a picture shows.

Coordinates x, y are fractions of the image side with (0, 0) at the top left; radii are pixels of a 64 px image.
Whatever varies without being named (elastic warp, stroke weight, colour jitter, texture phase) is drawn from the
`noise` number of the object or background concerned, so that an edit of one thing leaves the
rest of the picture alone.
"""

import dataclasses
import json
from dataclasses import dataclass, field

SIDE = 64  # pixels


@dataclass(frozen=True)
class Object:
    """One object. `name` is a class of tables/classes.csv, colours are of tables/colours.csv, fills of render.FILLS."""

    name: str
    colour: str = "red"
    fill: str = "plain"
    fill_colour: str = "white"  # second colour of the fill; without effect where fill is plain
    radius: float = 14.0  # px
    x: float = 0.5
    y: float = 0.5
    angle: float = 0.0  # degrees, counter-clockwise; a nuisance within +-25, a named turn near 90, 180, 270
    mirrored: bool = False
    z: int = 5  # layer 1 (front) .. 10 (back)
    parts: tuple = ()  # compound parts of a badge, as (part, value) pairs
    state: str = ""  # "" or a state word ("scratched")
    mark: str = ""  # identity mark
    noise: int = 0  # seed of warp, stroke weight and colour jitter


@dataclass(frozen=True)
class Background:
    """Ground of a scene: a pattern in two colours, or a material (grass, sand, ...) whose colours are its own."""

    name: str = "plain"
    colour: str = "grey"  # of patterns; without effect on materials
    colour2: str = "white"  # second colour of gradients, stripes, dots and checks
    noise: int = 0  # seed of texture and colour jitter


@dataclass(frozen=True)
class Light:
    """Light of a scene, applied to the finished picture. The neutral default changes no pixel."""

    gain: float = 1.0
    gamma: float = 1.0
    cast: tuple = (1.0, 1.0, 1.0)  # gain per channel, RGB
    vignette: float = 0.0  # share of light lost in the corners
    word: str = ""  # "" where light is ordinary, else "dark", "dim" or "bright"
    backlit: float = 0.0  # share of light lost on a smooth region over the objects (0: no region); see render.optics
    noise: int = 0  # seed of the region's shape


@dataclass(frozen=True)
class Camera:
    """Where the camera stands: shift in pixels and zoom factor. The default changes no pixel."""

    dx: float = 0.0
    dy: float = 0.0
    zoom: float = 1.0
    tilt: tuple = ()  # shifts of the four picture corners as fractions of the side, clockwise from top left


@dataclass(frozen=True)
class Word:
    """A word printed into a scene on a small plate. x, y centre in [0, 1]."""

    text: str
    x: float = 0.5
    y: float = 0.5
    colour: str = "black"  # of the letters: a colour name or "black"
    plate: str = "white"  # colour of the plate, "" for none
    noise: int = 0  # seed of tilt and ink noise
    height: float = 8.0  # of a "d", px


@dataclass(frozen=True)
class Damage:
    """A defect on object `target` (-1: on the ground). x, y are offsets from the object's centre in radii."""

    kind: str  # scratch, hole, stain, blot, chunk
    target: int = 0
    x: float = 0.0
    y: float = 0.0
    size: float = 6.0  # px
    angle: float = 0.0  # degrees
    noise: int = 0


@dataclass(frozen=True)
class Corruption:
    """A corruption of the finished picture at a strength in [0, 1]; strength 0 changes no pixel."""

    kind: str  # noise, blur, jpeg, fog, motion, halftone, contrast, depth_blur, depth_fog
    strength: float = 0.0
    noise: int = 0


@dataclass(frozen=True)
class Spec:
    """A scene. `objects[i]` has instance id i + 1 in `Rendered.inst`; `noise_seed` drives camera grain and clutter."""

    objects: tuple = ()
    background: Background = field(default_factory=Background)
    light: Light = field(default_factory=Light)
    camera: Camera = field(default_factory=Camera)
    words: tuple = ()  # of Word
    style: str = "sticker"
    clutter: int = 0  # number of uncaptioned blobs, marks and shadows
    damage: tuple = ()  # of Damage
    corruptions: tuple = ()  # of Corruption, applied in order
    noise_seed: int = 0

    def to_json(self) -> str:
        """Compact JSON with defaults left out; `from_json` restores an equal Spec."""
        return json.dumps(_compact(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Spec":
        """Inverse of `to_json`. Raises ValueError that names an unknown field."""
        values = json.loads(text)
        parts = {"background": Background, "light": Light, "camera": Camera}
        for key, kind in parts.items():
            if key in values:
                values[key] = _build(kind, values[key])
        lists = {"objects": Object, "words": Word, "damage": Damage, "corruptions": Corruption}
        for key, kind in lists.items():
            values[key] = tuple(_build(kind, value) for value in values.get(key, ()))
        return _build(cls, values)

    @classmethod
    def from_vector(cls, vector) -> "Spec":
        """The scene of one object that 28 numbers describe; see `latent`."""
        from lib.world import latent

        return latent.to_spec(vector)

    def replace(self, **changes) -> "Spec":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


def _compact(value):
    if dataclasses.is_dataclass(value):
        pairs = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {f.name: _compact(v) for f, v in pairs if f.default_factory is not dataclasses.MISSING or v != f.default}
    if isinstance(value, tuple):
        return [_compact(v) for v in value]
    return value


def _tuples(value):
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _build(kind, values: dict):
    known = {f.name for f in dataclasses.fields(kind)}
    unknown = set(values) - known
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {sorted(unknown)}; fields: {', '.join(sorted(known))}")
    return kind(**{name: _tuples(value) for name, value in values.items()})
