"""Procedural videos: a goal is reached in steps, each an edit over 3 to 8 frames, between unrelated scenes.

Goals and their plans are rows of tables/goals.csv; used by hirest (2303.16406).
"""

import csv
from dataclasses import replace
from functools import cache

import numpy as np

from lib.world import grammar_truth, kb
from lib.world.corpora_texts import phrase
from lib.world.edit import Op, edit
from lib.world.grammar_say import words
from lib.world.presets import sample
from lib.world.presets_table import CROWD_CLASSES
from lib.world.render import render
from lib.world.spec import Spec
from lib.world.textures import colours

LENGTH = (24, 48)  # frames
SPOKEN = 0.5  # of the frames of a step whose transcript speaks of it
FILLERS = ("let us see", "as you can see here", "and so it goes", "this takes a moment", "now look", "all right")
PLACES = {"left": (0.2, 0.5), "right": (0.8, 0.5), "middle": (0.5, 0.5), "top": (0.5, 0.2), "bottom": (0.5, 0.8)}
PLACES |= {f"{v} {h}": (x, y) for v, y in (("top", 0.2), ("bottom", 0.8)) for h, x in (("left", 0.2), ("right", 0.8))}
RADII = {"small": 8.0, "medium": 13.0, "large": 20.0}
_SCENE = {"classes": CROWD_CLASSES, "same_class": 0.0, "turn": 0.0, "light": 0.0, "styles": {"sticker": 1.0},
          "held_out_pairs": True, "mirrored": 0.0}  # fmt: skip


@cache
def goals() -> tuple[dict, ...]:
    """Rows of tables/goals.csv: goal, query, second (another wording), plan."""
    with open(kb.TABLES / "goals.csv", newline="") as file:
        return tuple(csv.DictReader(file))


def row(split: str, index: int, rng, texts) -> dict:
    """A video: frames, spec (per frame), query, moment [start, end), bounds (start of each step and the end), steps.

    A third of the videos hold the moment of another goal too (`query2`, `moment2`; else "" and -1). Split "distractors"
    has videos without a goal: query "", moment -1.
    """
    both = index % 3 == 0 and split != "distractors"
    parts = [_still(rng, int(rng.integers(3, 5 if both else 9)))]
    found = []
    if split == "distractors":
        parts += [_still(rng, int(rng.integers(4, 12))) for _ in range(3)]
    else:
        order = rng.permutation(len(goals()))
        for number in order[: 1 + both]:
            start = sum(map(len, parts))
            shots, lengths, steps, query = _moment(goals()[number], 5 if both else 8, rng)
            parts += [shots, _still(rng, int(rng.integers(2, 4 if both else 9)))]
            found.append((query, start + np.cumsum([0, *lengths]), steps))
    frames = [spec for part in parts for spec in part]
    while len(frames) < LENGTH[0]:
        frames += _still(rng, LENGTH[0] - len(frames))
    frames = frames[: LENGTH[1]]  # cuts the end of the last scene at most
    found += [("", np.array([-1, -1]), [])] * (2 - len(found))
    (query, bounds, steps), (query2, bounds2, _) = found
    said = [_one(FILLERS, texts) for _ in frames]
    for step, start, end in zip(steps, bounds, bounds[1:]):
        for k in range(start, end):
            said[k] = step if texts.random() < SPOKEN else said[k]
    return {"frames": np.stack([render(spec).image for spec in frames]), "spec": frames, "query": query,
            "moment": np.array([bounds[0], bounds[-1]], np.int64), "bounds": bounds[bounds >= 0].astype(np.int64),
            "steps": steps, "transcript": said, "query2": query2,
            "moment2": np.array([bounds2[0], bounds2[-1]], np.int64)}  # fmt: skip


def _one(options, rng):
    return options[int(rng.integers(len(options)))]


def _still(rng, count: int) -> list[Spec]:
    """A scene that has no part in a goal, `count` frames of it."""
    spec = sample("scenes/base", rng, **_SCENE, num_objects={1: 0.4, 2: 0.4, 3: 0.2})
    return [spec.replace(noise_seed=spec.noise_seed + k) for k in range(count)]


def _moment(goal: dict, longest: int, rng) -> tuple[list[Spec], list[int], list[str], str]:
    """The frames of a goal, the length and sentence of each step, and the query."""
    spec = sample("scenes/base", rng, **_SCENE, num_objects={1: 1.0}, radius=(11.0, 12.0))
    model = replace(spec.objects[0], angle=0.0, z=5)
    spec = spec.replace(objects=())
    new = _one([c for c in colours() if c != model.colour], rng)
    frames, lengths, steps = [], [], []
    for step in goal["plan"].split(";"):
        kind, *values = step.split(":")
        op, text = _step(spec, kind, values, model, new, rng)
        after = edit(spec, op)
        length = int(rng.integers(3, longest + 1))
        frames += [_between(spec, after, op, (k + 1) / length) for k in range(length)]
        lengths.append(length)
        steps.append(text)
        spec = after
    frames = [one.replace(noise_seed=one.noise_seed + k) for k, one in enumerate(frames)]
    known = kb.classes()[model.name]
    noun = f"{kb.article(model.colour)} {model.colour} {known.phrase}"
    wording = goal["query"] if rng.random() < 0.5 else goal["second"]
    query = wording.format(noun=noun, plural=f"{model.colour} {known.plural}", colour=new)
    return frames, lengths, steps, query


def _step(spec: Spec, kind: str, values: list, model, new: str, rng) -> tuple[Op, str]:
    """The edit of a step of a plan and its sentence."""
    noun = kb.classes()[model.name].phrase
    last = len(spec.objects) - 1
    if kind == "add":
        place = values[0]
        x, y = PLACES[place]
        radius = RADII[values[1]] if len(values) > 1 else model.radius
        thing = replace(model, x=x, y=y, radius=radius, noise=model.noise + last + 1)
        return Op("add", None, thing), f"add a {phrase(thing)} {words('position', grammar_truth.position(thing))[0]}"
    if kind == "remove":
        return Op("remove", last), f"remove the {noun}"
    if kind == "recolour":
        colour = new if values or spec.objects[last].colour == new else _one([c for c in colours() if c not in (
            new, spec.objects[last].colour)], rng)  # fmt: skip
        return Op("recolour", last, colour), f"paint the {noun} {colour}"
    if kind == "resize":
        grows = RADII[values[0]] > spec.objects[last].radius
        return Op("resize", last, RADII[values[0]]), f"{'enlarge' if grows else 'shrink'} the {noun}"
    if kind == "move":
        return Op("move", last, PLACES[values[0]]), f"move the {noun} to the {values[0]}"
    if kind == "turn":
        angle = 90.0 * grammar_truth.TURNS.index(values[0])
        return Op("turn", last, angle), f"turn the {noun} {words('turn', values[0])[0]}"
    name = _one([n for n in CROWD_CLASSES if n != model.name], rng)
    return Op("replace", last, name), f"replace the {noun} with a {kb.classes()[name].phrase}"


def _between(before: Spec, after: Spec, op: Op, share: float) -> Spec:
    """The scene a share of the way through a step: moves, sizes and turns are gradual, the rest is done at once."""
    if op.kind not in ("move", "resize", "turn"):
        return after
    a, b = before.objects[op.target], after.objects[op.target]

    def mix(first, second):
        return round(first + share * (second - first), 3)

    thing = replace(b, x=mix(a.x, b.x), y=mix(a.y, b.y), radius=mix(a.radius, b.radius), angle=mix(a.angle, b.angle))
    return after.replace(objects=tuple(thing if i == op.target else o for i, o in enumerate(after.objects)))
