"""Texts of the web: alt texts with filler words, wrong ones and junk; and the ladder of caption quality.

The forms follow MetaCLIP (2309.16671), VeCLIP (2310.07699) and "CLIP with Quality Captions" (2405.08911). Filler words
are in no table of the knowledge base, so `parse` returns them as `rest` and the tuples hold what is said besides.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lib.world import grammar_truth as truth
from lib.world import kb
from lib.world.grammar_long import full
from lib.world.grammar_noun import nouns, salient, words
from lib.world.grammar_rates import Rates, bare
from lib.world.grammar_say import Caption, listing, noun
from lib.world.spec import Spec

SHOP = (
    "free shipping", "best price", "buy online", "hot deal", "new arrival", "click to view", "download now",
    "wallpaper hd", "vintage stock", "limited edition", "official store", "gift idea", "our gallery", "highly rated",
)  # fmt: skip
HEADS = ("new", "picture of the day", "image", "my pictures", "untitled", "the best of", "all images", "home page")
ALT_FRAMES = ("{said} {filler}", "{filler} {said}", "{said}, {filler}", "{filler}: {said}", "{filler} | {said}")
SOURCES = ("own", "other", "junk")
LADDER = ("q0", "q1", "q2", "q3")


class AltText(NamedTuple):
    """A `Caption` with its `source`: "own" (of this picture), "other" (of another one) or "junk" (of none)."""

    text: str
    sentences: list[str]
    tuples: frozenset
    source: str


def filler(rng: np.random.Generator) -> str:
    """File names, shop words and dates: "IMG_0231", "free shipping", "12-05-2014"."""
    u, number = rng.random(), int(rng.integers(10000))
    if u < 0.3:
        return (f"IMG_{number:04d}", f"DSC{number:05d}", f"sku-{number}", f"p{number:04d}")[number % 4]
    if u < 0.5:
        day, month, year = number % 28 + 1, number // 28 % 12 + 1, 2003 + number % 21
        return (f"{day:02d}-{month:02d}-{year}", f"{year}-{month:02d}-{day:02d}")[number % 2]
    return SHOP[number % len(SHOP)]


def junk(rng: np.random.Generator) -> str:
    """A text that says nothing of any picture: filler words, or head words such as "new" and "picture of the day"."""
    if rng.random() < 0.6:
        return filler(rng)
    return HEADS[int(rng.integers(len(HEADS)))]


def alt_text(
    spec: Spec,
    rng: np.random.Generator,
    other: Spec | None = None,
    wrong: float = 0.175,
    junk_rate: float = 0.0,
    name: float = 0.6,
    attribute: float = 0.15,
    slip: float = 0.0,
) -> AltText:
    """An alt text of the largest object: its fine name with probability `name`, each of colour, fill, size and ground
    with `attribute`, and always a filler.

    With probability `wrong` it is about `other` (without one: about a class drawn at random), with `junk_rate` it says
    nothing. Each attribute said is replaced by another value with probability `slip`. Raises ValueError for a rate
    outside 0..1.
    """
    rates = {"wrong": wrong, "junk_rate": junk_rate, "name": name, "attribute": attribute, "slip": slip}
    for key, rate in rates.items():
        if not 0 <= rate <= 1:
            raise ValueError(f"{key} {rate} is outside 0..1")
    u_junk, u_wrong, u_name, u_second, u_frame, u_stray, *draws = rng.random(14).tolist()
    if u_junk < junk_rate:
        return AltText(text := junk(rng), [text], frozenset(), "junk")
    source = "other" if u_wrong < wrong else "own"
    spec = truth.seen(other if source == "other" and other is not None else spec)
    thing = salient(spec.objects)[0][0] if spec.objects else None
    said, values = [], []
    if thing is not None:
        seen = truth.attributes(thing, spec.style)
        for k, factor in enumerate(("size", "fill", "colour")):
            if factor in seen and draws[k] < attribute:
                value = _slipped(factor, seen[factor], slip, draws[4 + k])
                said.append(words(factor, value)[0])
                values.append(value)
    called = ""
    if thing is not None and u_name < name:
        called, noun_said = kb.primary(thing.name), nouns(thing.name)[u_second < 0.2 and thing.name in kb.classes()][0]
        if source == "other" and other is None:
            free = [one for one, kind in kb.classes().items() if one != thing.name and "Z" not in kind.roles]
            called = free[int(u_stray * len(free))]
            noun_said = nouns(called)[0][0]
        said.append(noun_said)
    found = {("object", called)} if called else set()
    found |= {("attribute", called or kb.ANY, value) for value in values}
    if draws[3] < attribute:
        ground = _slipped("background", spec.background.name, slip, draws[7])
        said.append(words("background", ground)[0])
        found.add(("scene", ground))
    extra = filler(rng)
    text = ALT_FRAMES[int(u_frame * len(ALT_FRAMES))].format(said=" ".join(said), filler=extra) if said else extra
    return AltText(text, [text], frozenset(found), source)


def _slipped(factor: str, value: str, slip: float, u: float) -> str:
    """The value, or with probability `slip` another one of the factor."""
    if u >= slip:
        return value
    others = [other for other in kb.values(factor) if other != value]
    return others[int(u / slip * len(others))]


def alt(spec: Spec, rng: np.random.Generator, frames: str, rates: Rates) -> Caption:
    """An alt text at the default rates, never junk."""
    return Caption(*alt_text(spec, rng)[:3])


LADDER_KINDS = {"alt": alt, "q1": noun, "q2": listing, "q3": full}


def rung(spec: Spec, level: str, rng: np.random.Generator, other: Spec | None = None, wrong: float = 0.5) -> Caption:
    """One caption of the ladder.

    q0  an alt text of at most one object, with probability `wrong` of scene `other`
    q1  one true noun
    q2  every class with its number
    q3  every class, then a sentence on each object, relation, ground, light and word; its `sentences` can be sampled
    Raises ValueError for another level.
    """
    if level not in LADDER:
        raise ValueError(f"level '{level}' is unknown; choose one of {', '.join(LADDER)}")
    if level == "q0":
        return Caption(*alt_text(spec, rng, other, wrong, name=1.0, attribute=0.0)[:3])
    return LADDER_KINDS[level](truth.seen(spec), rng, "seen", bare())


def ladder(
    specs: Sequence[Spec], level: str, rng: np.random.Generator, wrong: float = 0.5, shuffle: float = 0.0
) -> list[Caption]:
    """Captions of one level for the same pictures; wrong ones of q0 are about another picture of the list."""
    others = rng.integers(1, max(2, len(specs)), len(specs))
    found = [
        rung(spec, level, rng, specs[(i + int(shift)) % len(specs)], wrong)
        for i, (spec, shift) in enumerate(zip(specs, others))
    ]
    return shuffled(found, shuffle, rng)


def shuffled(items: Sequence, rate: float, rng: np.random.Generator) -> list:
    """A share `rate` of the items exchanged among each other so that none of these stays in its place; the rest stays.

    The mechanism control of the ladder: length and vocabulary are kept, alignment is broken. Raises ValueError.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"shuffle rate {rate} is outside 0..1")
    items = list(items)
    count = round(rate * len(items))
    if count < 2:
        return items
    places = rng.permutation(len(items))[:count].tolist()
    found = list(items)
    for place, source in zip(places, [*places[1:], places[0]]):  # one cycle: no fixed point
        found[place] = items[source]
    return found


def zipf(count: int, exponent: float = 1.2) -> np.ndarray:
    """Probabilities of the ranks 1..count, proportional to rank ** -exponent. float64 [count]."""
    weights = np.arange(1, count + 1, dtype=float) ** -exponent
    return weights / weights.sum()
