"""The two-way grammar of scenes: `caption` says a `Spec`, `parse` understands what was said, `holds` judges it.

Each factor of a scene is mentioned by an independent draw at its rate in `MENTION`. Phrases come from the tables of
`kb`; `grammar_say` puts them together, `grammar_parse` takes them apart, `grammar_truth` says what is true.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np

from lib.world import kb
from lib.world.grammar_parse import Parsed, parse
from lib.world.grammar_say import FRAMES, KINDS, Caption, Rates
from lib.world.grammar_truth import tuples
from lib.world.spec import Spec

__all__ = ["MENTION", "Caption", "Parsed", "caption", "fill", "holds", "parse", "templates", "tuples"]

# Probabilities of being said: the contract of scenes/base.
MENTION: Mapping[str, float] = MappingProxyType(
    {
        "class": 0.95,  # of objects; else "something"
        "family": 0.15,  # of these: by the family word
        "second": 0.2,  # of class names: the second name
        "synonym": 0.1,  # of noun phrases, and of scenes: their attributes by synonyms
        "colour": 0.35,
        "typical": 0.1,  # the natural colour of a class that has one
        "untypical": 0.9,  # another colour of such a class
        "fill": 0.2,
        "size": 0.15,
        "position": 0.2,
        "orientation": 0.1,  # of objects that are turned or mirrored
        "relation": 0.5,  # of two named objects
        "count": 0.5,  # of several objects of one class: the number
        "background": 0.3,
        "light": 0.5,  # where it is changed
        "style": 0.1,
        "terse": 0.3,  # captions that say nothing but classes
    }
)
_OF_NAMES = ("family", "second", "synonym", "typical", "untypical")  # the same in terse captions


def caption(
    spec: Spec, kind: str, rng: np.random.Generator, frames: str = "seen", mention: Mapping[str, float] | None = None
) -> Caption:
    """Say a scene. The text depends on the arguments alone.

    `kind`: "short" (at most 16 words on one or two objects, of many the largest), "class_only" (their classes and
    nothing else), "long" (the short caption, then local sentences, 40 to 90 words where there is an object).
    `frames`: "seen" or "held_out". `mention` replaces rates of `MENTION`. Raises ValueError naming an unknown value.
    """
    if kind not in KINDS:
        raise ValueError(f"caption kind '{kind}' is unknown; choose one of {', '.join(KINDS)}")
    rates = _rates(tuple(sorted(mention.items())) if mention else ())
    return KINDS[kind](spec, rng, _known(frames), rates)


def templates(frames: str = "seen") -> list[str]:
    """The frames as prompts for class names, such as "a picture of a {}". `fill` sets the article right."""
    return [one.replace("{}", "a {}") for one, _ in FRAMES[_known(frames)]]


def fill(template: str, name: str) -> str:
    """A prompt with a class name and its article: "a picture of an anchor", "a picture of a pair of scissors"."""
    return f" {template}".replace(" a {}", f" {kb.noun_phrase(name)}").replace("{}", name)[1:]


def holds(spec: Spec, phrase: str) -> bool:
    """Whether everything a phrase says is true of the scene. Raises ValueError naming words it does not understand."""
    said = parse(phrase)
    if said.rest:
        raise ValueError(f"'{phrase}' cannot be parsed: {', '.join(map(repr, said.rest))} not understood")
    if not said.tuples:
        raise ValueError(f"'{phrase}' says nothing that could be true or false")
    return said.tuples <= tuples(spec)


def _known(frames: str) -> str:
    if frames not in FRAMES:
        raise ValueError(f"frames '{frames}' are unknown; choose one of {', '.join(FRAMES)}")
    return frames


@cache
def _rates(given: tuple[tuple[str, float], ...]) -> Rates:
    """Rates of terse and of full captions.

    A share q of captions names classes only; in the others a rate r becomes r / (1 - q), so that over all captions it
    is r as asked. Where a rate would exceed one, q is lowered.
    """
    rates = {**MENTION, **dict(given)}
    for factor, rate in rates.items():
        if factor not in MENTION:
            raise ValueError(f"mention has no factor '{factor}'; factors: {', '.join(MENTION)}")
        if not 0 <= rate <= 1:
            raise ValueError(f"mention rate {rate} of '{factor}' is outside 0..1")
    names = {factor: rates[factor] for factor in _OF_NAMES}
    absent = 1 - rates["class"]
    scaled = {factor: rate for factor, rate in rates.items() if factor not in (*_OF_NAMES, "class", "terse")}
    share = min(rates["terse"], 1 - max(absent, *scaled.values()))
    terse = dict.fromkeys(MENTION, 0.0) | names | {"class": 1.0}
    if share == 1:
        return Rates(terse, terse, 1.0)
    full = {factor: rate / (1 - share) for factor, rate in scaled.items()} | names
    return Rates(terse, full | {"class": 1 - absent / (1 - share)}, share)
