"""lib.dense: the value path against its formula, maps against plain loops, patch labels by hand."""

import numpy as np
import pytest
import torch
from towers import close, gradients, pixels, put_second, tower

from lib import dense, forward, hooks


def by_hand(model, x, residual):
    """MaskCLIP as its paper writes it, with nn.Linear in place of attention."""
    visual = model.visual
    states = forward.image_tokens(model, forward.patches(model, x))
    for block in visual.transformer.resblocks[:-1]:
        states = block(states)
    block = visual.transformer.resblocks[-1]
    weight, bias = (each.chunk(3)[2] for each in (block.attn.in_proj_weight, block.attn.in_proj_bias))
    z = block.attn.out_proj(block.ln_1(states) @ weight.T + bias)
    if residual:
        z = z + states
        z = z + block.mlp(block.ln_2(z))
    return (visual.ln_post(z) @ visual.proj)[:, 1:]


@pytest.mark.parametrize("residual", [True, False])
def test_value_path_is_its_formula(residual):
    model, x = tower(), pixels()
    found = dense.value_path(model, x, residual)
    assert found.shape == (3, 4, 24)
    close(found, by_hand(model, x, residual))
    weights = torch.randn(24, generator=torch.Generator().manual_seed(3))
    mine, theirs = (gradients(model, (each @ weights).sum()) for each in (found, by_hand(model, x, residual)))
    assert set(mine) == set(theirs) and "visual.conv1.weight" in mine
    for name in mine:
        close(mine[name], theirs[name])
    close(dense.value_head(model, hooks.states(model, x, -2), residual), found)


def test_value_path_is_the_last_block_with_the_identity_for_attention():
    model, x = tower(), pixels()
    alone = torch.eye(5, dtype=torch.bool).logical_not()
    states = forward.image_tokens(model, forward.patches(model, x))
    out = forward.visual_from_tokens(model, states, mask={-1: alone}, pool=False)
    close(dense.value_path(model, x), model.visual.ln_post(out[:, 1:]) @ model.visual.proj)


def test_value_path_of_other_sizes_and_layouts(tiny_encoder):
    model, x = tower(), pixels(2, 40)
    positions = forward.image_positions(model, (5, 5))
    assert dense.value_path(model, x, positions=positions).shape == (2, 25, 24)
    close(dense.value_path(put_second(model), pixels()), dense.value_path(model, pixels()))
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    close(dense.value_path(tiny_encoder, pictures), dense.value_path(tiny_encoder, tiny_encoder.pixels(pictures)))
    with pytest.raises(ValueError, match="two blocks or more"):
        dense.value_path(tower(layers=1), pixels())


@pytest.mark.slow
def test_value_path_of_a_real_architecture(vit_b16):
    with torch.inference_mode():
        found = dense.value_path(vit_b16, pixels(1, 224))
        close(found, by_hand(vit_b16.model, pixels(1, 224), True))
    assert found.shape == (1, 196, 512)


def test_scores_are_cosines():
    features, head = np.array([[[3.0, 4.0], [0.0, 2.0]]]), np.array([[1.0, 0.0], [0.0, 5.0], [-1.0, 0.0]])
    np.testing.assert_allclose(dense.scores(features, head, 10.0), [[[6, 8, -6], [0, 10, 0]]], atol=1e-5)
    assert np.isfinite(dense.scores(np.zeros((1, 2, 2)), head)).all()
    with pytest.raises(ValueError, match="do not fit"):
        dense.scores(features[0], head)


def test_probabilities_are_enlarged_not_logits():
    features, head = np.random.default_rng(0).normal(size=(2, 6, 5)), np.random.default_rng(1).normal(size=(3, 5))
    logits = dense.scores(features, head, 20.0)
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = dense.probabilities(features, head, (4, 6), 20.0, grid=(2, 3))
    assert found.shape == (2, 3, 4, 6)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(found[:, :, 0, 0], shares[:, 0], atol=1e-5)  # a corner lies outside all centres
    between = (3 * shares[:, 0] + shares[:, 1]) / 4  # a quarter of the way from one centre to the next
    np.testing.assert_allclose(found[:, :, 0, 1], between, atol=1e-5)
    np.testing.assert_allclose(
        dense.probabilities(features, head, (2, 3), 20.0, (2, 3))[:, :, 1, 2], shares[:, 5], atol=1e-5
    )
    large = dense.probabilities(features + 0, head, (2, 3), 1e4, (2, 3))
    assert np.isfinite(large).all() and large.max() == 1


def test_segment_takes_the_most_probable_class(monkeypatch):
    head = np.eye(3)
    features = np.array([[[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0]], [[0, 0, 1]] * 4])
    wanted = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 1, 1], [2, 2, 1, 1]])
    found = dense.segment(features, head, 4)
    assert found.dtype == np.int64 and np.array_equal(found[0], wanted) and (found[1] == 2).all()
    monkeypatch.setattr(dense, "CHUNK", 1)
    assert np.array_equal(dense.segment(features, head, 4), found)
    with pytest.raises(ValueError, match=r"5 patches are no grid of 2 x 2; pass grid"):
        dense.segment(np.ones((1, 5, 3)), head, 4)


def test_upsample_is_bilinear():
    ramp = np.arange(3.0)[None, None, :].repeat(2, axis=1)
    np.testing.assert_allclose(dense.upsample(ramp, (2, 5), align_corners=True)[0, 0], [0, 0.5, 1, 1.5, 2], atol=1e-6)
    np.testing.assert_allclose(dense.upsample(ramp, (2, 6))[0, 0], [0, 0.25, 0.75, 1.25, 1.75, 2], atol=1e-6)
    assert dense.upsample(ramp[:, None], 4).shape == (1, 1, 4, 4)
    with pytest.raises(ValueError, match=r"\[2, 3\]; give"):
        dense.upsample(ramp[0], 4)


def test_patch_labels_by_hand():
    picture = np.array([[1, 1, 7, 7], [1, 2, 7, 7], [255, 255, 3, 255], [255, 255, 4, 255]], np.uint8)
    labels, share = dense.patch_labels(picture[None], 2)
    assert labels.tolist() == [[1, 7, 255, 3]]  # of 3 and 4, once each, the smaller
    np.testing.assert_allclose(share, [[0.75, 1.0, 0.0, 0.25]])
    labels, share = dense.patch_labels(picture[None], 2, ignore=None)
    assert labels.tolist() == [[1, 7, 255, 255]] and share.tolist() == [[0.75, 1.0, 1.0, 0.5]]
    labels, share = dense.patch_labels(picture[None], (1, 2))
    assert labels.tolist() == [[1, 7]] and share.tolist() == [[0.375, 0.5]]


def test_patch_labels_are_a_plain_loop(monkeypatch):
    rng = np.random.default_rng(0)
    pictures = rng.choice(np.array([0, 3, 9, 255], np.uint8), size=(5, 16, 24))
    labels, share = dense.patch_labels(pictures, (4, 3))
    for n in range(5):
        for t in range(12):
            row, column = divmod(t, 3)
            cell = pictures[n, 4 * row : 4 * row + 4, 8 * column : 8 * column + 8].ravel()
            counts = np.bincount(cell[cell != 255], minlength=10)
            assert labels[n, t] == counts.argmax() and share[n, t] == np.float32(counts.max() / 32)
    monkeypatch.setattr(dense, "CHUNK", 1)
    again = dense.patch_labels(pictures, (4, 3))
    assert np.array_equal(again[0], labels) and np.array_equal(again[1], share)
    assert share.dtype == np.float32 and labels.dtype == np.int64


def test_coverage_is_the_share_of_a_patch():
    mask = np.zeros((2, 8, 8), bool)
    mask[0, :3, :2], mask[1, 5, 6] = True, True
    found = dense.coverage(mask, 2)
    assert found.dtype == np.float32 and found.tolist() == [[6 / 16, 0, 0, 0], [0, 0, 0, 1 / 16]]
    labels, share = dense.patch_labels(mask, 2, ignore=None)
    assert labels.tolist() == [[0] * 4] * 2 and share[0, 0] == np.float32(10 / 16)
    np.testing.assert_allclose(dense.coverage(mask, 8).reshape(2, 8, 8), mask)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\[1, 8, 9\] does not divide into 2 x 2"):
        dense.coverage(np.zeros((1, 8, 9), bool), 2)
    with pytest.raises(ValueError, match="uint8; give bool"):
        dense.coverage(np.zeros((1, 8, 8), np.uint8), 2)
    with pytest.raises(ValueError, match="int64; give uint8"):
        dense.patch_labels(np.zeros((1, 8, 8), np.int64), 2)
