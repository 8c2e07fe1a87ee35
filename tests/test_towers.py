"""Towers for runs from scratch: shapes, memory layout, tokens, the encoder protocol, and the training loop."""

import numpy as np
import pytest
import torch

from lib import datasets, encoders, features, losses, text, towers, weights, zeroshot
from lib.arms import Run

TEXTS = ["a red cup", "a blue anchor on sand", "the star left of the green cloud", "a red cup"]
FLAT = {"red": (220, 40, 40), "green": (40, 190, 60), "blue": (40, 60, 220), "yellow": (240, 220, 40)}


@pytest.fixture(scope="module")
def tokenizer(lexicon):
    return towers.tokenizer(text.build_tokenizer([*lexicon, *TEXTS], 400), texts=[*lexicon, *TEXTS])


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(params=towers.TOWERS)
def encoder(request, tokenizer):
    return towers.build(request.param, tokenizer, 3, device="cpu", precision="float32")


def parameters(encoder) -> dict:
    return {name: value.detach().clone() for name, value in encoder.model.named_parameters()}


def test_sizes_and_shapes(encoder, tokenizer, images):
    visual = sum(p.numel() for p in encoder.model.visual.parameters())
    assert {"R16": 1.2e6, "P16": 0.5e6}[encoder.name] < visual < {"R16": 1.5e6, "P16": 0.8e6}[encoder.name]
    assert (encoder.dim, encoder.image_size, encoder.context) == (128, 64, tokenizer.context_length)
    assert all(p.requires_grad for p in encoder.model.parameters()) and not encoder.frozen
    assert encoder.encode_images(images).shape == encoder.encode_texts(TEXTS).shape == (4, 128)
    assert encoder.scale == pytest.approx(1 / 0.07, rel=1e-4)


def test_wider_tower_and_unknown_tower(tokenizer):
    wide = towers.build("R", tokenizer, 0, width=32, device="cpu")
    assert 4e6 < sum(p.numel() for p in wide.model.visual.parameters()) < 6e6 and wide.name == "R32"
    with pytest.raises(ValueError, match="choose one of R, P"):
        towers.build("V", tokenizer, 0)


def test_context_fits_the_longest_text_and_the_end_token_stays_last(lexicon):
    core = text.build_tokenizer([*lexicon, *TEXTS], 400)
    tokens = towers.tokenizer(core, texts=TEXTS)(TEXTS)
    end = len(core) - 1
    assert tokens.shape[1] == max((tokens > 0).sum(1)) == (tokens[2] > 0).sum() and (tokens.max(1).values == end).all()
    cut = towers.tokenizer(core, context=5)(TEXTS)
    assert cut.shape == (4, 5) and (cut[1:3, -1] == end).all()
    with pytest.raises(ValueError, match="needs its context"):
        towers.tokenizer(core)


def test_channels_last_changes_the_layout_and_not_the_numbers(encoder, images):
    assert (
        encoder.model.visual.state_dict()[next(k for k in encoder.model.visual.state_dict() if "conv2" in k)].stride(1)
        == 1
    )
    pixels = encoder.pixels(images)
    plain = encoder.copy().model.visual.to(memory_format=torch.contiguous_format).eval()
    with torch.no_grad():
        ours = encoder.model.visual(pixels.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(ours, plain(pixels), rtol=1e-4, atol=1e-5)


def test_weights_follow_from_the_seed_alone(tokenizer):
    torch.manual_seed(99)
    first, state = parameters(towers.build("P", tokenizer, 3, device="cpu")), torch.get_rng_state()
    again = parameters(towers.build("P", tokenizer, 3, device="cpu"))
    assert torch.equal(state, torch.get_rng_state()), "the global stream is untouched"
    other, plain = (
        parameters(towers.build(*kind, device="cpu")) for kind in (("P", tokenizer, 4), ("R", tokenizer, 3))
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["visual.proj"], other["visual.proj"])
    assert torch.equal(first["visual.trunk.conv1.weight"], plain["visual.conv1.weight"])
    assert torch.equal(first["token_embedding.weight"], plain["token_embedding.weight"]), "towers share the text side"


def test_pyramid_gives_text_aligned_tokens(tokenizer, images):
    encoder = towers.build("P", tokenizer, 0, device="cpu", precision="float32")
    visual, pixels = encoder.model.visual.eval(), encoder.pixels(images)
    with torch.no_grad():
        pooled, tokens = visual(pixels, return_tokens=True)
        torch.testing.assert_close(visual(pixels), pooled)
        visual.output_tokens = True
        torch.testing.assert_close(visual(pixels)[1], tokens)
    assert visual.grid_size == (8, 8) and tokens.shape == (4, 64, 128)
    torch.testing.assert_close((tokens @ visual.proj).mean(1), pooled, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(tokens.mean(-1), torch.zeros(4, 64), atol=1e-5, rtol=0)  # a fresh LayerNorm


def test_pyramid_tokens_lie_row_by_row(tokenizer):
    visual = towers.build("P", tokenizer, 0, device="cpu", precision="float32").model.visual.eval()
    pixels = torch.zeros(1, 3, 64, 64)
    changed = pixels.clone()
    changed[..., 40:48, 16:24] = 3.0  # row 5, column 2
    with torch.no_grad():
        moved = (visual(changed, return_tokens=True)[1] - visual(pixels, return_tokens=True)[1]).norm(dim=-1)[0]
    share = (moved / moved.sum()).reshape(8, 8)
    row, column = (float((share.sum(axis) * torch.arange(8)).sum()) for axis in (1, 0))
    assert abs(row - 5.5) < 1 and abs(column - 2.5) < 1, "what changes lies where the picture changed"


def test_pyramid_is_the_sum_of_its_stages(tokenizer, images):
    encoder = towers.build("P", tokenizer, 0, device="cpu", precision="float32")
    visual, pixels = encoder.model.visual.eval(), encoder.pixels(images)
    trunk = visual.trunk
    with torch.no_grad():
        two = trunk.layer2(trunk.layer1(trunk.stem(pixels)))
        three = trunk.layer3(two)
        four = trunk.layer4(three)
        assert [each.shape[1:] for each in (two, three, four)] == [(128, 8, 8), (256, 4, 4), (512, 2, 2)]
        total = torch.zeros(4, 128, 8, 8)
        for convolve, each in zip(visual.lateral, (two, three, four)):
            total += convolve(each).repeat_interleave(8 // each.shape[2], 2).repeat_interleave(8 // each.shape[2], 3)
        expected = visual.ln_post(total.flatten(2).transpose(1, 2))
        torch.testing.assert_close(visual(pixels, return_tokens=True)[1], expected, rtol=1e-4, atol=1e-5)


def test_gradient_reaches_every_parameter(encoder, images):
    encoder.model.train()
    loss = towers.contrast(encoder, encoder.pixels(images), TEXTS)
    loss.backward()
    missing = [name for name, p in encoder.model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert missing == []
    last = "visual.proj" if hasattr(encoder.model.visual, "proj") else "visual.attnpool.c_proj.weight"
    touched = (last, "visual.layer4.0.bn3.weight", "token_embedding.weight", "logit_scale")
    named = dict(encoder.model.named_parameters())
    for name in touched:
        name = name if name in named else name.replace("visual.", "visual.trunk.", 1)
        assert named[name].grad.abs().max() > 0, name


def test_embed_is_what_the_encoder_encodes(encoder, images):
    encoder.model.eval()
    with torch.no_grad():
        image_features, text_features, scale = towers.embed(encoder, encoder.pixels(images), TEXTS)
    np.testing.assert_allclose(image_features.numpy(), encoder.encode_images(images), atol=1e-5)
    np.testing.assert_allclose(text_features.numpy(), encoder.encode_texts(TEXTS), atol=1e-5)
    assert float(scale) == pytest.approx(encoder.scale)
    expected = losses.clip(image_features, text_features, scale, losses.same(TEXTS))
    torch.testing.assert_close(towers.contrast(encoder, encoder.pixels(images), TEXTS).detach(), expected)


def test_half_precision_stays_close_to_float32(tokenizer, images):
    full, half = (towers.build("R", tokenizer, 3, device="cpu", precision=each) for each in ("float32", "bf16"))
    with torch.no_grad():
        pairs = [towers.embed(each, each.pixels(images), TEXTS) for each in (full, half)]
    for one, other in zip(*[pair[:2] for pair in pairs]):
        assert one.dtype == other.dtype == torch.float32
        assert ((one * other).sum(-1) > 0.999).all() and not torch.equal(one, other)


def test_the_encoder_protocol_holds(encoder, images):
    corpus = datasets.Corpus("toy", "test", "toy/test@0", 4, {"image": lambda: images})
    found = features.images(encoder, corpus)
    np.testing.assert_allclose(found, encoder.encode_images(images, precision="float32"), atol=1e-6)
    head = zeroshot.head(encoder, ["red cup", "blue anchor"], ["a {}", "the {} on sand"])
    assert head.shape == (2, 128) and zeroshot.logits(found, head).shape == (4, 2)
    name, identity = encoder.identity.split("@")
    assert name == encoder.name and encoder.identity == f"{name}@{identity}"
    with torch.no_grad():
        encoder.model.logit_scale += 1
    assert encoder.identity != f"{name}@{identity}"


def test_tower_r_is_saved_and_loaded(tmp_path, tokenizer, images):
    encoder = towers.build("R", tokenizer, 3, device="cpu", name="saved")
    encoders.save(tmp_path / "saved", encoder.model, encoder.model_cfg, weights.PREPROCESS, tokenizer)
    loaded = encoders.load(str(tmp_path / "saved"), device="cpu")
    assert loaded.identity == encoder.identity
    np.testing.assert_allclose(
        loaded.encode_images(images), encoder.encode_images(images, precision="float32"), atol=1e-5
    )
    np.testing.assert_allclose(loaded.encode_texts(TEXTS), encoder.encode_texts(TEXTS, precision="float32"), atol=1e-5)


def test_tower_p_is_no_open_clip_directory(tmp_path, tokenizer):
    encoder = towers.build("P", tokenizer, 3, device="cpu")
    encoders.save(tmp_path / "saved", encoder.model, encoder.model_cfg, weights.PREPROCESS, tokenizer)
    with pytest.raises(ValueError, match="weights do not fit"):
        encoders.load(str(tmp_path / "saved"), device="cpu")


# ---- pretrain


def flat_batch(rows, run):
    """Flat pictures of four colours and their names, noise from the picture stream, frames from the text stream."""
    names = list(FLAT)
    noise = run.rng("image").integers(-12, 13, (len(rows), 64, 64, 3))
    pictures = np.stack([np.full((64, 64, 3), FLAT[names[row % 4]]) for row in rows]) + noise
    frames = ["a {} cup", "the {} star"]
    texts = [frames[k].format(names[row % 4]) for row, k in zip(rows, run.rng("text").integers(2, size=len(rows)))]
    return np.clip(pictures, 0, 255).astype(np.uint8), texts


def train(tokenizer, steps=3, tower="R", objective=towers.contrast, precision="float32", arm="clip"):
    run, seen = Run(arm, 0, steps, 8, 16), []
    encoder = towers.build(tower, tokenizer, 0, device="cpu", precision=precision)
    trained = towers.pretrain(
        run, encoder, flat_batch, 2e-3, objective=objective, watch=lambda step, loss: seen.append((step, float(loss)))
    )
    return trained, run, seen


def test_training_twice_gives_the_same_bits(tokenizer):
    (one, run, losses_one), (two, _, losses_two) = (train(tokenizer, precision="bf16") for _ in range(2))
    assert losses_one == losses_two and [step for step, _ in losses_one] == [0, 1, 2]
    assert all(torch.equal(a, b) for a, b in zip(one.model.state_dict().values(), two.model.state_dict().values()))
    assert run.counts == {"steps": 3, "samples": 24}
    assert not one.model.training and not one.frozen


def test_the_learning_rate_rises_and_falls_to_its_floor(tokenizer, monkeypatch):
    rates = []
    monkeypatch.setattr(towers.optim, "set_learning_rate", lambda optimizer, rate: rates.append(rate))
    encoder = towers.build("R", tokenizer, 0, device="cpu", precision="float32")
    towers.pretrain(Run("clip", 0, 10, 4, 16), encoder, flat_batch, 1.0, warmup=0.2, floor=0.1)
    assert rates[:3] == [0.5, 1.0, 1.0] and 0.1 < rates[-1] < 0.16 and rates[2:] == sorted(rates[2:], reverse=True)


def test_a_loss_that_is_not_finite_stops_the_run(tokenizer):
    def broken(encoder, pixels, texts):
        return towers.embed(encoder, pixels, texts)[2] * float("nan")

    with pytest.raises(FloatingPointError, match="arm 'odd'"):
        train(tokenizer, objective=broken, arm="odd")


def test_the_scale_stays_within_its_bounds(tokenizer):
    def push(encoder, pixels, texts):
        return -100.0 * towers.embed(encoder, pixels, texts)[2]

    encoder = towers.build("R", tokenizer, 0, device="cpu", precision="float32")
    with torch.no_grad():
        encoder.model.logit_scale.fill_(np.log(99.9))
    towers.pretrain(Run("clip", 0, 3, 4, 16), encoder, flat_batch, 0.1, objective=push)
    assert encoder.scale == pytest.approx(100.0, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("tower", towers.TOWERS)
def test_it_learns_four_colours(tokenizer, tower):
    encoder, run, seen = train(tokenizer, steps=40, tower=tower, precision="bf16")
    images, _ = flat_batch(np.arange(16), run)
    head = zeroshot.head(encoder, list(FLAT), ["a {} star"])
    found = encoder.encode_images(images) @ head.T
    assert (found.argmax(1) == np.arange(16) % 4).mean() > 0.9 and seen[-1][1] < seen[0][1]
