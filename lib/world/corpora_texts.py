"""Captions of stored scenes: which kinds a corpus has, and the noisy alt texts of the web.

Text is drawn from a generator of its own, so that it never steers a picture.
"""

import numpy as np

from lib.world import badges, grammar, kb
from lib.world.grammar_say import words
from lib.world.grammar_truth import attributes
from lib.world.spec import Object, Spec

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
FILLERS = ("new", "sale", "free shipping", "best price", "hd wallpaper", "stock photo", "of the day", "vol 2")
JUNK = ("click to enlarge", "photo", "new", "image not found", "untitled", "thumbnail", "add to cart", "of")
JUNK_RATE, WRONG_RATE = 0.35, 0.17


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
            found.append(alt_text(spec, rng, other))
        elif any(thing.name not in kb.classes() for thing in spec.objects):
            found.append(badge_text(spec, kind, frames, rng))
        elif mention:
            found.append(grammar.caption(spec, kind, rng, frames=frames, mention=mention).text)
        else:
            found.append(grammar.caption(spec, kind, rng, frames=frames).text)
    return found


def named(spec: Spec) -> Spec:
    """A scene whose colours have names, as captions need them."""
    if any(thing.colour.startswith("#") for thing in spec.objects):
        from lib.world import latent

        return latent.named(spec)
    return spec


def phrase(thing: Object, style: str = "sticker") -> str:
    """Noun phrase of an object with its visible size, fill and colour: "small striped red cat"."""
    seen = attributes(thing, style)
    noun = badges.rows()[thing.name]["noun"] if thing.name in badges.names() else kb.classes()[thing.name].phrase
    looks = [words(factor, seen[factor])[0] for factor in ("size", "fill", "colour") if factor in seen]
    return " ".join([*looks, noun])


def badge_text(spec: Spec, kind: str, frames: str, rng: np.random.Generator) -> str:
    """A caption of the parts of a badge; its invented word comes as often as its row says."""
    thing = next(thing for thing in spec.objects if thing.name in badges.names())
    row, said = badges.rows()[thing.name], badges.phrases(thing)
    number = {"short": 2, "class_only": 0}.get(kind, 5)
    names = [part for part in said if part != "body"]
    kept = [names[k] for k in sorted(rng.permutation(len(names))[:number])]
    noun = f"{row['word']} {row['noun']}" if rng.random() < float(row["captioned"]) else row["noun"]
    text = f"a {thing.colour} {noun}" + "".join(
        f"{' with' if k == 0 else ' and'} a {said[part]}" for k, part in enumerate(kept)
    )
    options = grammar.templates(frames)
    return options[int(rng.integers(len(options)))].replace("a {}", text)


def alt_text(spec: Spec, rng: np.random.Generator, other: Spec | None = None) -> str:
    """A text as the web has them: junk, or the fine name (p = .6), attributes (.15 each) and filler words.

    Some speak of another scene. After metaclip (2309.16671) and veclip (2310.07699).
    """
    if rng.random() < JUNK_RATE:
        draw = rng.random()
        return f"IMG_{rng.integers(10000):04d}" if draw < 0.4 else _one(JUNK, rng) if draw < 0.8 else _date(rng)
    if other is not None and rng.random() < WRONG_RATE:
        spec = other
    found = []
    for thing in spec.objects:
        seen = attributes(thing, spec.style)
        found += [words(f, seen[f])[0] for f in ("size", "fill", "colour") if f in seen and rng.random() < 0.15]
        if rng.random() < 0.6:
            found.append(thing.name)
    if rng.random() < 0.15:
        found.append(words("background", spec.background.name)[0])
    found.insert(int(rng.integers(len(found) + 1)), _one(FILLERS, rng))
    return " ".join(found)


def _one(options: tuple, rng) -> str:
    return options[int(rng.integers(len(options)))]


def _date(rng) -> str:
    return f"{rng.integers(1, 29)}.{rng.integers(1, 13)}.{rng.integers(2004, 2020)}"
