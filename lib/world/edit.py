"""Edits of a scene: each changes what it says and nothing else."""

from dataclasses import replace
from typing import Any, NamedTuple

from lib.world.atlas import class_index
from lib.world.spec import Background, Light, Object, Spec

KINDS = ("add", "remove", "replace", "recolour", "resize", "move", "turn", "light", "background", "none")


class Op(NamedTuple):
    """One edit. `target` is the index of an object, where the kind needs one; `value` depends on the kind.

    add: an Object. remove: no value. replace: a class name. recolour: a colour name. resize: radius in px.
    move: (x, y). turn: degrees. light: a Light. background: a Background. none: changes nothing.
    """

    kind: str
    target: int | None = None
    value: Any = None


def edit(spec: Spec, op: Op) -> Spec:
    """Apply one edit. Raises ValueError where it cannot be applied or would change nothing."""
    if op.kind not in KINDS:
        raise ValueError(f"edit '{op.kind}' is unknown; choose one of {', '.join(KINDS)}")
    if op.kind == "none":
        return spec
    if op.kind in ("add", "light", "background"):
        kind = {"add": Object, "light": Light, "background": Background}[op.kind]
        if not isinstance(op.value, kind):
            raise ValueError(f"edit '{op.kind}' needs a {kind.__name__} as value, not {op.value!r}")
        return _changed(
            spec, spec.replace(**({"objects": (*spec.objects, op.value)} if op.kind == "add" else {op.kind: op.value}))
        )
    if op.target is None or not 0 <= op.target < len(spec.objects):
        raise ValueError(f"edit '{op.kind}' needs a target within 0..{len(spec.objects) - 1}, not {op.target}")
    things = list(spec.objects)
    if op.kind == "remove":
        del things[op.target]
        return spec.replace(objects=tuple(things))
    if op.kind == "replace":
        class_index(op.value)
    changes = {
        "replace": lambda v: {"name": v},
        "recolour": lambda v: {"colour": v},
        "resize": lambda v: {"radius": float(v)},
        "move": lambda v: {"x": v[0], "y": v[1]},
        "turn": lambda v: {"angle": float(v)},
    }
    things[op.target] = replace(things[op.target], **changes[op.kind](op.value))
    return _changed(spec, spec.replace(objects=tuple(things)))


def _changed(before: Spec, after: Spec) -> Spec:
    if before == after:
        raise ValueError("the edit changes nothing: the scene already is as it asks")
    return after
