"""Contrastive loss against a plain loop and closed forms; optimiser groups and schedule."""

import math

import pytest
import torch

from lib import losses, optim


def unit(n, d, seed):
    return torch.nn.functional.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_clip_equals_a_plain_loop():
    image, text, scale = unit(5, 8, 0), unit(5, 8, 1), 7.0
    total = 0.0
    for i in range(5):
        row = [math.exp(scale * float(image[i] @ text[j])) for j in range(5)]
        column = [math.exp(scale * float(image[j] @ text[i])) for j in range(5)]
        total -= math.log(row[i] / sum(row)) + math.log(column[i] / sum(column))
    assert float(losses.clip(image, text, scale)) == pytest.approx(total / 10, rel=1e-5)


def test_clip_of_equal_features_is_log_n():
    same_row = unit(1, 8, 0).repeat(6, 1)
    assert float(losses.clip(same_row, same_row, 10.0)) == pytest.approx(math.log(6), rel=1e-6)


def test_same_text_shares_the_target():
    image, text = unit(4, 8, 0), unit(4, 8, 1)
    text[2] = text[0]
    mask = losses.same(["a cat", "a cow", "a cat", "a die"])
    assert mask.sum() == 6 and mask[0, 2] and mask[2, 0]
    logits = 5.0 * image @ text.T
    p, q = logits.log_softmax(1), logits.T.log_softmax(1)
    want = 0.0
    for table in (p, q):
        want -= float((table[0, 0] + table[0, 2]) / 2 + table[1, 1] + (table[2, 2] + table[2, 0]) / 2 + table[3, 3]) / 4
    assert float(losses.clip(image, text, 5.0, mask)) == pytest.approx(want / 2, rel=1e-5)
    assert float(losses.clip(image, text, 5.0, torch.eye(4, dtype=bool))) == pytest.approx(
        float(losses.clip(image, text, 5.0))
    )


def test_clip_refuses_bad_input():
    with pytest.raises(ValueError, match=r"\(3, 8\)"):
        losses.clip(unit(4, 8, 0), unit(3, 8, 0), 1.0)
    bad = unit(4, 8, 0)
    bad[0, 0] = float("nan")
    with pytest.raises(ValueError, match="nan"):
        losses.clip(bad, unit(4, 8, 1), 1.0)


def test_adamw_decays_matrices_only():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    optimizer = optim.adamw(model, 1e-3, 0.2)
    assert [len(g["params"]) for g in optimizer.param_groups] == [1, 3]
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.2, 0.0]
    with pytest.raises(ValueError, match="trainable"):
        optim.adamw(model.requires_grad_(False), 1e-3, 0.2)


def test_cosine_schedule():
    factors = [optim.cosine(step, 100, 10) for step in range(101)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == pytest.approx(1.0) and factors[10] == pytest.approx(1.0)
    assert factors[55] == pytest.approx(0.5) and factors[100] == pytest.approx(0.0)
    assert all(a >= b for a, b in zip(factors[10:], factors[11:]))
