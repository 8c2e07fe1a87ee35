"""Teachers that average their students."""

import numpy as np
import pytest
import torch
from torch import nn

from lib import ema


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_momentum_is_a_half_cosine():
    values = [ema.momentum(step, 100, 0.9, 1.0) for step in range(101)]
    assert values[0] == pytest.approx(0.9) and values[50] == pytest.approx(0.95) and values[100] == 1.0
    assert values[25] == pytest.approx(1 - 0.05 * (1 + np.sqrt(0.5)))
    assert (np.diff(values) > 0).all() and ema.momentum(500, 100, 0.9) == 1.0
    with pytest.raises(ValueError, match="from 1.2"):
        ema.momentum(0, 10, 1.2)


def test_a_teacher_approaches_a_still_student_geometrically():
    student = network()
    first = ema.teacher(student)
    start = first[0].weight.clone()
    with torch.no_grad():
        student[0].weight += 1.0
    for _ in range(5):
        ema.update(first, student, 0.8)
    expected = 0.8**5 * start + (1 - 0.8**5) * student[0].weight
    torch.testing.assert_close(first[0].weight, expected.detach())


def test_momentum_of_one_and_of_zero():
    student, other = network(0), network(1)
    kept = ema.teacher(student)
    before = [p.clone() for p in kept.parameters()]
    ema.update(kept, other, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, kept.parameters()))
    ema.update(kept, other, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), kept.parameters()))


def test_buffers_are_copied_not_averaged():
    student = network().train()
    follower = ema.teacher(student)
    student(torch.randn(16, 3) * 5 + 2)
    ema.update(follower, student, 0.999)
    assert torch.equal(follower[1].running_mean, student[1].running_mean)
    assert follower[1].num_batches_tracked == 1


def test_a_teacher_has_no_gradient_and_a_life_of_its_own():
    student = network().train()
    follower = ema.teacher(student)
    assert not any(p.requires_grad for p in follower.parameters()) and not follower.training
    assert all(p.requires_grad for p in student.parameters()) and student.training
    loss = (student(torch.ones(4, 3)) - follower(torch.ones(4, 3))).square().sum()
    loss.backward()
    assert all(p.grad is None for p in follower.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in student.parameters())
    before = follower[0].weight.clone()
    with torch.no_grad():
        student[0].weight.zero_()
    assert torch.equal(before, follower[0].weight)
    ema.update(follower, student, 0.5)
    assert follower[0].weight.grad_fn is None and not follower[0].weight.requires_grad


def test_other_networks_are_refused():
    with pytest.raises(ValueError, match="2.weight"):
        ema.update(network(), nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)), 0.9)
    with pytest.raises(ValueError, match=r"2\.bias"):
        ema.update(network(), nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2, bias=False)), 0.9)
