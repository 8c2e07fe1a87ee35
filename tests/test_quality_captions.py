"""The method cells of notebooks/pretraining/quality_captions.ipynb: checks of the card, traps, a real architecture."""

import math

import numpy as np
import pytest
import torch
from cells import definitions

from lib import dense, losses, text, towers
from lib.arms import Run
from lib.world import grammar_alt, presets

WORDS = ["a cloud is left of the gear", "there is a cat, a skull and an urn", "this scene is set on sand"]


@pytest.fixture(scope="module")
def qc():
    return definitions("quality_captions")


@pytest.fixture(scope="module")
def tokenizer():
    return towers.tokenizer(text.build_tokenizer(WORDS * 3, 400), 16)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)


def specs(count=6):
    return [presets.sample("scenes/crowd", np.random.default_rng(k)) for k in range(count)]


def one(word):
    return 1


# the card's checks


def test_equal_logits_cost_the_logarithm_of_the_batch_and_a_match_nothing():
    flat = torch.ones(64, 8) / 8**0.5
    assert losses.clip(flat, flat, 100.0).item() == pytest.approx(math.log(64), abs=1e-5)
    assert math.log(64) == pytest.approx(4.1589, abs=1e-4)
    assert losses.clip(torch.eye(64), torch.eye(64), 100.0).item() < 1e-6


def test_language_is_clip_on_the_diagonal(qc, tokenizer, images):
    encoder = towers.build("P", tokenizer, 0, width=8, device="cpu", precision="float32")
    pixels, texts = encoder.pixels(images[:3]), WORDS
    image_features, text_features, scale = towers.embed(encoder, pixels, texts)
    logits = scale * image_features @ text_features.T
    wanted = torch.arange(3)
    loss = (torch.nn.functional.cross_entropy(logits, wanted) + torch.nn.functional.cross_entropy(logits.T, wanted)) / 2
    assert qc.language(encoder, pixels, texts).item() == pytest.approx(loss.item(), rel=1e-5)


def test_equal_captions_leave_the_gradient_as_if_targets_were_shared():
    rng = torch.Generator().manual_seed(0)
    same = losses.same(["a", "b", "a", "c"])
    rows = torch.randn(3, 5, generator=rng)[[0, 1, 0, 2]]
    gradients = []
    for mask in (None, same):
        v = torch.nn.functional.normalize(torch.randn(4, 5, generator=torch.Generator().manual_seed(1)), dim=1)
        v.requires_grad_()
        losses.clip(v, torch.nn.functional.normalize(rows, dim=1), 5.0, mask).backward()
        gradients.append(v.grad)
    torch.testing.assert_close(*gradients)


def test_shuffling_nothing_leaves_captions_and_shuffling_all_leaves_none():
    captions = [str(k) for k in range(40)]
    assert grammar_alt.shuffled(captions, 0.0, np.random.default_rng(0)) == captions
    moved = grammar_alt.shuffled(captions, 1.0, np.random.default_rng(0))
    assert sorted(moved) == sorted(captions) and all(a != b for a, b in zip(moved, captions))
    half = grammar_alt.shuffled(captions, 0.5, np.random.default_rng(0))
    assert sum(a != b for a, b in zip(half, captions)) == 20


def test_mae_sees_a_quarter_and_pays_for_the_rest(qc):
    hidden = qc.hidden_patches(5, 64, 0.75, np.random.default_rng(0))
    assert hidden.sum(1).tolist() == [48] * 5 and (~hidden).sum(1).tolist() == [16] * 5
    assert not torch.equal(hidden[0], hidden[1])
    pixels = torch.randn(5, 3, 64, 64)
    seen = qc.masked(pixels, hidden, 8)
    blocks, before = qc.patches_of(seen, 8), qc.patches_of(pixels, 8)
    assert (blocks[hidden] == 0).all() and torch.equal(blocks[~hidden], before[~hidden])


def test_mae_loss_counts_hidden_patches_only(qc):
    hidden = qc.hidden_patches(2, 64, 0.75, np.random.default_rng(1))
    pixels, predicted = torch.randn(2, 3, 64, 64), torch.randn(2, 64, 192)
    loss = qc.mae_loss(predicted, pixels, hidden, 8)
    visible = pixels.clone()
    keep = (~hidden).reshape(2, 1, 8, 8).repeat_interleave(8, -2).repeat_interleave(8, -1)
    visible[keep.expand_as(pixels)] += 3 * torch.rand(int(keep.sum()) * 3)
    assert qc.mae_loss(predicted, visible, hidden, 8) == loss
    other = predicted.clone()
    other[~hidden] += 1.0
    assert qc.mae_loss(other, pixels, hidden, 8) == loss
    other[hidden] += 1.0
    assert qc.mae_loss(other, pixels, hidden, 8) != loss
    target = qc.patches_of(pixels, 8)
    target = (target - target.mean(-1, keepdim=True)) / target.std(-1, keepdim=True)
    assert qc.mae_loss(target, pixels, hidden, 8) < 1e-6  # targets are normalised patch by patch
    torch.testing.assert_close(qc.mae_loss(target + 2.0, pixels, hidden, 8), torch.tensor(4.0), rtol=1e-3, atol=0)


def test_patches_lie_row_by_row(qc):
    pixels = torch.zeros(1, 3, 16, 24)
    pixels[..., 8:16, 16:24] = 1.0  # row 1, column 2 of 2 x 3
    assert qc.patches_of(pixels, 8).sum(-1)[0].tolist() == [0, 0, 0, 0, 0, 192]


def test_a_patch_has_the_label_of_most_of_its_pixels():
    labels = np.zeros((1, 16, 16), np.uint8)
    labels[0, :8, 8:] = 3
    labels[0, 8:, :8][np.arange(64).reshape(8, 8) < 33] = 5  # 33 of 64
    labels[0, 8:, 8:][np.arange(64).reshape(8, 8) < 31] = 7  # 31 of 64
    assert dense.patch_labels(labels, 2)[0].tolist() == [[0, 3, 5, 0]]


def test_miou_by_hand(qc):
    true, guess = np.array([[0, 0, 1, 1]]), np.array([[0, 1, 1, 1]])
    rows = qc.overlaps(guess, true, 4)  # classes 2 and 3 occur nowhere
    assert rows[0].tolist() == [[1, 2], [2, 3], [0, 0], [0, 0]]
    assert qc.miou(rows) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert qc.miou(qc.overlaps(true, true, 4)) == 1.0
    two = np.concatenate([rows, qc.overlaps(np.array([[2, 2, 2, 2]]), np.array([[2, 2, 0, 0]]), 4)])
    assert qc.miou(two) == pytest.approx((1 / 4 + 2 / 3 + 2 / 4) / 3)  # sums over pictures, then one division a class


def test_unlabelled_patches_count_for_nothing(qc):
    rows = qc.overlaps(np.array([[0, 1, 1]]), np.array([[0, 1, 2]]), 2)
    assert qc.miou(rows) == 1.0 and rows.shape == (1, 2, 2)


def test_rmse_of_a_constant_offset(qc):
    assert qc.root(np.full(7, 0.3**2)) == pytest.approx(0.3)
    assert qc.share(np.array([[1, 2], [2, 2]])) == 0.75


# captions


def test_fitted_takes_whole_sentences_and_says_them_again(qc):
    said = qc.fitted(["a b c", "d e f g", "h i"], one, 8)
    assert said == "a b c d e f g a"  # the third would not fit, so the first starts again
    assert qc.fitted(["a b c", "d e f g h i", "j k"], one, 6) == "a b c j k a"
    assert qc.fitted(["a b c d"], one, 3) == "a b c"
    assert qc.fitted(["A red, round cup."], one, 4) == "a red round cup"
    assert qc.words_of("IMG_0231 | 12-05-2014 skull") == ["img_0231", "12-05-2014", "skull"]


def test_every_rung_is_as_long_and_within_the_context(qc):
    shown = specs()
    lengths = {}
    for rung in grammar_alt.LADDER:
        found = grammar_alt.ladder(shown, rung, np.random.default_rng(0))
        lengths[rung] = {len(qc.fitted(list(each.sentences), one, 30).split()) for each in found}
    assert set(map(frozenset, lengths.values())) == {frozenset({30})}


def test_dropping_objects_keeps_the_words_true(qc):
    for k, spec in enumerate(specs()):
        less = qc.with_dropped(spec, 0.5, np.random.default_rng(k))
        assert len(less.objects) == max(1, round(len(spec.objects) / 2)) and set(less.objects) <= set(spec.objects)
        assert qc.with_dropped(spec, 0.0, np.random.default_rng(k)) == spec
        assert len(qc.with_dropped(spec, 1.0, np.random.default_rng(k)).objects) == 1
        said = grammar_alt.rung(less, "q3", np.random.default_rng(0)).text
        gone = {thing.name for thing in spec.objects} - {thing.name for thing in less.objects}
        assert not any(f" {name}" in said for name in gone)


def test_captions_carry_no_numbers_of_place_or_depth():
    for spec in specs():
        assert not any(mark.isdigit() for mark in grammar_alt.rung(spec, "q3", np.random.default_rng(0)).text)


# probe


def test_ridge_finds_a_linear_map_and_shrinks(qc):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(400, 5)).astype(np.float32), rng.normal(size=(5, 2)).astype(np.float32)
    y = x @ w + 3
    np.testing.assert_allclose(qc.ridge(x, y, 1e-6)(x), y, atol=1e-3)
    np.testing.assert_allclose(qc.ridge(x, y, 1e9)(x), np.broadcast_to(y.mean(0), y.shape), atol=1e-3)
    np.testing.assert_allclose(qc.ridge(100 * x - 7, y, 1.0)(100 * x - 7), qc.ridge(x, y, 1.0)(x), atol=1e-2)


def test_weights_are_copies_of_rows(qc):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 3)).astype(np.float32), rng.normal(size=(30, 1)).astype(np.float32)
    weights = np.where(np.arange(30) < 10, 3.0, 1.0)
    again = np.repeat(np.arange(30), weights.astype(int))
    z, a = x[again], qc.ridge(x, y, 0.0, weights)(x)
    np.testing.assert_allclose(a, qc.ridge(z, y[again], 0.0)(x), atol=1e-3)


def test_rare_classes_are_named_when_they_weigh_more(qc):
    rng = np.random.default_rng(2)
    labels = (rng.random((20, 64)) < 0.03).astype(int)
    x = (labels[..., None] * 1.5 + rng.normal(size=(20, 64, 3))).astype(np.float32)
    plain, fair = (qc.class_probe(x, labels, 2, 1.0, balance)(x) for balance in (0.0, 1.0))
    assert (fair == 1).mean() > 3 * (plain == 1).mean()
    ignored = np.where(rng.random(labels.shape) < 0.5, 2, labels)
    assert qc.class_probe(x, ignored, 2, 1.0, 1.0)(x).max() == 1


def test_the_penalty_is_chosen_on_what_did_not_fit(qc):
    seen = []

    def fit(x, y, penalty):
        seen.append((penalty, len(x)))
        return penalty

    found = qc.chosen(np.zeros(10), np.zeros(10), [1.0, 5.0, 2.0], fit, lambda penalty, x, y: penalty + len(x))
    assert found == 5.0 and seen == [(1.0, 8), (5.0, 8), (2.0, 8), (5.0, 10)]


# towers


def test_tokens_are_those_after_the_norm_without_class_token(qc, tokenizer, images):
    encoder = towers.build("P", tokenizer, 0, width=8, device="cpu", precision="float32")
    encoder.model.eval()
    pooled, tokens = qc.encode(encoder, images)
    assert tokens.shape == (6, 64, 128) and not encoder.model.visual.output_tokens
    proj = encoder.model.visual.proj.detach().numpy()
    np.testing.assert_allclose(tokens.mean(1) @ proj, pooled, atol=1e-4)
    raw = qc.encode(encoder, images, raw=True)[1]
    np.testing.assert_allclose(raw, qc.patches_of(encoder.pixels(images), 8).numpy())


def test_settling_replaces_statistics_by_those_of_whole_pictures(qc, tokenizer, images):
    encoder = towers.build("P", tokenizer, 0, width=8, device="cpu", precision="float32")
    visual, pixels = encoder.model.visual, encoder.pixels(images)
    norm = visual.trunk.bn1
    norm.running_mean.fill_(9.0)
    qc.settle(visual, [pixels])
    with torch.no_grad():
        torch.testing.assert_close(norm.running_mean, visual.trunk.conv1(pixels).mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    assert not visual.training


def trained(qc, encoder, kind, images, texts):
    """Parameters that one step of an arm moves."""
    side = encoder.image_size // encoder.model.visual.grid_size[0]
    objective, dim = {"language": qc.language, "labels": qc.labelling}.get(kind), encoder.model.visual.proj.shape[0]
    if kind == "mae":
        encoder.model.decoder = torch.nn.Linear(dim, 3 * side**2)
        objective = qc.reconstruction(np.random.default_rng(0), side, 0.75)
    if kind == "labels":
        encoder.model.classifier = torch.nn.Linear(encoder.dim, 4)
    before = {name: p.detach().clone() for name, p in encoder.model.named_parameters()}
    run = Run(kind, 0, 1, len(images), len(images))
    towers.pretrain(run, encoder, lambda rows, _: (images, texts), 1e-3, warmup=0.0, objective=objective)
    return {name for name, p in encoder.model.named_parameters() if not torch.equal(p, before[name])}


@pytest.mark.parametrize("kind", ["language", "mae", "labels"])
def test_one_step_moves_the_tower_and_the_text_only_with_captions(qc, tokenizer, images, kind):
    encoder = towers.build("P", tokenizer, 0, width=8, device="cpu", precision="float32")
    texts = ["0 3"] * 6 if kind == "labels" else [*WORDS, *WORDS]
    moved = trained(qc, encoder, kind, images, texts)
    assert {"visual.trunk.conv1.weight", "visual.lateral.0.weight"} <= moved
    assert ("token_embedding.weight" in moved) == (kind == "language")


def test_labels_are_those_of_the_text(qc, tokenizer, images):
    encoder = towers.build("P", tokenizer, 0, width=8, device="cpu", precision="float32")
    encoder.model.eval()
    encoder.model.classifier = torch.nn.Linear(encoder.dim, 3)
    torch.nn.init.zeros_(encoder.model.classifier.weight)
    encoder.model.classifier.bias.data = torch.tensor([20.0, -20.0, 20.0])
    pixels = encoder.pixels(images[:2])
    assert qc.labelling(encoder, pixels, ["0 2", "2 0"]).item() < 1e-6
    assert qc.labelling(encoder, pixels, ["1", "1"]).item() == pytest.approx(20.0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["language", "mae"])
def test_a_real_architecture_takes_the_same_path(qc, vit_b16, kind):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3)).astype(np.uint8)
    encoder = vit_b16.copy()
    assert qc.encode(encoder, pictures)[1].shape == (2, 196, 768)
    assert qc.encode(encoder, pictures, raw=True)[1].shape == (2, 196, 768)
    assert "visual.conv1.weight" in trained(qc, encoder, kind, pictures, WORDS[:2])
