"""Captions of stored scenes: which kinds a corpus has, in which frames and at which rates.

Text is drawn from a generator of its own, so that it never steers a picture.
"""

import numpy as np

from lib.world import grammar, grammar_alt
from lib.world.spec import Spec

CAPTIONS = (("short", "seen"), ("short", "held_out"), ("long", "seen"))
# of corpora whose captions differ: (kind, frames) and mention rates
PLANS = {
    "scenes/long": (*CAPTIONS, ("long", "held_out")),
    "scenes/web": (("alt", "seen"), ("short", "seen"), ("short", "held_out")),
    "objects/identity": (("class_only", "seen"), ("class_only", "held_out"), *CAPTIONS),
    "objects/background": (*CAPTIONS, ("class_only", "seen")),
}
MENTIONS = {
    "scenes/cooccur": {"terse": 0.0, "background": 0.9, "class": 1.0, "colour": 0.5, "fill": 0.5, "size": 0.5},
    "scenes/crowd": {"terse": 0.0, "colour": 0.8, "fill": 0.5},
    "objects/background": {"background": 0.5, "colour": 0.0, "fill": 0.0, "family": 0.0, "second": 0.0},
    "objects/natural": {"typical": 0.5, "untypical": 0.5, "colour": 0.5, "family": 0.0, "terse": 0.0},
    "objects/texture": {"fill": 0.5, "colour": 0.5},
}
JUNK_RATE, WRONG_RATE = 0.35, 0.17  # of the alt texts of scenes/web: that say nothing; of the rest: of another scene


def plan(name: str) -> tuple[tuple[str, str], ...]:
    """Kinds and frames of the captions of a corpus."""
    return PLANS.get(name, CAPTIONS)


def kinds(name: str) -> list[str]:
    """Names of the captions of a corpus, in order: "short" has seen frames, "short_held_out" those of tests."""
    return [kind if frames == "seen" else f"{kind}_{frames}" for kind, frames in plan(name)]


def captions(name: str, spec: Spec, rng: np.random.Generator, other: Spec | None = None) -> list[str]:
    """The captions of a scene; `other` is a scene that a wrong alt text speaks of."""
    spec, mention = named(spec), MENTIONS.get(name)
    found = []
    for kind, frames in plan(name):
        if kind == "alt":
            found.append(grammar_alt.alt_text(spec, rng, other, WRONG_RATE, JUNK_RATE).text)
        else:
            found.append(grammar.caption(spec, kind, rng, frames, mention).text)
    return found


def named(spec: Spec) -> Spec:
    """A scene whose colours have names, as captions need them."""
    if any(thing.colour.startswith("#") for thing in spec.objects):
        from lib.world import latent

        return latent.named(spec)
    return spec
