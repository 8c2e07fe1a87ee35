"""One object as 28 numbers: the latent vector of deltaedit, whose frozen generator is the renderer.

Each entry is standard normal in `sample` and acts within [-2, 2], beyond which it is clipped. Layout (GROUPS):

geometry  0 x, 1 y, 2 radius, 3 tilt
fill      4-9 class: the largest of six shows; 10-15 fill: the largest of six shows, the more it leads the stronger
          its pale second colour differs from the first
colour    16-17 hue of the object (cosine, sine), 18 saturation, 19 brightness; 20-21 hue of the ground, 22 saturation,
          23 brightness; 24 light gain, 25 contrast (gamma), 26 warmth (cast), 27 vignette
"""

import math
from dataclasses import replace

import numpy as np

from lib.world.spec import Background, Light, Object, Spec
from lib.world.textures import colours

SIZE = 28
GROUPS = {"geometry": slice(0, 4), "fill": slice(4, 16), "colour": slice(16, 28)}
NAMES = ("x", "y", "radius", "tilt",
         *(f"class {name}" for name in ("heart", "cat", "gear", "envelope", "cloud", "flower")),
         *(f"fill {name}" for name in ("plain", "striped", "dotted", "checked", "gridded", "speckled")),
         "hue cosine", "hue sine", "saturation", "brightness", "ground hue cosine", "ground hue sine",
         "ground saturation", "ground brightness", "gain", "contrast", "warmth", "vignette")  # fmt: skip
CLASSES = tuple(name[6:] for name in NAMES[4:10])
FILLS = tuple(name[5:] for name in NAMES[10:16])


def sample(rng: np.random.Generator, count: int) -> np.ndarray:
    """Random vectors, f32 [count, 28]."""
    return rng.standard_normal((count, SIZE)).astype(np.float32)


def to_spec(vector: np.ndarray, noise: int = 0) -> Spec:
    """The scene of a vector, shape (28,). `noise` is the seed of everything the vector does not say (warp, grain).

    Colours are written "#rrggbb", so that they follow the vector smoothly; `named` gives their names. Raises ValueError
    for another shape or a value that is no number.
    """
    vector = np.asarray(vector, np.float64)
    if vector.shape != (SIZE,) or not np.isfinite(vector).all():
        raise ValueError(f"a latent vector has {SIZE} finite numbers, not shape {vector.shape} or {vector}")
    v = [min(2.0, max(-2.0, value)) for value in vector.tolist()]
    fills = v[10:16]
    fill = max(range(6), key=lambda k: fills[k])
    lead = fills[fill] - max(fills[k] for k in range(6) if k != fill)
    body = _hsv(v[16], v[17], _to(v[18], 0.2, 1.0), _to(v[19], 0.3, 0.85))
    share = min(1.0, 0.35 + 0.65 * lead)
    second = tuple(round(a + share * (b - a)) for a, b in zip(body, (250, 248, 242)))
    thing = Object(
        CLASSES[max(range(6), key=lambda k: v[4 + k])], _hex(body), FILLS[fill], _hex(second),
        round(_to(v[2], 12.0, 24.0), 2), round(_to(v[0], 0.3, 0.7), 4), round(_to(v[1], 0.3, 0.7), 4),
        round(_to(v[3], -25.0, 25.0), 2), noise=noise,
    )  # fmt: skip
    ground = Background("plain", _hex(_hsv(v[20], v[21], _to(v[22], 0.0, 0.9), _to(v[23], 0.3, 0.95))), noise=noise)
    gain, warmth = _to(v[24], 0.45, 1.45), _to(v[26], -0.2, 0.2)
    cast = (round(1 + warmth, 3), 1.0, round(1 - warmth, 3))
    word = "dark" if gain < 0.6 else "dim" if gain < 0.75 else "bright" if gain > 1.25 else ""
    light = Light(round(gain, 3), round(_to(v[25], 0.75, 1.35), 3), cast, round(_to(v[27], 0.0, 0.6), 3), word)
    return Spec((thing,), ground, light, noise_seed=noise)


def named(spec: Spec) -> Spec:
    """The same scene in words of the tables, for captions and truth: "#rrggbb" becomes the nearest colour name."""
    things = tuple(
        replace(thing, colour=colour_name(thing.colour), fill_colour=colour_name(thing.fill_colour))
        for thing in spec.objects
    )
    ground = spec.background
    ground = replace(ground, colour=colour_name(ground.colour), colour2=colour_name(ground.colour2))
    return spec.replace(objects=things, background=ground)


def colour_name(colour: str) -> str:
    """Nearest name of tables/colours.csv to "#rrggbb" (weighted squared distance); a name stays as it is."""
    if not colour.startswith("#"):
        return colour
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    distance = {
        n: 3 * (r - red) ** 2 + 4 * (g - green) ** 2 + 2 * (b - blue) ** 2 for n, (r, g, b) in colours().items()
    }
    return min(distance, key=distance.get)


def _to(value: float, low: float, high: float) -> float:
    return low + (high - low) * (value + 2) / 4


def _hsv(cosine: float, sine: float, saturation: float, value: float) -> tuple[int, int, int]:
    """RGB 0..255 of a hue given as a direction."""
    sector = math.atan2(sine, cosine) / (math.pi / 3) % 6
    channels = []
    for offset in (5, 3, 1):
        k = (offset + sector) % 6
        channels.append(round(255 * value * (1 - saturation * max(0.0, min(k, 4 - k, 1.0)))))
    return tuple(channels)


def _hex(colour: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{channel:02x}" for channel in colour)
