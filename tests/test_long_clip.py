"""The method cells of notebooks/finetuning/long_clip.ipynb: checks of the card, traps, real positions."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cells import definitions


@pytest.fixture(scope="module")
def notebook():
    return definitions("long_clip")


def unit(rows, dim, seed=0):
    """Random unit rows with a common part, float64."""
    x = torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 1.0
    return F.normalize(x, dim=-1)


def by_the_card(old, k, r):
    """The rows of the card, one by one."""
    rows = [old[j] for j in range(k)]
    for i in range(len(old) - k - 1):
        rows += [(1 - a / r) * old[k + i] + (a / r) * old[k + i + 1] for a in range(r)]
    rows += [old[-1] + (a / r) * (old[-1] - old[-2]) for a in range(r)]
    return torch.stack(rows)


LONG = "a red cup. the cup is small and red, on the left. the star is blue, at the top. the cloud is white"


# stretching


@pytest.mark.parametrize(("L0", "k", "r", "length"), [(77, 20, 4, 248), (32, 8, 4, 104), (32, 0, 4, 128)])
def test_length_and_rows(notebook, L0, k, r, length):
    old = unit(L0, 6)
    new = notebook.stretch(old, k, r)
    assert new.shape == (length, 6) == (r * (L0 - k) + k, 6)
    torch.testing.assert_close(new, by_the_card(old, k, r))
    assert torch.equal(new[:k], old[:k]) and torch.equal(new[k::r], old[k:])  # kept rows and knots to the bit


def test_ratio_one_changes_nothing(notebook):
    old = unit(32, 6)
    assert torch.equal(notebook.stretch(old, 8, 1), old)


def test_a_ramp_stays_a_ramp_with_a_bend(notebook):
    new = notebook.stretch(torch.arange(77, dtype=torch.float64)[:, None], 20, 4)[:, 0]
    j = torch.arange(248, dtype=torch.float64)
    torch.testing.assert_close(new, torch.where(j <= 20, j, 20 + (j - 20) / 4), rtol=0, atol=1e-12)
    assert new[-1] == 76.75


def test_short_captions_keep_their_embedding_before_training(notebook, tiny_encoder):
    k = 6
    longer, _ = notebook.starting(tiny_encoder, k, 4, None)
    assert longer.context == longer.model.context_length == 4 * (12 - k) + k == 30
    assert longer.model.attn_mask.shape == (30, 30) and tiny_encoder.tokenizer.context_length == 12
    brief, late = ["a cup", "red star", "blue"], ["a red cup left of the blue star and a green anchor"]
    assert longer.tokenizer(brief).shape == (3, 30) and int(longer.tokenizer(brief).argmax(-1).max()) < k
    np.testing.assert_allclose(longer.encode_texts(brief), tiny_encoder.encode_texts(brief), atol=1e-5)
    assert np.abs(longer.encode_texts(late) - tiny_encoder.encode_texts(late)).max() > 1e-3
    with torch.inference_mode():  # open_clip's own path, with padding to the whole context
        whole = F.normalize(longer.model.encode_text(longer.tokenizer(brief + late)), dim=-1).numpy()
    np.testing.assert_allclose(whole, longer.encode_texts(brief + late), atol=1e-5)


def test_truncation_keeps_the_end(notebook, tiny_encoder):
    longer, _ = notebook.starting(tiny_encoder, 6, 2, None)
    ids = longer.tokenizer([" ".join(["red cup"] * 40)])
    assert ids.shape == (1, 18) and int(ids.argmax(-1)) == 17 and ids[0, 17] == tiny_encoder.tokenizer(["cup"]).max()


def test_cropping_to_the_longest_text_is_exact(notebook, tiny_encoder):
    longer, split = notebook.starting(tiny_encoder, 6, 4, None)
    ids = longer.tokenizer(["a red cup", "a blue star left of the anchor"])
    with torch.inference_mode():
        ours = notebook.text_features(longer.model, ids, split())
        theirs = F.normalize(longer.model.encode_text(ids), dim=-1)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


# primary components


def test_components_are_idempotent_and_reach_from_mean_to_all(notebook):
    V = unit(12, 20)
    V_c = notebook.primary_components(V, 3)
    torch.testing.assert_close(notebook.primary_components(V_c, 3), V_c)
    torch.testing.assert_close(notebook.primary_components(V, 0), V.mean(0).expand(12, 20))
    for K in (11, 12, 20):
        torch.testing.assert_close(notebook.primary_components(V, K), V)
    tall = unit(40, 6)
    torch.testing.assert_close(notebook.primary_components(tall, 6), tall)
    assert torch.linalg.matrix_rank(V_c - V.mean(0)) == 3


def test_mean_squared_norm_is_mean_plus_kept_variance(notebook):
    V = unit(12, 20)
    mu, sigma = V.mean(0), torch.linalg.svdvals(V - V.mean(0))
    for K in range(12):
        squares = (notebook.primary_components(V, K) ** 2).sum(1)
        torch.testing.assert_close(squares.mean(), mu @ mu + (sigma[:K] ** 2).sum() / 12)
        assert squares.mean() <= 1 + 1e-12 and (K == 11) == (abs(float(squares.mean()) - 1) < 1e-9)
    assert not torch.allclose(notebook.primary_components(V, 3).norm(dim=1), torch.ones(12, dtype=V.dtype))
    assert notebook.kept_variance(V, 4) == pytest.approx(float((sigma[:4] ** 2).sum() / (sigma**2).sum()))


def test_gradient_flows_through_the_decomposition(notebook):
    V = unit(8, 10).requires_grad_(True)
    weight = unit(8, 10, 1)
    assert torch.autograd.gradcheck(lambda x: notebook.primary_components(x, 3), V, atol=1e-5)
    (full,) = torch.autograd.grad((notebook.primary_components(V, 3) * weight).sum(), V)
    P = torch.linalg.svd(V.detach() - V.detach().mean(0), full_matrices=False).Vh[:3].T
    stopped = (V - V.mean(0)) @ P @ P.T + V.mean(0)
    (part,) = torch.autograd.grad((stopped * weight).sum(), V)
    assert F.cosine_similarity(full.flatten(), part.flatten(), dim=0) < 0.99


@pytest.mark.parametrize("rows", [[[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], [[0.6, 0.8, 0.0]] * 4])
def test_equal_singular_values_need_jitter(notebook, rows):
    torch.manual_seed(0)
    V = torch.tensor(rows, requires_grad=True)
    weight = torch.randn(4, 3)
    (bad,) = torch.autograd.grad((notebook.primary_components(V, 1) * weight).sum(), V)
    (good,) = torch.autograd.grad((notebook.primary_components(V, 1, jitter=1e-6) * weight).sum(), V)
    assert not torch.isfinite(bad).all() and torch.isfinite(good).all()


# losses


def test_equal_logits_cost_the_logarithm_of_the_batch(notebook):
    same = unit(1, 6).expand(9, 6)
    for smoothing in (0.0, 0.1):
        assert float(notebook.nce(same, same, 50.0, smoothing)) == pytest.approx(math.log(9))


def test_nce_by_hand(notebook):
    V, T = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])  # logits [[2, 2], [0, 0]] at s = 2
    rows = math.log(2)  # both rows are undecided
    columns = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))) / 2
    assert float(notebook.nce(V, T, 2.0, 0.0)) == pytest.approx((rows + columns) / 2)
    logp = torch.log_softmax(2.0 * V, dim=-1)  # V against itself: smoothed targets 0.95 and 0.05
    expected = -(0.95 * logp[0, 0] + 0.05 * logp[0, 1])
    assert float(notebook.nce(V, V, 2.0, 0.1)) == pytest.approx(float(expected))


def test_the_loss_adds_its_terms(notebook, tiny_encoder):
    pixels = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    longer, split = notebook.starting(tiny_encoder, 6, 4, None)
    things = ("cup", "star", "gear", "heart", "spade", "cloud")
    long_ids = longer.tokenizer([f"a {one}. the {one} is red and small, left of the anchor" for one in things])
    short_ids = longer.tokenizer([f"a {one}" for one in things])
    with torch.inference_mode():
        V = F.normalize(longer.model.encode_image(pixels), dim=-1)
        S, s = notebook.text_features(longer.model, short_ids, split()), longer.model.logit_scale.exp()
        alone = notebook.loss_of(longer.model, split(), pixels, long_ids)
        for K, image in ((None, V), (2, notebook.primary_components(V, 2))):
            both = notebook.loss_of(longer.model, split(), pixels, long_ids, short_ids, K)
            torch.testing.assert_close(both - alone, notebook.nce(image, S, s, 0.1), atol=1e-4, rtol=1e-4)


def test_the_summary_is_what_stands_before_the_first_separator(notebook):
    assert notebook.short_of(LONG) == "a red cup"
    assert notebook.short_of("a red\ncup. more") == "a red cup"
    assert notebook.short_of("a red cup.") == "a red cup." and notebook.short_of("a cup.\nmore") == "a cup"


def test_batches_hold_no_name_twice_and_a_pass_repeats_none(notebook):
    names = ["a", "a", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
    batches = list(notebook.distinct_batches(names, 30, 4, np.random.default_rng(0)))
    assert len(batches) == 30 and all(len({names[i] for i in batch}) == 4 for batch in batches)
    seen = np.bincount(np.concatenate(batches), minlength=12)
    assert seen.sum() == 120 and seen.min() >= 7 and seen.max() <= 12
    with pytest.raises(ValueError, match="do not fill"):
        next(notebook.distinct_batches(["a", "a"], 1, 2, np.random.default_rng(0)))


# training


def tuned_once(notebook, encoder, k, short, K, size, count=4):
    """An encoder after a single step on random pictures, and the positions that it started from."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (count, size, size, 3)).astype(np.uint8)
    captions = [f"a {one}. " + LONG.split(". ", 1)[1] for one in ("cup", "star", "gear", "heart")[:count]]
    longer, split = notebook.starting(encoder, k, 4, None)
    before, losses = split().detach().clone(), []
    notebook.fine_tune(longer, split, pictures, captions, [np.arange(count)], short, K, losses.append)
    assert len(losses) == 1 and torch.isfinite(losses[0])
    return longer, before


@pytest.mark.parametrize(("short", "K"), [(False, None), (True, None), (True, 2)])
def test_a_step_leaves_the_kept_rows_to_the_bit(notebook, tiny_encoder, short, K):
    longer, before = tuned_once(notebook, tiny_encoder, 6, short, K, 16)
    after = longer.model.positional_embedding
    assert torch.equal(after[:6], before[:6]) and (after[6:20] != before[6:20]).all(dim=1).all()
    assert longer.frozen and not longer.model.training
    old = dict(tiny_encoder.model.named_parameters())
    moved = {name for name, p in longer.model.named_parameters()
             if p.shape == old[name].shape and not torch.equal(p, old[name])}  # fmt: skip
    assert {"visual.proj", "text_projection", "token_embedding.weight", "ln_final.bias", "logit_scale"} <= moved
    assert tiny_encoder.frozen and tiny_encoder.model.positional_embedding.shape == (12, 32)


def test_without_kept_rows_all_positions_move(notebook, tiny_encoder):
    longer, before = tuned_once(notebook, tiny_encoder, 0, False, None, 16)
    assert (longer.model.positional_embedding[:20] != before[:20]).all(dim=1).all()


def test_frozen_rows_are_no_parameter(notebook):
    split = notebook.SplitPositions(unit(10, 4).float(), 3)
    assert [name for name, _ in split.named_parameters()] == ["free"]
    with torch.no_grad():
        split.free.fill_(7.0)
    assert torch.equal(split()[:3], split.kept[:3]) and (split()[3:] == 7).all()
    split().sum().backward()
    assert (split.free.grad[:3] == 0).all() and (split.free.grad[3:] == 1).all()


# real architecture, real positions


@pytest.mark.slow
def test_a_real_architecture_takes_the_same_path(notebook, vit_b16):
    text = "a red cup " * 100
    longer, before = tuned_once(notebook, vit_b16, 20, True, 1, 224, count=2)
    assert longer.context == 248 and torch.equal(longer.model.positional_embedding[:20], before[:20])
    assert not torch.equal(longer.model.positional_embedding[20:60], before[20:60])
    assert int(longer.tokenizer([text]).argmax(-1)) == 247 and longer.encode_texts([text]).shape == (1, 512)
    untouched, _ = notebook.starting(vit_b16, 20, 4, None)
    np.testing.assert_allclose(
        untouched.encode_texts(["a photo of a cat."]), vit_b16.encode_texts(["a photo of a cat."]), atol=1e-5
    )
    assert vit_b16.context == 77 and vit_b16.frozen


@pytest.mark.real
def test_stretching_real_positional_embeddings(notebook, real):
    """OpenAI's ViT-B/16, vision side (the text side is not there): rows are kept, the others lie between neighbours."""
    old = torch.from_numpy(np.load(real / "weights" / "vit-b-16-pos_emb_197x768.npy"))
    assert old.shape == (197, 768) and old.dtype == torch.float32
    new = notebook.stretch(old, 20, 4)
    assert new.shape == (4 * 177 + 20, 768) and torch.isfinite(new).all()
    assert torch.equal(new[:20], old[:20]) and torch.equal(new[20::4], old[20:])
    torch.testing.assert_close(new, by_the_card(old, 20, 4))
    steps = (new[1:] - new[:-1]).norm(dim=1)[20:-3].reshape(-1, 4)
    torch.testing.assert_close(
        steps, (old[1:] - old[:-1]).norm(dim=1)[20:, None].expand(-1, 4) / 4, rtol=1e-3, atol=1e-4
    )
