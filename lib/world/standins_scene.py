"""Stand-ins that see a scene: captioner, detector and judge, each through errors at rates that are parameters."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lib.world import grammar, kb
from lib.world import grammar_truth as truth
from lib.world.languages_say import say
from lib.world.spec import Object, Spec
from lib.world.standins_slots import LOOKS, Noun, Said, degrade

SEEN = (  # what a captioner may speak of
    *(factor for factor in LOOKS if factor != "layout"),
    *("count", "relation", "word", "background", "light", "lighting", "quality", "style"),
)
CAPTION_FRAME = "we have {}"


def recaption(
    specs: Sequence[Spec],
    seed: int,
    p_drop: float = 0.3,
    p_confuse: float = 0.1,
    factors: Sequence[str] = SEEN,
    coarse: bool = False,
    most: int = 3,
) -> list[str]:
    """A captioner's string of each scene in one fixed style; line i depends on its scene, on i and on `seed` alone.

    It speaks of the `most` largest kinds of objects and of every visible thing of `factors`. Each slot (class, look,
    number, relation, scene word) is lost with probability `p_drop` and taken for another of its kind with `p_confuse`;
    a lost class is an "object". `coarse` says families in place of classes. Raises ValueError for an unknown factor.
    """
    if unknown := set(factors) - set(SEEN):
        raise ValueError(f"factors {sorted(unknown)} are unknown; choose of {', '.join(SEEN)}")
    tag, found = zlib.crc32(b"recaption"), []
    for i, spec in enumerate(specs):
        said = seen(spec, tuple(factors), coarse, most)
        kept = degrade(said, np.random.default_rng([tag, seed, i]), p_drop, p_confuse)
        found.append(say(kept, "en", lambda options: options[0], frame=CAPTION_FRAME))
    return found


def seen(spec: Spec, factors: Sequence[str] = SEEN, coarse: bool = False, most: int = 3) -> Said:
    """Everything true that `recaption` would say without errors."""
    spec = truth.seen(spec)
    groups: dict[str, list[tuple[Object, list]]] = {}
    for index in sorted(
        range(len(spec.objects)), key=lambda index: (-spec.objects[index].radius, spec.objects[index].z)
    ):
        thing = spec.objects[index]
        kind = kb.kind(thing.name)
        name = kind.family if coarse else kind.phrase if isinstance(kind, kb.Badge) else thing.name
        groups.setdefault(name, []).append((thing, _looks(spec, index, factors)))
    kinds, nouns = list(groups.items())[:most], []
    for name, group in kinds:
        shared = tuple(look for look in group[0][1] if all(look in other for _, other in group[1:]))
        if len(group) > 1 and "count" in factors:
            nouns.append(Noun(name, shared, len(group)))
        else:
            nouns.append(Noun(name, shared, None, "several" if len(group) > 1 else ""))
    relations = []
    if "relation" in factors and len(kinds) > 1 and all(len(group) == 1 for _, group in kinds[:2]):
        relations = [(0, relation, 1) for relation in truth.relations(kinds[0][1][0][0], kinds[1][1][0][0])[:1]]
    if "word" in factors:
        nouns += [Noun(name) for name in dict.fromkeys(map(truth.quoted, spec.words))]
    scene = [("background", spec.background.name), ("light", spec.light.word), ("style", spec.style)]
    scene += [("lighting", "backlit")] * bool(spec.light.backlit)
    scene += [("quality", truth.QUALITIES[one.kind]) for one in spec.corruptions[:1] if one.strength > 0]
    return Said(tuple(nouns), tuple(relations), tuple(pair for pair in scene if pair[1] and pair[0] in factors))


def _looks(spec: Spec, index: int, factors: Sequence[str]) -> list[tuple[str, str]]:
    visible, states = truth.attributes(spec.objects[index], spec.style), truth.states(spec, index)
    if visible["turn"] == "upright":
        del visible["turn"]
    if len(states) > 1 or spec.objects[index].state:
        visible["state"] = states[-1]
    return [(factor, visible[factor]) for factor in LOOKS if factor in visible and factor in factors]


# -------------------------------------------------------------------------------------------------------- detector


class Detections(NamedTuple):
    """`boxes` f32 [k,4] xyxy in [0,1], `phrases`, `scores` f32 [k], `source` i64 [k]: index of the true box or -1."""

    boxes: np.ndarray
    phrases: list[str]
    scores: np.ndarray
    source: np.ndarray


def detect(
    boxes: np.ndarray,
    phrases: Sequence[str],
    rng: np.random.Generator,
    jitter: float = 0.1,
    p_drop: float = 0.1,
    p_false: float = 0.1,
    p_label: float = 0.1,
    others: Sequence[str] = (),
) -> Detections:
    """True boxes as a detector would give them.

    Each edge moves by up to `jitter` (0 to 0.4) of its side, evenly; a box is lost with probability `p_drop`; each
    true box brings a false one elsewhere with probability `p_false`; the phrase of a box becomes another one with
    probability `p_label`, drawn of `others` and the phrases of the picture. Scores are evenly 0.4-1 for true and
    0.1-0.7 for false boxes. boxes  float [n,4] xyxy in [0,1]. Raises ValueError for values that do not fit.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    if len(boxes) != len(phrases):
        raise ValueError(f"{len(boxes)} boxes and {len(phrases)} phrases do not pair up")
    if not 0 <= jitter <= 0.4 or not all(0 <= rate <= 1 for rate in (p_drop, p_false, p_label)):
        raise ValueError(f"jitter {jitter} must lie in 0..0.4 and the rates {p_drop}, {p_false}, {p_label} in 0..1")
    pool = list(dict.fromkeys([*others, *phrases]))
    sides = np.concatenate([boxes[:, 2:] - boxes[:, :2]] * 2, 1)
    moved = np.clip(boxes + rng.uniform(-jitter, jitter, boxes.shape) * sides, 0, 1)
    said = [_relabel(phrase, pool, rng, p_label) for phrase in phrases]
    kept, false = rng.random(len(boxes)) >= p_drop, np.flatnonzero(rng.random(len(boxes)) < p_false)
    size = rng.uniform(0.15, 0.5, (len(false), 2))
    corner = rng.uniform(0, 1, (len(false), 2)) * (1 - size)
    wrong = [pool[int(rng.integers(len(pool)))] for _ in false]
    scores = np.concatenate([rng.uniform(0.4, 1, len(boxes))[kept], rng.uniform(0.1, 0.7, len(false))])
    return Detections(
        np.concatenate([moved[kept], np.concatenate([corner, corner + size], 1)]).astype(np.float32),
        [phrase for phrase, keep in zip(said, kept, strict=True) if keep] + wrong,
        scores.astype(np.float32),
        np.concatenate([np.flatnonzero(kept), np.full(len(false), -1)]).astype(np.int64),
    )


def _relabel(phrase: str, pool: list[str], rng: np.random.Generator, p_label: float) -> str:
    others = [one for one in pool if one != phrase]
    return others[int(rng.integers(len(others)))] if rng.random() < p_label and others else phrase


def wear(masks: np.ndarray, rng: np.random.Generator, pixels: int = 2) -> np.ndarray:
    """Masks as a segmenter would give them: each eroded, dilated or shifted by 0 to `pixels`. bool [n,H,W] -> the same.

    A mask that erosion would empty is eroded less. Shifts go in one of eight directions and bring in nothing.
    """
    masks = np.asarray(masks)
    if masks.dtype != bool or masks.ndim != 3:
        raise ValueError(f"masks must be bool [n,H,W], not {masks.dtype} {list(masks.shape)}")
    return np.array([_wear(mask, rng, pixels) for mask in masks], bool).reshape(masks.shape)


def _wear(mask: np.ndarray, rng: np.random.Generator, pixels: int) -> np.ndarray:
    kind, steps = ("erode", "dilate", "shift")[int(rng.integers(3))], int(rng.integers(pixels + 1))
    direction = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x][int(rng.integers(8))]
    if kind == "shift":
        return _shift(mask, direction[0] * steps, direction[1] * steps)
    for _ in range(steps):
        new = mask.copy()
        for y, x in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            new = new & _shift(mask, y, x) if kind == "erode" else new | _shift(mask, y, x)
        if not new.any():
            break
        mask = new
    return mask


def _shift(mask: np.ndarray, y: int, x: int) -> np.ndarray:
    height, width = mask.shape
    found = np.zeros_like(mask)
    found[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)] = mask[
        max(-y, 0) : height + min(-y, 0), max(-x, 0) : width + min(-x, 0)
    ]
    return found


class Segments(NamedTuple):
    """`masks` bool [k,H,W], `kinds` of each, of `SEGMENTS`, and `source` i64 [k]: index of its object, else -1."""

    masks: np.ndarray
    kinds: list[str]
    source: np.ndarray


SEGMENTS = ("worn", "exact", "box", "union", "ground", "blob")


def segment(masks: np.ndarray, rng: np.random.Generator, count: int = 12, pixels: int = 2) -> Segments:
    """Class-agnostic proposals for a picture: every true mask worn (`wear`), then others up to `count`, drawn evenly.

    exact, box: a true mask, its box; union: two masks; ground: an ellipse without objects; blob: an ellipse. Empty
    masks give none and masks are never empty; without objects all are of the ground. After OVSeg and MAFT+, whose
    proposals come from trained networks. masks  bool [n,H,W]. Raises ValueError.
    """
    masks = np.asarray(masks)
    if masks.dtype != bool or masks.ndim != 3:
        raise ValueError(f"masks must be bool [n,H,W], not {masks.dtype} {list(masks.shape)}")
    there = np.flatnonzero(masks.any((1, 2))).tolist()
    found = [("worn", index, one) for index, one in zip(there, wear(masks[there], rng, pixels))]
    while len(found) < count:
        kind = SEGMENTS[1 + int(rng.integers(5))] if there else "ground"
        index = there[int(rng.integers(len(there)))] if there else -1
        if kind == "exact":
            mask = masks[index]
        elif kind == "box":
            mask = _filled(masks[index])
        elif kind == "union":
            mask = masks[index] | masks[there[int(rng.integers(len(there)))]]
        else:
            mask = _ellipse(masks.shape[1:], rng)
            mask = mask & ~masks.any(0) if kind == "ground" else mask
        if mask.any():
            found.append((kind, index if kind in ("exact", "box") else -1, mask))
    kinds, source, drawn = zip(*found[:count])
    return Segments(np.array(drawn, bool), list(kinds), np.array(source, np.int64))


def _filled(mask: np.ndarray) -> np.ndarray:
    """The box of a mask, bool [H, W]."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    found = np.zeros_like(mask)
    found[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return found


def _ellipse(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A random ellipse, its half axes 0.08 to 0.3 of the sides."""
    (cy, cx), (ry, rx) = rng.uniform(0, 1, 2), rng.uniform(0.08, 0.3, 2)
    y, x = (np.arange(size)[:, None] / size for size in shape)
    return ((y - cy) / ry) ** 2 + ((x.T - cx) / rx) ** 2 <= 1


# ----------------------------------------------------------------------------------------------------------- judge


def judge(specs: Sequence[Spec], phrase: str, seed: int = 0, p_error: float = 0.0) -> np.ndarray:
    """Whether a phrase is true of each scene, answered wrongly with probability `p_error`. bool [N].

    Raises ValueError for a phrase that the grammar does not understand.
    """
    if not 0 <= p_error <= 1:
        raise ValueError(f"p_error {p_error} is outside 0..1")
    answers = np.array([grammar.holds(spec, phrase) for spec in specs], bool)
    tag = zlib.crc32(f"judge/{phrase}".encode())
    return answers ^ (np.random.default_rng([tag, seed]).random(len(answers)) < p_error)
