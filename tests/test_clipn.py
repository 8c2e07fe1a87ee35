"""The method cells of notebooks/adaptation/clipn.ipynb: checks of the card, traps, a real architecture, public data."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cells import definitions
from examples import noise_pictures

from lib import metrics, text, zeroshot

CAPTIONS = ["a red cup left of the gear.", "a blue star.", "a green anchor left of the cloud.", "a pink die."]


@pytest.fixture(scope="module")
def clipn():
    return definitions("clipn")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def unit(rng, *shape):
    return F.normalize(torch.from_numpy(rng.normal(size=shape)), dim=-1)


# the card's checks


def test_at_the_start_no_equals_yes(clipn, rng):
    f, g = unit(rng, 6, 8), unit(rng, 6, 8)
    yes, no, tso = clipn.loss_parts(f, g, g, 100.0)
    assert yes.item() == pytest.approx(math.log(2)) == no.item()
    assert tso.item() == pytest.approx(1.99, abs=1e-5)
    assert (yes + no + tso).item() / 2 == pytest.approx(1.68815, abs=1e-4)
    l = 100 * (f @ g.T).numpy()
    for score in (clipn.ctw(l, l), clipn.atd(l, l)):
        np.testing.assert_allclose(score, 0.5)
    assert clipn.beaten(clipn.ctw(l, l)[:3], clipn.ctw(l, l)[3:]).mean() == 0.5
    assert not clipn.called_unknown(l, l, "ctw").any()  # not below one half


def test_losses_are_averages_of_softplus(clipn, rng):
    f, g, h = (unit(rng, 5, 8) for _ in range(3))
    yes, no, tso = clipn.loss_parts(f, g, h, 7.0)
    p = np.array([[1 / (1 + np.exp(-7.0 * f[i] @ (g[j] - h[j]))) for j in range(5)] for i in range(5)])
    assert yes.item() == pytest.approx(-np.mean([np.log(p[i, i]) for i in range(5)]))
    assert no.item() == pytest.approx(-sum(np.log(1 - p[i, j]) for i in range(5) for j in range(5) if i != j) / 20)
    softmax = np.exp(7.0 * f @ g.T) / (np.exp(7.0 * f @ g.T) + np.exp(7.0 * f @ h.T))
    np.testing.assert_allclose(p, softmax)  # the paper's form
    assert tso.item() == pytest.approx(np.mean(2 - np.sqrt(2 - 2 * (g * h).sum(-1) + 1e-4).numpy()))


def test_counted_pairs_alone_enter_the_no_loss(clipn, rng):
    f, g, h = (unit(rng, 4, 8) for _ in range(3))
    counted = torch.zeros(4, 4, dtype=torch.bool)
    counted[1, 2] = counted[3, 0] = True
    z = 5.0 * f @ (g - h).T
    expected = F.softplus(torch.stack([z[1, 2], z[3, 0]])).mean()
    assert clipn.opposite(f, g, h, 5.0, counted)[1].item() == pytest.approx(expected.item())
    everything = clipn.opposite(f, g, h, 5.0)[1]
    assert everything.item() == pytest.approx(clipn.opposite(f, g, h, 5.0, ~torch.eye(4, dtype=torch.bool))[1].item())


def test_votes_by_hand(clipn):
    l, m = np.array([[2.0, 0.0]]), np.zeros((1, 2))
    np.testing.assert_allclose(clipn.softmax(l), [[0.8808, 0.1192]], atol=5e-5)
    np.testing.assert_allclose(clipn.no_votes(l, m), [[0.8808, 0.5]], atol=5e-5)
    np.testing.assert_allclose(clipn.ctw(l, m), [0.8808], atol=5e-5)
    np.testing.assert_allclose(clipn.atd(l, m), [0.8354], atol=5e-5)
    assert not clipn.called_unknown(l, m, "atd")[0] and not clipn.called_unknown(l, m, "ctw")[0]  # .1646 < .7758
    m = np.array([[3.0, 9.0]])  # q = (.2689, .0001): both rules refuse
    assert clipn.called_unknown(l, m, "atd")[0] and clipn.called_unknown(l, m, "ctw")[0]
    l, m = np.array([[1.0, 1.0, 1.0]]), np.array([[0.9, 0.9, 0.9]])  # q = .525, shared by three classes
    assert not clipn.called_unknown(l, m, "ctw")[0] and clipn.called_unknown(l, m, "atd")[0]


def test_semantic_opposite_by_hand(clipn):
    g = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert clipn.semantic_opposite(g, -g).item() == pytest.approx(2 - math.sqrt(4.0001), abs=1e-6)
    assert clipn.semantic_opposite(g, g.flip(0)).item() == pytest.approx(0.5858, abs=1e-4)
    half = torch.full((1, 300), 1 / math.sqrt(300)).half()  # rounds to longer than one
    h = half.clone().requires_grad_()
    value = clipn.semantic_opposite(half * 1.01, h)
    value.backward()
    assert value.isfinite() and h.grad.isfinite().all()


def test_the_untrained_tower_is_the_yes_tower(clipn, tiny_encoder):
    tower = clipn.NoTower(tiny_encoder, 16)
    assert tower.prompt_no.shape == (16, *tiny_encoder.model.positional_embedding.shape)
    assert not tower.prompt_no.any()
    expected = tiny_encoder.encode_texts(CAPTIONS)
    np.testing.assert_allclose(clipn.no_texts(tower, tiny_encoder.tokenizer, CAPTIONS), expected, atol=1e-5)
    names, frames = ["cup", "red star"], ["a {}", "the {} left of the gear"]
    head = zeroshot.head(tiny_encoder, names, frames)
    np.testing.assert_allclose(clipn.no_head(tower, tiny_encoder.tokenizer, names, frames), head, atol=1e-5)


def trained(clipn, encoder, rng, steps=3, freeze=(), **options):
    """A no tower after a few steps on random pictures, its losses and what was there before."""
    ids, tower = encoder.tokenizer(CAPTIONS), clipn.NoTower(encoder, 4)
    for name, parameter in tower.named_parameters():
        parameter.requires_grad_(not name.startswith(freeze))
    before = {name: one.detach().clone() for name, one in tower.named_parameters()}
    f = F.normalize(torch.from_numpy(rng.normal(size=(4, encoder.dim))).float(), dim=-1)
    g = torch.from_numpy(encoder.encode_texts(CAPTIONS))
    batches = [np.arange(4)] * steps
    losses = clipn.fit(tower, f, g, ids, 10.0, batches, rng, steps, 1e-2, 0.2, **options)
    return tower, losses, before, (f, g, ids)


def test_training_leaves_the_yes_side_alone(clipn, tiny_encoder, rng):
    images = rng.integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)
    identity, names = tiny_encoder.identity, ["cup", "star", "gear"]
    f = tiny_encoder.encode_images(images)
    l = tiny_encoder.scale * f @ zeroshot.head(tiny_encoder, names, ["a {}"]).T
    tower, losses, before, _ = trained(clipn, tiny_encoder, rng)
    assert tiny_encoder.identity == identity and tiny_encoder.frozen
    again = tiny_encoder.scale * tiny_encoder.encode_images(images) @ zeroshot.head(tiny_encoder, names, ["a {}"]).T
    np.testing.assert_array_equal(l, again)
    assert losses.shape == (3, 3) and np.isfinite(losses).all()
    still = [name for name, one in tower.named_parameters() if torch.equal(one, before[name])]
    assert still == []  # the whole tower and the prompts move
    head = clipn.no_head(tower, tiny_encoder.tokenizer, names, ["a {}"])
    assert np.abs(clipn.no_votes(l, tiny_encoder.scale * f @ head.T) - 0.5).max() > 1e-3


# parts of training


def test_prompts_are_added_at_every_position(clipn, tiny_encoder, rng):
    tower, ids = clipn.NoTower(tiny_encoder, 3), tiny_encoder.tokenizer(CAPTIONS)
    with torch.no_grad():
        tower.prompt_no.copy_(torch.from_numpy(rng.normal(size=tower.prompt_no.shape)))
    model, positions = tiny_encoder.copy().model, tiny_encoder.model.positional_embedding
    for prompt in (0, 2, 3):
        added = tower.prompt_no.mean(0) if prompt == 3 else tower.prompt_no[prompt]
        with torch.no_grad():
            model.positional_embedding.copy_(positions + added)
            expected = F.normalize(model.encode_text(ids), dim=-1)
            found = tower(ids, torch.full((4,), prompt))
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
            if prompt == 3:  # the mean is what evaluation takes
                torch.testing.assert_close(tower(ids), expected, atol=1e-5, rtol=0)
    mixed = tower(ids, torch.tensor([0, 2, 3, 1]), groups=3)
    for row, prompt in enumerate((0, 2, 3, 1)):  # each caption its own, in whatever groups they run
        torch.testing.assert_close(mixed[row], tower(ids[row : row + 1], torch.tensor([prompt]))[0], atol=1e-5, rtol=0)


def test_only_what_is_not_fixed_is_trained(clipn, tiny_encoder, rng):
    for freeze in (("tower",), ("prompt_no",)):
        tower, _, before, _ = trained(clipn, tiny_encoder, rng, freeze=freeze)
        for name, one in tower.named_parameters():
            assert torch.equal(one, before[name]) == name.startswith(freeze)


def test_weights_switch_losses_off(clipn, tiny_encoder):
    _, with_all, _, _ = trained(clipn, tiny_encoder, np.random.default_rng(1), steps=12)
    _, without, _, _ = trained(clipn, tiny_encoder, np.random.default_rng(1), steps=12, weights=(1, 0, 1))
    np.testing.assert_allclose(with_all[0], without[0], rtol=1e-6)  # the parts themselves are measured all the same
    assert with_all[-1, 1] < without[-1, 1]
    _, without, _, _ = trained(clipn, tiny_encoder, np.random.default_rng(1), steps=12, weights=(1, 1, 0))
    assert with_all[-1, 2] < without[-1, 2]


def test_training_teaches_no(clipn, tiny_encoder, rng):
    tower, losses, _, (f, g, ids) = trained(clipn, tiny_encoder, rng, steps=60)
    assert losses[-1, :2].sum() < losses[0, :2].sum() / 2
    h = tower(ids).detach()
    p = torch.sigmoid(10.0 * f @ (g - h).T)
    assert (p.diagonal() > 0.5).all() and (p[~torch.eye(4, dtype=torch.bool)] < 0.5).all()


# scores and metrics


def test_baselines(clipn):
    l = np.array([[2.0, 0.0, -1.0], [0.0, 0.0, 3.0]])
    p = np.exp(l) / np.exp(l).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(clipn.softmax(l), p)
    np.testing.assert_allclose(clipn.msp(l), p.max(axis=1))
    np.testing.assert_allclose(clipn.energy(l), np.log(np.exp(l).sum(axis=1)))
    np.testing.assert_allclose(clipn.energy(l + 1000), clipn.energy(l) + 1000)
    np.testing.assert_allclose(clipn.known_mass(l, 2), p[:, :2].sum(axis=1))
    same = clipn.shared_no(np.array([[1.0, 0.0], [0.0, 1.0]]))
    np.testing.assert_allclose(same, np.full((2, 2), 0.5**0.5))


def test_negation_of_templates(clipn):
    assert clipn.negated("a picture of a {}") == "a picture of no {}"
    assert clipn.negated("a bad photo of the {}.") == "a bad photo of no {}."
    assert clipn.negated("a photo of the large {}.") == "a photo of no large {}."
    assert clipn.negated("a {} in view") == "no {} in view"
    assert clipn.negated("itap: {}.") == "itap: no {}."
    for frames in ("seen", "held_out", "openai"):
        for template in text.templates(frames):
            assert clipn.negated(template).count("{}") == 1 and "no " in clipn.negated(template)


@pytest.mark.parametrize("levels", [4, 10_000])
def test_metrics_equal_those_of_lib_also_with_ties(clipn, rng, levels):
    for _ in range(20):
        scores, known = rng.integers(levels, size=90).astype(float), rng.random(90) < 0.4
        expected = metrics.auroc(scores, known), metrics.fpr95(scores, known)
        assert clipn.beaten(scores[known], scores[~known]).mean() == pytest.approx(expected[0])
        assert clipn.passing(scores[known], scores[~known]).mean() == pytest.approx(expected[1])
    assert clipn.passing(np.zeros(5), np.zeros(7)).mean() == pytest.approx(0.95)


def test_statistic_is_the_mean_over_the_sets_that_are_there(clipn, rng):
    rows = np.stack([rng.normal(size=60), np.repeat([0, 1, 3], 20)], axis=1)
    each = [metrics.auroc(np.r_[rows[:20, 0], one], np.arange(40) < 20) for one in (rows[20:40, 0], rows[40:, 0])]
    assert clipn.STATISTICS["auroc"](rows) == pytest.approx(np.mean(each))
    expected = metrics.fpr95(rows[:40, 0], np.arange(40) < 20)
    assert clipn.STATISTICS["fpr95"](rows[:40]) == pytest.approx(expected)


# real architectures and public data


@pytest.mark.slow
def test_a_real_architecture_takes_the_same_path(clipn, vit_b16, rng):
    names, frames, identity = ["cup", "gear"], ["a photo of a {}."], vit_b16.identity
    f = vit_b16.encode_images(rng.integers(0, 256, (4, 224, 224, 3)).astype(np.uint8))
    yes, tower = zeroshot.head(vit_b16.copy(), names, frames), clipn.NoTower(vit_b16, 2)
    np.testing.assert_allclose(clipn.no_head(tower, vit_b16.tokenizer, names, frames), yes, atol=1e-4)
    g, ids = torch.from_numpy(vit_b16.encode_texts(CAPTIONS)), vit_b16.tokenizer(CAPTIONS)
    batches = [np.arange(4)] * 2
    losses = clipn.fit(tower, torch.from_numpy(f), g, ids, vit_b16.scale, batches, rng, 2, 1e-4, 0.2)
    assert losses[0, 2] == pytest.approx(1.99, abs=1e-3) and np.isfinite(losses).all()
    no = clipn.no_head(tower, vit_b16.tokenizer, names, frames)
    assert np.abs(no - yes).max() > 1e-4 and vit_b16.identity == identity
    l, m = (vit_b16.scale * f @ head.T for head in (yes, no))
    assert clipn.atd(l, m).shape == clipn.ctw(l, m).shape == (4,)


@pytest.mark.slow
def test_the_notebook_runs_on_public_data(tmp_path, workspace, tiny_folder):
    from lib import run

    noise_pictures(tmp_path, ("known/cup", "known/gear", "strange/star", "odd/cloud"), 6)
    for split in ("train", "test"):
        noise_pictures(tmp_path / "pairs", [split], 8)
        entries, said = [], []
        for k in range(8):
            entries.append({"id": k, "file_name": f"{k}.png", "width": 16, "height": 16})
            said.append({"id": k, "image_id": k, "caption": CAPTIONS[k % 4]})
        (tmp_path / "pairs" / f"captions_{split}.json").write_text(json.dumps({"images": entries, "annotations": said}))
    (tmp_path / "nouns.txt").write_text("star\ncup\ncloud\n")
    overrides = {"corpus": f"folder:{tmp_path / 'known'}", "nouns": str(tmp_path / "nouns.txt"), "draws": 0}
    overrides |= {"ood": [f"folder:{tmp_path / name}" for name in ("strange", "odd")], "encoder": str(tiny_folder)}
    overrides |= {"pairs": f"coco:{tmp_path / 'pairs'}", "steps": 2, "batch_size": 4, "held": 8}
    out = run.run("clipn", "smoke", in_process=True, overrides=overrides, quiet=True)
    document = json.loads((out / "claims.json").read_text())
    assert {claim["id"] for claim in document["claims"]} == {"auroc_imagenet", "fpr95_imagenet", "released_code"}
    assert len(document["identity"]["data"]) == 4
