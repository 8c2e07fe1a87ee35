"""A teacher whose weights are an exponential moving average of its student's.

Used by DINO (Caron et al. 2021), BYOL (Grill et al. 2020) and what descends from them.
"""

import copy
import math

import torch
from torch import nn


def teacher(student: nn.Module) -> nn.Module:
    """A copy of the student that asks for no gradient, in eval mode. `update` alone changes it."""
    return copy.deepcopy(student).requires_grad_(False).eval()


def momentum(step: int, steps: int, start: float = 0.996, end: float = 1.0) -> float:
    """Momentum m at `step` of `steps`: from `start` to `end` along a half cosine, `end` ever after.

    m = end - (end - start) (1 + cos(pi step / steps)) / 2 (BYOL, section 3.3).
    """
    if not 0 <= start <= end <= 1:
        raise ValueError(f"momentum from {start} to {end}: give 0 <= start <= end <= 1")
    progress = min(1.0, max(0.0, step / max(1, steps)))
    return end - (end - start) * (1 + math.cos(math.pi * progress)) / 2


@torch.no_grad()
def update(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """teacher <- momentum * teacher + (1 - momentum) * student, in place; buffers are copied as they stand.

    Raises ValueError where the two do not have the same parameters and buffers.
    """
    for kind in ("named_parameters", "named_buffers"):
        old, new = dict(getattr(teacher, kind)()), dict(getattr(student, kind)())
        if {name: value.shape for name, value in old.items()} != {name: value.shape for name, value in new.items()}:
            odd = sorted(old.keys() ^ new.keys()) or [n for n in old if old[n].shape != new[n].shape]
            raise ValueError(f"teacher and student differ in {', '.join(odd[:3])}: make it with ema.teacher(student)")
        for name, value in old.items():
            if kind == "named_parameters":
                value.lerp_(new[name].to(value), 1 - momentum)
            else:
                value.copy_(new[name])
