"""Pairs of pictures: minimal pairs with a statement each, described changes, and compositional foils.

Everything is an edit of one scene, so what differs is known exactly.
"""

from dataclasses import replace

from lib.world import damage, grammar_pairs, grammar_truth
from lib.world.edit import Op, edit, free_place
from lib.world.grammar_change_say import change_text
from lib.world.presets import role, sample, solid_classes
from lib.world.presets_table import CROWD_CLASSES
from lib.world.render import render
from lib.world.spec import Camera, Light, Spec, Word
from lib.world.textures import colours

PATTERNS = ("turn", "count", "recolour", "move", "add", "state", "word", "resize", "refill")
CHANGES = ("add", "remove", "replace", "recolour", "resize", "move", "count", "word", "light", "viewpoint", "none")
FOILS = ("subject", "object", "relation", "attribute")
LEXICON = ("stop", "open", "sale", "exit", "free", "taxi")  # words that base captions quote
_PLACES = {"top left": (0.2, 0.2), "top right": (0.8, 0.2), "bottom left": (0.2, 0.8), "bottom right": (0.8, 0.8)}
_BASE = {"styles": {"sticker": 0.8, "photo": 0.2}, "same_class": 0.0, "turn": 0.0, "mirrored": 0.0, "light": 0.0,
         "held_out_pairs": True}  # fmt: skip


def row(preset: str, split: str, index: int, rng, texts) -> dict:
    """A pair: image, image2, spec, spec2, text, text2, ops, aligned, neg_type.

    minimal  `text` and `text2` are each true of their own picture and false of the other
    change   `text` says what has changed; `text2` is empty
    compose  as minimal, on two objects and how they stand; `neg_type` says what was exchanged
    """
    before, after, ops, aligned, foil = {"minimal": minimal, "change": change, "compose": compose}[preset](index, rng)
    if preset == "minimal":
        said = [one.text for one in grammar_pairs.statements(before, after, texts, ops)]
    elif preset == "change":
        said = [change_text(before, after, texts, ops).text, ""]
    else:
        said = [grammar_pairs.compose(spec, texts, (0, 1)).text for spec in (before, after)]
    first, second = render(before), render(after)
    return {"image": first.image, "image2": second.image, "spec": before, "spec2": after,
            "text": said[0], "text2": said[1], "ops": ops, "aligned": aligned, "neg_type": foil}  # fmt: skip


def _one(options, rng):
    return options[int(rng.integers(len(options)))]


def _other(options, value, rng):
    return _one([option for option in options if option != value], rng)


# ---- minimal pairs: diva, un2clip


def minimal(index: int, rng) -> tuple:
    """Two scenes with exactly one change: (before, after, ops, aligned, "")."""
    pattern = PATTERNS[index % len(PATTERNS)]
    names = tuple(n for n in role("A") if n in solid_classes()) if pattern == "state" else solid_classes()
    radius = (15.0, 22.0) if pattern == "state" else (9.0, 10.0) if pattern == "count" else (12.0, 20.0)
    number = {1: 1.0} if pattern in ("count", "state", "add") else {1: 0.6, 2: 0.4}
    before = sample("scenes/base", rng, **_BASE, classes=names, num_objects=number, radius=radius)
    thing = before.objects[0]
    if pattern == "turn":
        op = Op("turn", 0, float(thing.angle + _one((90.0, 180.0, 270.0), rng)))
    elif pattern == "count":
        before = edit(before, Op("count", 0, 3)) if rng.random() < 0.5 else before
        op = Op("count", 0, _other((1, 2, 3, 4), len(before.objects), rng))
    elif pattern == "recolour":
        op = Op("recolour", 0, _other(tuple(colours()), thing.colour, rng))
    elif pattern == "move":
        word = grammar_truth.position(thing)
        op = Op("move", 0, _PLACES[_other(tuple(_PLACES), word, rng)])
    elif pattern == "add":
        op = Op("add", None, _newcomer(before, rng))
    elif pattern == "state":
        op = Op("state", 0, damage.place(_one(damage.KINDS, rng), rng, before, 0, (7.0, 10.0)))
        before = before.replace(objects=(replace(thing, state="flawless"), *before.objects[1:]))
    elif pattern == "word":
        before = before.replace(words=(Word(_one(LEXICON, rng), 0.5, _one((0.12, 0.88), rng), noise=index),))
        op = Op("word", 0, _other(LEXICON, before.words[0].text, rng))
    elif pattern == "resize":
        small = rng.random() < 0.5
        before = before.replace(objects=(replace(thing, radius=9.5 if small else 19.5), *before.objects[1:]))
        op = Op("resize", 0, 19.0 if small else 9.0)
    else:
        fill = _other(("plain", "striped", "dotted", "checked"), thing.fill, rng)
        op = Op("refill", 0, (fill, "white" if thing.colour != "white" else "blue"))
    after = edit(before, op)
    if rng.random() < 0.5 and pattern not in ("state", "word"):
        before, after = after, before
    return before, after, [pattern], True, ""


def _newcomer(spec: Spec, rng, gone: set = frozenset()):
    """A small object of a class that the scene does not show, nor has lost."""
    taken = gone | {thing.name for thing in spec.objects}
    names = tuple(name for name in CROWD_CLASSES if name not in taken)
    fresh = sample("scenes/base", rng, **_BASE, classes=names, num_objects={1: 1.0}, radius=(8.5, 10.0)).objects[0]
    x, y = free_place(spec, fresh.radius)
    return replace(fresh, x=x, y=y, z=1)


# ---- changes: omnidiff


def change(index: int, rng) -> tuple:
    """One or two changes, half of the pairs under a jittered view and light (`aligned` False)."""
    before = sample("scenes/base", rng, **_BASE, classes=CROWD_CLASSES, num_objects={2: 0.4, 3: 0.4, 4: 0.2},
                    spread=26.0)  # fmt: skip
    if index % 4 == 0:
        before = before.replace(words=(Word(_one(LEXICON, rng), 0.5, 0.12, noise=index),))
    first = CHANGES[index % len(CHANGES)]
    chosen = (
        [first] if first in ("none", "viewpoint") or rng.random() < 0.6 else [first, _other(CHANGES[:9], first, rng)]
    )
    after, touched = before, set()
    for kind in chosen:
        op, name = _change(kind, after, touched, rng)
        after = edit(after, op)
        touched.add(name)
    aligned = first == "viewpoint" or rng.random() < 0.5
    if not aligned:
        gain = round(rng.uniform(0.85, 1.15), 2)
        light = replace(after.light, gain=round(after.light.gain * gain, 2))
        after = after.replace(camera=_shifted(rng, 2, 4), light=light)
    return before, after, chosen, aligned, ""


def _shifted(rng, low: float, high: float) -> Camera:
    dx, dy = (round(rng.uniform(low, high) * _one((-1, 1), rng), 1) for _ in range(2))
    return Camera(dx, dy, round(rng.uniform(0.94, 1.06), 3))


def _change(kind: str, spec: Spec, touched: set, rng) -> tuple[Op, str]:
    """An op of a kind and the name of the class it is about."""
    free = [i for i, thing in enumerate(spec.objects) if thing.name not in touched] or [0]
    k = _one(free, rng)
    thing = spec.objects[k]
    name = thing.name
    if kind == "add":
        fresh = _newcomer(spec, rng, touched)
        return Op("add", None, fresh), fresh.name
    if kind == "remove":
        return Op("remove", k), name
    if kind == "replace":
        taken = touched | {other.name for other in spec.objects}
        fresh = _one([other for other in CROWD_CLASSES if other not in taken], rng)
        return Op("replace", k, fresh), fresh
    if kind == "recolour":
        return Op("recolour", k, _other(tuple(colours()), thing.colour, rng)), name
    if kind == "resize":
        return Op("resize", k, 17.0 if thing.radius < 12.5 else 8.0), name
    if kind == "move":
        return Op("move", k, _PLACES[_other(tuple(_PLACES), grammar_truth.position(thing), rng)]), name
    if kind == "count":
        return Op("count", k, grammar_truth.count(spec.objects, name) + int(rng.integers(1, 3))), name
    if kind == "word":
        if spec.words:
            return Op("word", 0, _other(LEXICON, spec.words[0].text, rng)), "word"
        return Op("word", None, Word(_one(LEXICON, rng), 0.5, 0.12, noise=spec.noise_seed)), "word"
    if kind == "light":
        word = _one(("dark", "dim", "bright"), rng)
        return Op("light", None, Light({"dark": 0.4, "dim": 0.62, "bright": 1.5}[word], word=word)), "light"
    if kind == "viewpoint":
        return Op("viewpoint", None, _shifted(rng, 2, 6)), "view"
    return Op("none"), ""


# ---- compositional foils: comclip


def compose(index: int, rng) -> tuple:
    """A scene of "<attribute> X <relation> <attribute> Y" and a foil that differs in one thing."""
    foil = FOILS[index % len(FOILS)]
    spec = sample("scenes/base", rng, **_BASE, classes=CROWD_CLASSES, num_objects={3: 1.0}, radius=(10.0, 13.0),
                  fills={"plain": 1.0})  # fmt: skip
    a, b, c = spec.objects
    upright = rng.random() < 0.5
    low, high = 0.25 + rng.uniform(-0.03, 0.03), 0.7 + rng.uniform(-0.03, 0.03)
    if rng.random() < 0.5:
        low, high = high, low
    across = round(rng.uniform(0.3, 0.4), 3)
    spots = [(across, low), (across, high)] if upright else [(low, across), (high, across)]
    rest = (0.82, 0.5) if upright else (0.5, 0.82)
    colour = _other(tuple(colours()), a.colour, rng)
    things = [replace(o, x=round(x, 3), y=round(y, 3), radius=r, z=3 + k) for k, (o, (x, y), r) in
              enumerate(((a, spots[0], 11.0), (b, spots[1], 11.0), (c, rest, 8.0)))]  # fmt: skip
    if b.colour == a.colour:
        things[1] = replace(things[1], colour=colour)
    before = spec.replace(objects=tuple(things))
    names = [name for name in CROWD_CLASSES if name not in {o.name for o in things}]
    op = Op(f"swap {foil}", (0, 1), _one(names, rng) if foil in ("subject", "object") else None)
    return before, edit(before, op), [op.kind], True, foil
