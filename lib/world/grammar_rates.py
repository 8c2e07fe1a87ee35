"""How often each factor of a scene is said: the contract of scenes/base, and the rates of single kinds of captions."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

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
        "terse": 0.3,  # captions that say nothing but classes (and, of badges and damage, what follows)
        "state": 0.7,  # of damaged objects: a state word
        "flawless": 0.1,  # of objects whose state is "flawless"
        "word": 0.5,  # of scenes with written words: all of them, quoted
        "part": 0.35,  # of each part of a badge and of identity marks; less where it would get too long
        "invented": 0.1,  # of badges whose invented word may be said: the full name
    }
)
_OF_NAMES = (  # the same in terse captions
    *("family", "second", "synonym", "typical", "untypical", "state", "flawless", "word", "part", "invented"),
)


class Rates(NamedTuple):
    """Mention rates of captions that say nothing but classes, of all others, and the share of the former."""

    terse: dict[str, float]
    full: dict[str, float]
    share: float


@cache
def rates_of(given: tuple[tuple[str, float], ...]) -> Rates:
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


@cache
def bare(**said: float) -> Rates:
    """Rates of captions that say classes by their primary names, what is given here, and nothing else."""
    rates = dict.fromkeys(MENTION, 0.0) | {"class": 1.0} | said
    return Rates(rates, rates, 0.0)
