"""Describer: a language model that writes down what it knows of classes. It sees rows of a table, never a picture.

`describe` writes descriptors of single classes, `contrast` sentence pairs on what two classes differ in, both in the
formats of the published files, which `load_descriptors` and `load_pairs` read.
"""

import csv
import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from lib.world import kb

Rows = Mapping[str, Mapping[str, tuple[str, ...]]]  # class -> factor -> values

FRAMES = MappingProxyType(  # how a descriptor says a value of a factor: no frame is one of the captions
    {
        "part": ("{}", "{} that one notices first"),
        "shape": ("this form: {}", "{} in its form"),
        "kind": ("a kind of {}", "often counted among {}"),
        "colour": ("mostly {} all over", "{} colouring"),
        "fill": ("{} surface", "a skin that looks {}"),
        "size": ("{} build", "a {} extent"),
        "body": ("a body shaped like {a}", "{} form"),
        "emblem": ("{a} as its emblem", "an emblem showing {a}"),
        "band": ("{a} band across it", "a band that looks {}"),
        "cap": ("{a} for a cap", "{a} on its top"),
        "mark": ("{a} as its mark", "a mark showing {a}"),
    }
)
CONTRASTS = MappingProxyType(  # what follows the class name and a comma in a differential sentence
    {
        "part": "having {}", "shape": "of this form: {}", "kind": "one of the {}", "colour": "mostly {} all over",
        "fill": "its surface {}", "size": "its build {}", "body": "shaped like {a}", "emblem": "its emblem {a}",
        "band": "its band {}", "cap": "its top {a}", "mark": "its mark {a}",
    }
)  # fmt: skip
VAGUE = (
    "a clear edge", "may come in many hues", "often seen on its own", "can differ in size", "a familiar look",
    "typical proportions", "may be turned to any side", "has a smooth edge in places", "often easy to tell apart",
    "fine details",
)  # fmt: skip


class Line(NamedTuple):
    """A descriptor. `kind` is "true", "vague" or "wrong"; `factor` and `value`: what of the row it states, else ""."""

    text: str
    kind: str
    factor: str
    value: str


def rows(classnames: Iterable[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    """What the knowledge base holds of classes, by factor. Raises ValueError for a class without a row.

    Factors: part, shape, kind (the family), colour (where typical), and use and habitat, which no picture shows; of
    badges body, emblem, band, cap and mark.
    """
    found = {}
    for name in classnames:
        if name in kb.badges():
            found[name] = _badge(kb.badges()[name])
            continue
        kind = kb.classes().get(name)
        if kind is None:
            raise ValueError(f"class '{name}' has no row in the knowledge base; pass a table of rows instead")
        row = {"part": kind.parts, "shape": (kind.shape,), "kind": (kb.families()[kind.family].hypernym,)}
        if kind.natural_colour:
            row["colour"] = (kind.natural_colour,)
        habitat = kb.values("background")[kind.habitat]
        found[name] = row | {"use": (kind.use,), "habitat": (habitat.phrase,)}
    return found


def _badge(badge: kb.Badge) -> dict[str, tuple[str, ...]]:
    with open(kb.TABLES / "badge_parts.csv", newline="", encoding="ascii") as file:
        phrases = {(row["part"], row["value"]): row["phrase"].removesuffix(" band") for row in csv.DictReader(file)}
    return {"body": (badge.phrase,)} | {part: (phrases[part, value],) for part, value in badge.parts}


def _table(classes) -> Rows:
    return classes if isinstance(classes, Mapping) else rows(classes)


def _rng(tag: str, seed: int, *names: str) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(tag.encode()), seed, *(zlib.crc32(name.encode()) for name in names)])


def clause(descriptor: str) -> str:
    """The published rule from descriptor to clause: "which is a long tail", "which has striped fur"."""
    if descriptor.startswith(("a", "used")):
        return f"which is {descriptor}"
    verbs = ("has", "often", "typically", "may", "can")
    return f"which {descriptor}" if descriptor.startswith(verbs) else f"which has {descriptor}"


def describe(
    classes, seed: int, p_vague: float = 0.15, p_wrong: float = 0.15, least: int = 2, most: int = 6
) -> dict[str, list[Line]]:
    """Two to six descriptors of each class, by class name in the given order.

    `classes` are names of classes, or a table of rows (class -> factor -> values) for classes of a notebook's own. A
    line is vague (true of nearly everything, or of use and habitat, which no picture shows) with probability
    `p_vague`, wrong (a value of another class of the list) with `p_wrong`, else true. A class depends on its name,
    the list and `seed`, not on its place. No line holds the name of its class. Raises ValueError.
    """
    if min(p_vague, p_wrong) < 0 or p_vague + p_wrong > 1 or not 1 <= least <= most:
        raise ValueError(f"rates {p_vague} and {p_wrong} must sum to at most 1, and 1 <= {least} <= {most}")
    table = _table(classes)
    return {name: _lines(name, table, _rng("describe", seed, name), p_vague, p_wrong, least, most) for name in table}


def texts(lines: Mapping[str, list[Line]]) -> dict[str, list[str]]:
    """Descriptors in the published format: class -> strings."""
    return {name: [line.text for line in found] for name, found in lines.items()}


def _lines(name, table: Rows, rng, p_vague: float, p_wrong: float, least: int, most: int) -> list[Line]:
    true = _say_all(_facts(table[name]), "true", rng)
    wrong = _say_all(_foreign(name, table), "wrong", rng)
    hidden = [f"used for {use}" for use in table[name].get("use", ())]
    hidden += [f"often found {place}" for place in table[name].get("habitat", ())]
    vague = [*VAGUE, *hidden]
    vague = [Line(vague[i], "vague", "", "") for i in rng.permutation(len(vague))]
    free = [[line for line in pool if f" {name} " not in f" {line.text} "] for pool in (true, wrong, vague)]
    count = min(int(rng.integers(least, most + 1)), len(free[0]))
    found = []
    for _ in range(count):
        draw = rng.random()
        pool = free[2] if draw < p_vague else free[1] if draw < p_vague + p_wrong and free[1] else free[0]
        found.append(pool.pop(0))
    return found


def _facts(row: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(factor, value) for factor, values in row.items() if factor not in ("use", "habitat") for value in values]


def _foreign(name: str, table: Rows) -> list[tuple[str, str]]:
    """Values of other classes, of factors that the class has, which are not its own."""
    own = table[name]
    facts = (fact for other, row in table.items() if other != name for fact in _facts(row))
    return list(dict.fromkeys((f, value) for f, value in facts if f in own and value not in own[f]))


def _say_all(facts: list[tuple[str, str]], kind: str, rng: np.random.Generator) -> list[Line]:
    """Each fact in a frame drawn at random, facts in random order, then each in its other frames."""
    order = [facts[i] for i in rng.permutation(len(facts))]
    shift = rng.integers(12, size=len(facts))
    found = []
    for turn in range(2):
        for (factor, value), first in zip(order, shift, strict=True):
            frames = FRAMES.get(factor, ("{} " + factor, f"{factor} that is {{}}"))
            found.append(Line(_fill(frames[(first + turn) % len(frames)], factor, value), kind, factor, value))
    return found


def _fill(frame: str, factor: str, value: str) -> str:
    many = "among" in frame or "one of the" in frame
    said = kb.plural(value) if many else value
    return frame.format(said, a=f"{kb.article(value)} {value}")


def contrast(classes, seed: int, p_wrong: float = 0.15, most: int = 4, pairs=None) -> dict[str, dict]:
    """Differential sentence pairs of class pairs, one contrasted factor each, at most `most` a pair.

    In the published format: key "a_b" with a < b, `classes` [a, b], `prompt_pairs` of {attr_type, prompt_pair};
    besides, `kind` of an entry is "right", "swapped" (the two values exchanged) or "empty" (both sentences say the
    same vague thing): the last two together come with probability `p_wrong`. `pairs`: pairs of class indices, default
    all. Raises ValueError.
    """
    if not 0 <= p_wrong <= 1:
        raise ValueError(f"p_wrong {p_wrong} is outside 0..1")
    table = _table(classes)
    names = list(table)
    if pairs is None:
        pairs = [(a, b) for a in range(len(names)) for b in range(a + 1, len(names))]
    found = {}
    for a, b in (sorted(map(int, pair)) for pair in pairs):
        rng = _rng("contrast", seed, names[a], names[b])
        differ = _differences(table[names[a]], table[names[b]], rng)
        chosen = [differ[i] for i in sorted(rng.permutation(len(differ))[:most])]
        entries = [_entry(names[a], names[b], *one, rng, p_wrong) for one in chosen]
        found[f"{a}_{b}"] = {"classes": [a, b], "prompt_pairs": entries}
    return found


def _differences(a: Mapping, b: Mapping, rng: np.random.Generator) -> list[tuple[str, str, str]]:
    """(factor, value of a alone, value of b alone) of every factor in which the rows differ."""
    found = []
    for factor in a:
        ours = [value for value in a[factor] if value not in b.get(factor, ())]
        theirs = [value for value in b.get(factor, ()) if value not in a[factor]]
        if factor not in ("use", "habitat") and ours and theirs:
            draw = rng.random(2)
            found.append((factor, ours[int(draw[0] * len(ours))], theirs[int(draw[1] * len(theirs))]))
    return found


def _entry(a: str, b: str, factor: str, ours: str, theirs: str, rng: np.random.Generator, p_wrong: float) -> dict:
    draw, kind = rng.random(), "right"
    frame = CONTRASTS.get(factor, f"its {factor} {{}}")
    said = [_fill(frame, factor, ours), _fill(frame, factor, theirs)]
    if draw < p_wrong / 2:
        said, kind = said[::-1], "swapped"
    elif draw < p_wrong:
        said, kind = ["having a clear edge"] * 2, "empty"
    sentences = [f"{kb.noun_phrase(name)}, {text}." for name, text in zip((a, b), said, strict=True)]
    return {"attr_type": factor, "prompt_pair": sentences, "kind": kind}


# ----------------------------------------------------------------------------------------------------------- files


def load_descriptors(path: str | Path) -> dict[str, list[str]]:
    """Descriptors of a published or written file: class -> strings, in the order of the file.

    Reads the plain form (class -> list) and the one with `index_to_descriptions` and `index_to_classname`.
    Raises ValueError for anything else.
    """
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    if isinstance(found, dict) and "index_to_descriptions" in found:
        names = found["index_to_classname"]
        found = {names[index]: lines for index, lines in found["index_to_descriptions"].items()}
    for name, lines in found.items() if isinstance(found, dict) else [("", None)]:
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise ValueError(f"{path} is no file of descriptors: '{name}' should hold a list of strings")
    return found


def load_pairs(path: str | Path) -> dict[str, dict]:
    """Differential pairs of a published or written file. Raises ValueError where an entry has another form."""
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    for key, pair in found.items():
        entries = pair.get("prompt_pairs", ()) if isinstance(pair, dict) and len(pair.get("classes", ())) == 2 else None
        if entries is None or any(len(entry["prompt_pair"]) != 2 for entry in entries):
            raise ValueError(f"{path} is no file of differential pairs: see '{key}'")
    return found


def write(path: str | Path, found: Mapping) -> None:
    """Write descriptors (of `describe`) or pairs (of `contrast`) as JSON in the published format."""
    if any(isinstance(value, list) for value in found.values()):
        found = {name: [getattr(line, "text", line) for line in lines] for name, lines in found.items()}
    else:
        keep = ("attr_type", "prompt_pair")
        found = {
            key: {**pair, "prompt_pairs": [{name: entry[name] for name in keep} for entry in pair["prompt_pairs"]]}
            for key, pair in found.items()
        }
    Path(path).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
