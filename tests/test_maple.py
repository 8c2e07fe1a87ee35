"""The method cells of notebooks/adaptation/maple.ipynb: checks of the card, traps, a real architecture, public data."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cells import definitions
from examples import noise_pictures

from lib import forward, text

NAMES = ["cup", "red star", "gear", "cloud"]
PROMPTED = [f"a photo of a {name}." for name in NAMES]


@pytest.fixture(scope="module")
def maple():
    return definitions("maple")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, lexicon):
    """An encoder with 3 text and 4 image blocks whose tokenizer knows each word of the phrase."""
    from lib import encoders

    tokenizer = text.build_tokenizer([*lexicon, *PROMPTED * 20], 560)
    config = encoders.small_config(len(tokenizer), size=32, width=32, layers=4, text_layers=3, context=24)
    path = tmp_path_factory.mktemp("models") / "deep"
    return encoders.save(path, encoders.create(config, 0), config, encoders.PREPROCESS, tokenizer)


@pytest.fixture
def encoder(folder):
    from lib import encoders

    return encoders.load(str(folder), device="cpu")


@pytest.fixture
def rng():
    torch.manual_seed(0)
    return np.random.default_rng(0)


def pictures(rng, encoder, count=5):
    return rng.integers(0, 256, (count, encoder.image_size, encoder.image_size, 3)).astype(np.uint8)


def close(a, b, tolerance=2e-6):
    np.testing.assert_allclose(np.asarray(a.detach()), np.asarray(b), atol=tolerance)


def loss_of(maple, encoder, prompts, pixels, labels, n, detach=False):
    T = maple.text_features(encoder, prompts, maple.class_texts(encoder, NAMES, n))
    x = maple.image_features(encoder, prompts, pixels)
    return F.cross_entropy(encoder.scale * x @ (T.detach() if detach else T).T, labels)


def trained(maple, encoder, prompts, images, labels, n, steps=4, rate=0.05):
    def score(rows, epoch):
        T = maple.text_features(encoder, prompts, maple.class_texts(encoder, NAMES, n))
        return encoder.scale * maple.image_features(encoder, prompts, encoder.pixels(images[rows])) @ T.T

    return maple.fit(prompts, score, labels, [np.arange(len(labels))] * steps, steps, rate)


# the card's checks


def test_trained_numbers(maple, encoder):
    dt, dv = encoder.model.positional_embedding.shape[1], encoder.model.visual.positional_embedding.shape[1]
    for n, J in ((1, 1), (2, 3), (4, 2)):
        assert maple.trained_numbers(maple.Prompts(encoder, n, J)) == J * (dt * dv + dv) + J * n * dt
        assert maple.trained_numbers(maple.Prompts(encoder, n, J, "frozen")) == J * n * dt
        assert maple.trained_numbers(maple.Prompts(encoder, n, J, "independent")) == J * n * (dt + dv)
        assert maple.trained_numbers(maple.Prompts(encoder, n, J, "text")) == J * n * dt
        assert maple.trained_numbers(maple.Prompts(encoder, n, J, "vision")) == J * n * dv
    assert len(maple.Prompts(encoder, 2, 4).P) == 4 and len(maple.Prompts(encoder, 2, 4, "independent").P) == 3


@pytest.mark.slow
def test_trained_numbers_of_the_paper(maple, vit_b16):
    assert maple.trained_numbers(maple.Prompts(vit_b16, 2, 9)) == 3_555_072


@pytest.mark.parametrize("n", [1, 2, 4])
def test_word_embeddings_as_prompts_change_nothing(maple, encoder, rng, n):
    prompts, images = maple.Prompts(encoder, n, 1, "text"), pictures(rng, encoder)
    close(maple.text_features(encoder, prompts, maple.class_texts(encoder, NAMES, n)), encoder.encode_texts(PROMPTED))
    close(maple.encode(encoder, prompts, images), encoder.encode_images(images))
    with torch.no_grad():
        prompts.P[0].add_(0.3 * torch.randn_like(prompts.P[0]))
    moved = maple.text_features(encoder, prompts, maple.class_texts(encoder, NAMES, n)).detach().numpy()
    assert np.abs(moved - encoder.encode_texts(PROMPTED)).max() > 1e-3


@pytest.mark.parametrize("kind", ["coupled", "frozen", "independent", "text", "vision"])
def test_without_tokens_it_is_zero_shot(maple, encoder, rng, kind):
    prompts, images = maple.Prompts(encoder, 0, 3, kind), pictures(rng, encoder)
    x = maple.encode(encoder, prompts, images)
    expected = encoder.scale * encoder.encode_images(images) @ encoder.encode_texts(PROMPTED).T
    np.testing.assert_allclose(maple.scores(encoder, prompts, x, NAMES, 0), expected, atol=2e-4)


def test_image_side_gradients_reach_text_prompts_through_the_tie_alone(maple, encoder, rng):
    pixels, labels = encoder.pixels(pictures(rng, encoder)), torch.tensor([0, 1, 2, 3, 0])
    for kind, reaches in (("coupled", True), ("frozen", True), ("independent", False)):
        prompts = maple.Prompts(encoder, 2, 3, kind)
        loss_of(maple, encoder, prompts, pixels, labels, 2, detach=True).backward()
        for P_k in prompts.P:
            assert (P_k.grad is not None and bool(P_k.grad.abs().max() > 0)) == reaches
        prompts.zero_grad()
        loss_of(maple, encoder, prompts, pixels, labels, 2).backward()
        assert all(P_k.grad.abs().max() > 0 for P_k in prompts.P)  # through the names
    assert all(F_k.weight.grad is None for F_k in maple.Prompts(encoder, 2, 3, "frozen").F)


def entering(transformer, call):
    """What enters each block while `call` runs."""
    found, handles = [], []
    for block in transformer.resblocks:
        handles.append(block.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0].detach().clone())))
    call()
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("n", [1, 2, 3])
def test_image_prompts_stand_at_the_end_of_every_block(maple, encoder, rng, n):
    prompts, images = maple.Prompts(encoder, n, 3), pictures(rng, encoder)
    pixels = encoder.pixels(images)
    tower, V = forward.vision(encoder), prompts.vision()
    found = entering(tower.transformer, lambda: maple.image_features(encoder, prompts, pixels))
    plain = entering(tower.transformer, lambda: encoder.model.encode_image(pixels))
    M = plain[0].shape[1] - 1
    assert [states.shape[1] for states in found] == [1 + M + n] * 4
    close(found[0][:, : 1 + M], plain[0])  # class token first, then all patches
    close(found[0][:, 1 + M :], tower.ln_pre(V[0]).detach().expand(5, -1, -1))  # no positional embedding
    for k in (1, 2):
        expected = prompts.P[k] @ prompts.F[k].weight.T + prompts.F[k].bias
        close(found[k][:, -n:], expected.detach().expand(5, -1, -1))
    assert (found[3][:, -n:].std(dim=0) > 1e-6).any()  # from block J on they flow


@pytest.mark.parametrize("n", [1, 2, 4])
def test_text_prompts_stand_behind_the_start_of_every_block(maple, encoder, n):
    prompts, texts = maple.Prompts(encoder, n, 2), maple.class_texts(encoder, NAMES, n)
    tower = forward.text(encoder)
    found = entering(tower.transformer, lambda: maple.text_features(encoder, prompts, texts))
    close(found[0][:, 1 : n + 1], (prompts.P[0] + tower.positional_embedding[1 : n + 1]).detach().expand(4, -1, -1))
    close(found[0][:, 0], (texts[0][:, 0] + tower.positional_embedding[0]).detach())
    close(found[1][:, 1 : n + 1], prompts.P[1].detach().expand(4, -1, -1))  # no positional embedding
    ids = encoder.tokenizer(PROMPTED)
    close(found[0][:, n + 1 :], (tower.token_embedding(ids) + tower.positional_embedding)[:, n + 1 : found[0].shape[1]])
    assert texts[1].tolist() == ids.argmax(dim=-1).tolist()


def test_tuning_leaves_clip_alone(maple, encoder, rng):
    images, labels, identity = pictures(rng, encoder, 8), torch.tensor([0, 1, 2, 3] * 2), encoder.identity
    state = {name: one.clone() for name, one in encoder.model.state_dict().items()}
    for kind in ("coupled", "independent", "text", "vision", "frozen"):
        prompts = maple.Prompts(encoder, 2, 3, kind)
        before = {name: one.detach().clone() for name, one in prompts.named_parameters()}
        unseen = ["snowman", "anchor"]
        old = maple.scores(encoder, prompts, maple.encode(encoder, prompts, images), unseen, 2)
        losses = trained(maple, encoder, prompts, images, labels, 2)
        assert losses.shape == (4,) and np.isfinite(losses).all()
        assert all(torch.equal(one, state[name]) for name, one in encoder.model.state_dict().items())
        assert encoder.identity == identity
        still = {name for name, one in prompts.named_parameters() if torch.equal(one, before[name])}
        assert still == ({name for name in before if name.startswith("F")} if kind == "frozen" else set())
        now = maple.scores(encoder, prompts, maple.encode(encoder, prompts, images), unseen, 2)
        assert np.abs(now - old).max() > 1e-4
        with torch.no_grad():
            for name, one in prompts.named_parameters():
                one.copy_(before[name])
        again = maple.scores(encoder, prompts, maple.encode(encoder, prompts, images), unseen, 2)
        np.testing.assert_array_equal(again, old)  # through prompts and maps only


# parts of the method


def test_initial_values(maple, encoder):
    torch.manual_seed(3)
    prompts = maple.Prompts(encoder, 2, 4)
    ids = encoder.tokenizer(["a photo of a cup."])[0, 1:3]
    torch.testing.assert_close(prompts.P[0].data, encoder.model.token_embedding(ids))
    assert prompts.P[1].std().item() == pytest.approx(0.02, rel=0.4)
    assert all(torch.equal(prompts.F[1].weight, prompts.F[k].weight) for k in (2, 3))
    assert len({F_k.weight.data_ptr() for F_k in prompts.F}) == 4  # equal, but separate
    assert not torch.equal(prompts.F[0].weight, prompts.F[1].weight)
    assert all(V.std().item() == pytest.approx(0.02, rel=0.4) for V in maple.Prompts(encoder, 4, 3, "vision").V)
    assert maple.Prompts(encoder, 6, 1).P[0].std().item() == pytest.approx(0.02, rel=0.4)  # more than the words


def test_long_prompts_and_wrong_settings(maple, encoder):
    texts = maple.class_texts(encoder, ["cup"], 6)
    prompts = maple.Prompts(encoder, 6, 1, "text")
    assert texts[1].item() == int(encoder.tokenizer(["a a a a a a cup."]).argmax())
    assert maple.text_features(encoder, prompts, texts).shape == (1, encoder.dim)
    with pytest.raises(ValueError, match="4 blocks"):
        maple.Prompts(encoder, 2, 5)
    with pytest.raises(ValueError, match="tied"):
        maple.Prompts(encoder, 2, 2, "tied")
    forward.vision(encoder).pool_type = "avg"
    with pytest.raises(ValueError, match="class token"):
        maple.vision_edits(encoder, maple.Prompts(encoder, 2, 2))


def test_schedule_of_the_paper(maple):
    found = [maple.rate_of(epoch, 5, 0.0035) for epoch in range(5)]
    np.testing.assert_allclose(found, [1e-5, 0.00350, 0.00317, 0.00229, 0.00121], atol=5e-6)


def test_a_step_by_hand(maple):
    learner = torch.nn.Linear(1, 2, bias=False)
    frozen = torch.nn.Parameter(torch.ones(1), requires_grad=False)
    learner.register_parameter("frozen", frozen)
    w = learner.weight.detach().double().numpy().copy()
    labels, velocity, x = torch.tensor([0, 0, 0, 0]), 0.0, torch.ones(4, 1)
    batches = [np.array([0, 1]), np.array([2, 3])] * 2  # two epochs of two steps
    losses = maple.fit(learner, lambda rows, epoch: learner(x[rows]), labels, batches, 2, 0.5)
    for step, loss in enumerate(losses):
        p = np.exp(w[:, 0]) / np.exp(w[:, 0]).sum()
        assert loss == pytest.approx(-math.log(p[0]), abs=1e-6)
        gradient = (p - [1, 0])[:, None] + 5e-4 * w
        velocity = gradient if step == 0 else 0.9 * velocity + gradient
        w = w - (1e-5 if step < 2 else 0.5) * velocity
    np.testing.assert_allclose(learner.weight.detach().numpy(), w, atol=1e-6)
    assert learner.frozen.item() == 1


def test_the_epoch_drops_its_remainder(maple):
    seen, learner = [], torch.nn.Linear(1, 2)

    def score(rows, epoch):
        seen.append(epoch)
        return learner(torch.ones(len(rows), 1))

    maple.fit(learner, score, torch.zeros(7, dtype=torch.long), [np.arange(3)] * 6, 3, 0.1)
    assert seen == [0, 0, 1, 1, 2, 2]


def test_co_coop_is_coop_plus_a_vector_a_picture(maple, encoder, rng):
    x = torch.from_numpy(encoder.encode_images(pictures(rng, encoder, 3)))
    learner, texts = maple.CoCoOp(encoder, 2), maple.class_texts(encoder, NAMES, 2)
    found = maple.conditional_logits(encoder, learner, x, texts)
    coop = maple.Prompts(encoder, 2, 1, "text")
    for b in range(3):
        coop.P[0].data = (learner.P[0] + learner.pi(x[b])).detach()
        alone = encoder.scale * x[b] @ maple.text_features(encoder, coop, texts).T
        close(found[b], alone.detach(), 2e-4)
    np.testing.assert_allclose(maple.scores(encoder, learner, x, NAMES, 2), found.detach().numpy(), atol=2e-4)
    found.sum().backward()
    assert learner.P[0].grad.abs().max() > 0 and learner.pi[0].weight.grad.abs().max() > 0
    with torch.no_grad():
        learner.pi[2].weight.zero_(), learner.pi[2].bias.zero_()
        zero_shot = encoder.scale * x.numpy() @ encoder.encode_texts(PROMPTED).T
        close(maple.conditional_logits(encoder, learner, x, texts), zero_shot, 2e-4)


def test_shift_correction_undoes_one_vector(maple, rng):
    x = rng.normal(size=(6, 4))
    moved = maple.shifted(x + 3.0, x + 3.0, x)
    np.testing.assert_allclose(moved, x / np.linalg.norm(x, axis=1, keepdims=True))
    here = maple.shifted(x, x[:2], x[:2])
    np.testing.assert_allclose(here, x / np.linalg.norm(x, axis=1, keepdims=True))


def test_attention_of_the_class_token(maple, encoder, rng):
    pixels = encoder.pixels(pictures(rng, encoder, 3))
    prompts = maple.Prompts(encoder, 2, 3)
    found = maple.class_attention(encoder, prompts, pixels)
    M = forward.vision(encoder).grid_size[0] ** 2
    assert found.shape == (3, 4, 1 + M + 2)
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(3, 4))
    none = maple.class_attention(encoder, maple.Prompts(encoder, 0, 1, "vision"), pixels)
    assert none.shape == (3, 4, 1 + M)
    assert (found[..., 1 + M :] > 0).all() and not torch.allclose(found[..., : 1 + M], none)


# a real architecture, the whole notebook


@pytest.mark.slow
def test_a_real_architecture_takes_the_same_path(maple, vit_b16, rng):
    images, labels = pictures(rng, vit_b16, 2), torch.tensor([0, 1])
    names, identity = ["cup", "crescent moon"], vit_b16.identity
    plain = maple.Prompts(vit_b16, 0, 1)
    phrases = [f"a photo of a {name}." for name in names]
    close(
        maple.text_features(vit_b16, plain, maple.class_texts(vit_b16, names, 2)), vit_b16.encode_texts(phrases), 1e-5
    )
    close(maple.encode(vit_b16, plain, images), vit_b16.encode_images(images), 1e-5)
    prompts = maple.Prompts(vit_b16, 2, 9)
    texts, pixels = maple.class_texts(vit_b16, names, 2), vit_b16.pixels(images)
    before = prompts.F[8].weight.detach().clone()

    def score(rows, epoch):
        x = maple.image_features(vit_b16, prompts, pixels[rows])
        return vit_b16.scale * x @ maple.text_features(vit_b16, prompts, texts).T

    losses = maple.fit(prompts, score, labels, [np.array([0, 1])], 5, 0.0035)
    assert np.isfinite(losses).all() and not torch.equal(before, prompts.F[8].weight)
    assert vit_b16.identity == identity


@pytest.mark.slow
def test_the_notebook_runs_on_public_data(tmp_path, workspace, tiny_folder):
    from lib import run

    names = [f"{split}/{name}" for split in ("train", "val", "test") for name in ("cup", "gear", "star", "tea_pot")]
    noise_pictures(tmp_path / "pictures", names, 4)
    overrides = {"corpus": f"folder:{tmp_path / 'pictures'}", "encoder": str(tiny_folder), "styles": []}
    overrides |= {"source_style": "", "depth": 2, "shots": 2, "batch_size": 2, "sweep": [[1, 1]], "test_base": 0}
    out = run.run("maple", "smoke", in_process=True, overrides=overrides, quiet=True)
    document = json.loads((out / "claims.json").read_text())
    assert [claim["id"] for claim in document["claims"]] == [
        "base_to_new_harmonic_mean",
        "novel_class_accuracy",
        "coupling_beats_independent",
    ]
