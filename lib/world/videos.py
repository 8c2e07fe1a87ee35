"""Procedural videos: a goal is reached in steps, each an edit over 3 to 8 frames, between unrelated scenes.

Goals, their plans and the texts are those of `grammar_video` and `grammar_change_say`; used by hirest (2303.16406).
"""

from dataclasses import replace

import numpy as np

from lib.world import grammar_truth, grammar_video
from lib.world.edit import Op, edit
from lib.world.grammar_change_say import step
from lib.world.presets import sample
from lib.world.presets_table import CROWD_CLASSES
from lib.world.render import render
from lib.world.spec import Spec
from lib.world.textures import colours

LENGTH = (24, 48)  # frames
PLACES = {"left": (0.2, 0.5), "right": (0.8, 0.5), "middle": (0.5, 0.5), "top": (0.5, 0.2), "bottom": (0.5, 0.8)}
PLACES |= {f"{v} {h}": (x, y) for v, y in (("top", 0.2), ("bottom", 0.8)) for h, x in (("left", 0.2), ("right", 0.8))}
RADII = {"small": 8.0, "medium": 13.0, "large": 20.0}
_SCENE = {"classes": CROWD_CLASSES, "same_class": 0.0, "turn": 0.0, "light": 0.0, "styles": {"sticker": 1.0},
          "held_out_pairs": True, "mirrored": 0.0}  # fmt: skip


def row(split: str, index: int, rng, texts) -> dict:
    """A video: frames, spec (per frame), query, moment [start, end), bounds (start of each step and the end), steps,
    transcript (per frame: the running step, or filler words).

    A third of the videos hold the moment of another goal too (`query2`, `moment2`; else "" and -1). Split "distractors"
    has videos without a goal: query "", moment -1.
    """
    both = index % 3 == 0 and split != "distractors"
    parts = [_still(rng, int(rng.integers(3, 5 if both else 9)))]
    found = []
    if split == "distractors":
        parts += [_still(rng, int(rng.integers(4, 12))) for _ in range(3)]
    else:
        names = tuple(grammar_video.goals())
        for number in rng.permutation(len(names))[: 1 + both]:
            start = sum(map(len, parts))
            shots, lengths, steps, query = _moment(names[number], 5 if both else 8, rng, texts)
            parts += [shots, _still(rng, int(rng.integers(2, 4 if both else 9)))]
            found.append((query, start + np.cumsum([0, *lengths]), steps))
    frames = [spec for part in parts for spec in part]
    while len(frames) < LENGTH[0]:
        frames += _still(rng, LENGTH[0] - len(frames))
    frames = frames[: LENGTH[1]]  # cuts the end of the last scene at most
    found += [("", np.array([-1, -1]), [])] * (2 - len(found))
    (query, bounds, steps), (query2, bounds2, steps2) = found
    running = [None] * len(frames)
    for its_steps, its_bounds in ((steps, bounds), (steps2, bounds2)):
        for one, start, end in zip(its_steps, its_bounds, its_bounds[1:]):
            running[start:end] = [one] * (end - start)
    said = [grammar_video.spoken(one, texts) for one in running]
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


def _moment(goal: str, longest: int, rng, texts) -> tuple[list[Spec], list[int], list[str], str]:
    """The frames of a goal, the length and caption of each step, and the query."""
    spec = sample("scenes/base", rng, **_SCENE, num_objects={1: 1.0}, radius=(11.0, 12.0))
    model = replace(spec.objects[0], angle=0.0, z=5)
    spec = spec.replace(objects=())
    new = _one([c for c in colours() if c != model.colour], rng)
    frames, lengths, steps = [], [], []
    for part in grammar_video.goals()[goal][2]:
        kind, *values = part.split(":")
        op = _op(spec, kind, values, model, new, rng)
        after = edit(spec, op)
        length = int(rng.integers(3, longest + 1))
        frames += [_between(spec, after, op, (k + 1) / length) for k in range(length)]
        lengths.append(length)
        steps.append(step(spec, after, texts).text)
        spec = after
    frames = [one.replace(noise_seed=one.noise_seed + k) for k, one in enumerate(frames)]
    query = grammar_video.query(goal, model.name, model.colour, new, second=texts.random() >= 0.5)
    return frames, lengths, steps, query


def _op(spec: Spec, kind: str, values: list, model, new: str, rng) -> Op:
    """The edit of a step of a plan."""
    last = len(spec.objects) - 1
    if kind == "add":
        x, y = PLACES[values[0]]
        radius = RADII[values[1]] if len(values) > 1 else model.radius
        return Op("add", None, replace(model, x=x, y=y, radius=radius, noise=model.noise + last + 1))
    if kind == "remove":
        return Op("remove", last)
    if kind == "recolour":
        taken = (new, spec.objects[last].colour)
        again = not values and spec.objects[last].colour != new
        colour = _one([c for c in colours() if c not in taken], rng) if again else new
        return Op("recolour", last, colour)
    if kind == "resize":
        return Op("resize", last, RADII[values[0]])
    if kind == "move":
        return Op("move", last, PLACES[values[0]])
    if kind == "turn":
        return Op("turn", last, 90.0 * grammar_truth.TURNS.index(values[0]))
    return Op("replace", last, _one([name for name in CROWD_CLASSES if name != model.name], rng))


def _between(before: Spec, after: Spec, op: Op, share: float) -> Spec:
    """The scene a share of the way through a step: moves, sizes and turns are gradual, the rest is done at once."""
    if op.kind not in ("move", "resize", "turn"):
        return after
    a, b = before.objects[op.target], after.objects[op.target]

    def mix(first, second):
        return round(first + share * (second - first), 3)

    thing = replace(b, x=mix(a.x, b.x), y=mix(a.y, b.y), radius=mix(a.radius, b.radius), angle=mix(a.angle, b.angle))
    return after.replace(objects=tuple(thing if i == op.target else o for i, o in enumerate(after.objects)))
