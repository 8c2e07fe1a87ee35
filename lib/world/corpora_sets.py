"""Corpora that are no plain scenes: damage, backlit twins, set pairs, pictures from above, and writing.

Each function gives the row of an index of a split as a dict of fields; lists of what a row may hold are in `corpora`.
"""

from dataclasses import replace

import numpy as np

from lib.world import damage, lettering, optics, overhead, writing
from lib.world.corpora_texts import captions, kinds
from lib.world.grammar_say import words
from lib.world.presets import sample
from lib.world.render import render
from lib.world.spec import Background, Corruption, Spec, Word
from lib.world.textures import MATERIALS, colours

# ---- damage: anovl

SEEN_CLASSES = ("spade", "die with three", "gear", "wheel", "smiling face", "cow", "cat", "pencil")  # role A, in "val"
UNSEEN_CLASSES = ("rook", "envelope", "urn", "flower", "skull", "telephone", "yin yang", "square")  # role B, in "test"
GROUNDS = ("brick", "wood")  # textures of "test"
DAMAGE_CLASSES = {"val": SEEN_CLASSES, "test": (*UNSEEN_CLASSES, *GROUNDS)}


def damage_row(split: str, index: int, rng, texts) -> dict:
    """Objects and textures, half of them damaged; `mask` bool [64, 64] of the damage, `label` of DAMAGE_CLASSES."""
    names = DAMAGE_CLASSES[split]
    name, hurt = names[index % len(names)], bool(index // len(names) % 2)
    spec = sample("damage", rng, **({} if name in GROUNDS else {"only": (name,)}))
    target = 0
    if name in GROUNDS:
        spec, target = spec.replace(objects=(), background=Background(name, noise=spec.noise_seed), style="sticker"), -1
    kind = damage.KINDS[int(rng.integers(len(damage.KINDS)))]
    if hurt:
        spec = spec.replace(damage=(damage.place(kind, rng, spec, target),))
    drawn = render(spec, ("damage",))
    return {"image": drawn.image, "inst": drawn.inst, "mask": drawn.damage, "spec": spec, "anomalous": hurt,
            "label": index % len(names), "attrs.kind": damage.KINDS.index(kind) if hurt else -1,
            "captions": captions("damage", spec, texts), "kinds": kinds("damage")}  # fmt: skip


# ---- backlit: clip_lit, rave

DARK = 154  # 256ths: pixels with less light belong to `dark`


def backlit_row(split: str, index: int, rng, texts) -> dict:
    """A backlit or a well-lit scene; `target` is the well-lit twin, `dark` bool [64, 64] where light is lost."""
    red = {"colours": ("red",) * 7 + ("yellow", "green", "blue")} if split == "well_lit_red" else {}
    twin = sample("backlit", rng, **red)
    level, seed = round(rng.uniform(0.62, 0.83), 3), int(rng.integers(1 << 31))
    spec = twin
    if not split.startswith("well_lit"):
        spec = twin.replace(light=replace(twin.light, backlit=level, noise=seed),
                            corruptions=(Corruption("noise", 0.08, seed),))  # fmt: skip
    drawn, target = render(spec), render(twin).image
    dark = optics.light_map(spec.light, drawn.inst) < DARK
    return {"image": drawn.image, "inst": drawn.inst, "target": target, "dark": dark, "spec": spec,
            "captions": captions("backlit", twin, texts), "kinds": kinds("backlit")}  # fmt: skip


# ---- setpairs: visdiff

SET_SIZE = 60
PURITIES = (1.0, 0.8, 0.6, 0.5)
LEVELS = {"class": "easy", "colour": "medium", "fill": "medium", "size": "medium", "position": "hard", "count": "hard",
          "light": "hard", "background": "hard", "word": "hard"}  # fmt: skip
FACTORS = ("class", "colour", "class", "fill", "class", "size", "colour", "position", "fill", "count", "size", "light",
           "background", "word", "position")  # fmt: skip
_CLASSES = ("cat", "cow", "rook", "urn", "gear", "envelope", "flower", "skull", "spade", "telephone")
_PLACES = {"top left": (0.22, 0.22), "top right": (0.78, 0.22), "bottom left": (0.22, 0.78), "middle": (0.5, 0.5)}


def setpairs_row(split: str, index: int, rng, texts) -> dict:
    """Two sets of 60 pictures that share a context and differ in one factor, at a purity; `phrase` is true of set a."""
    factor, purity = FACTORS[index % len(FACTORS)], PURITIES[index // len(FACTORS) % len(PURITIES)]
    first, second = _two_values(factor, rng)
    shown = [_CLASSES[k] for k in rng.permutation(len(_CLASSES))[:4]]
    context = {"classes": tuple(c for c in shown if c not in (first, second)), "num_objects": {1: 1.0}, "turn": 0.0,
               "same_class": 0.0, "radius": (11.0, 15.0), "light": 0.0, "held_out_pairs": True}  # fmt: skip
    pictures, specs = {"a": [], "b": []}, {"a": [], "b": []}
    for side, own, other in (("a", first, second), ("b", second, first)):
        pure = rng.permutation(SET_SIZE) < round(purity * SET_SIZE)
        for k in range(SET_SIZE):
            spec = _with(sample("scenes/base", rng, **context), factor, own if pure[k] else other, rng)
            pictures[side].append(render(spec).image)
            specs[side].append(spec)
    return {"a": np.stack(pictures["a"]), "b": np.stack(pictures["b"]), "spec_a": specs["a"], "spec_b": specs["b"],
            "factor": factor, "phrase": _phrase(factor, first), "phrase_b": _phrase(factor, second),
            "level": LEVELS[factor], "purity": purity}  # fmt: skip


def _two_values(factor: str, rng) -> list:
    values = {"class": _CLASSES, "colour": tuple(c for c in colours() if c not in ("white", "grey", "brown")),
              "fill": ("plain", "striped", "dotted", "checked"), "size": ("small", "large"), "position": tuple(_PLACES),
              "count": (2, 3), "light": ("dark", "bright", ""), "background": tuple(MATERIALS),
              "word": ("stop", "open", "sale", "free", "")}[factor]  # fmt: skip
    pair = [values[k] for k in rng.permutation(len(values))[:2]]
    return pair if pair[0] != "" else pair[::-1]


def _with(spec: Spec, factor: str, value, rng) -> Spec:
    """The scene with a value of the factor."""
    thing = spec.objects[0]
    if factor == "class":
        thing = replace(thing, name=value)
    elif factor == "colour":
        thing = replace(thing, colour=value)
    elif factor == "fill":
        second = "white" if thing.colour != "white" else "blue"
        thing = replace(thing, fill=value, fill_colour=second)
    elif factor == "size":
        radius = rng.uniform(7.5, 10.0) if value == "small" else rng.uniform(17.0, 22.0)
        thing = replace(thing, radius=round(radius, 1))
    elif factor == "position":
        x, y = (round(c + rng.uniform(-0.06, 0.06), 3) for c in _PLACES[value])
        thing = replace(thing, x=x, y=y)
    elif factor == "count":
        from lib.world.edit import Op, edit

        small = spec.replace(objects=(replace(thing, radius=9.0, x=round(rng.uniform(0.2, 0.8), 3)),))
        return edit(small, Op("count", 0, value))
    elif factor == "light":
        gain = {"dark": 0.35, "bright": 1.55, "": 1.0}[value]
        return spec.replace(light=replace(spec.light, gain=gain, word=value))
    elif factor == "background":
        return spec.replace(background=Background(value, noise=spec.background.noise))
    elif value:
        word = Word(value, round(rng.uniform(0.3, 0.7), 3), round(rng.uniform(0.15, 0.85), 3), noise=spec.noise_seed)
        return spec.replace(words=(word,))
    return spec.replace(objects=(thing,))


def _phrase(factor: str, value) -> str:
    """What is true of the scenes with a value of the factor; "" where that is the absence of something."""
    if value == "":
        return ""
    if factor == "class":
        return f"a {words_of(value)}"
    if factor == "count":
        return f"{'two' if value == 2 else 'three'} objects"
    if factor == "word":
        return f'a sign saying "{value}"'
    said = words(factor, value)[0]
    if factor in ("colour", "fill", "size"):
        return f"a {said} object"
    return f"an object {said}"


def words_of(name: str) -> str:
    """Noun of a class."""
    from lib.world import kb

    return kb.classes()[name].phrase


# ---- overhead: rs_m_clip

MINI_LANGUAGES = ("en", "pt", "de", "es")


def overhead_row(split: str, index: int, rng, texts) -> dict:
    """A picture from above; `label` of overhead.LANDS, two captions in each language."""
    from lib.world import languages

    scene = overhead.sample(rng, overhead.LANDS[index % len(overhead.LANDS)])
    facts = overhead.truth(scene)
    said = {code: [languages.caption_from_above(facts, code, texts) for _ in range(2)] for code in MINI_LANGUAGES}
    return {"image": overhead.render(scene), "label": index % len(overhead.LANDS), "spec": scene,
            "captions": said["en"], "kinds": ["short", "short"],
            **{f"by_lang.{code}": lines for code, lines in said.items()}}  # fmt: skip


# ---- writing: wires, words, firms, authors, text

WRITING = {"wires": "wires", "words/words": "words", "words/firms": "firms", "authors": "authors", "text": "text"}


def writing_rows(name: str, split: str, profile: str):
    """Rows of a corpus of writing, with pictures drawn."""
    for row in writing.rows(WRITING[name], split, profile):
        row = dict(row)
        if name == "wires":
            photo = row.pop("photo")
            row |= {"photo": render(photo).image, "spec": photo, "noise": float(row["noise"])}
        elif name.startswith("words/") and split != "text":
            text = lettering.two_lines(row["text"]) if name == "words/firms" else row["text"]
            row["image"] = lettering.crop(text, row["font"], row["noise"], logo=row["logo"])
        yield row
