"""lib.forward: the plain forward pass of open_clip to 1e-5, values and gradients, and what edits and masks do to it."""

import numpy as np
import pytest
import torch
from towers import TEXT, TINY, close, gradients, ids, open_clip, pixels, put_second, tower

from lib import forward


def image(model, x, **options):
    return forward.visual_from_tokens(model, forward.image_tokens(model, forward.patches(model, x)), **options)


VARIANTS = {
    "plain": {},
    "mean": {"pool_type": "avg"},
    "mean, norm behind": {"pool_type": "avg", "final_ln_after_pool": True},
    "no norm in front": {"no_ln_pre": True},
    "layer scale": {"ls_init_value": 0.3},
    "own attention": {"block_type": "custom", "qk_norm": True, "scale_attn": True, "scale_attn_inner": True},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=list(VARIANTS))
def test_images_pass_as_in_open_clip(changes):
    model, x = tower(**changes), pixels()
    close(image(model, x), model.encode_image(x))
    weights = torch.randn(24, generator=torch.Generator().manual_seed(3))
    mine, theirs = (gradients(model, (f(x) @ weights).sum()) for f in (lambda x: image(model, x), model.encode_image))
    assert set(mine) == set(theirs) and len(mine) > 30
    for name in mine:
        close(mine[name], theirs[name])


def test_texts_pass_as_in_open_clip():
    model, text = tower(), ids()
    embeddings, eot = model.token_embedding(text), text.argmax(-1)
    close(forward.text_from_embeddings(model, embeddings, eot), model.encode_text(text))
    weights = torch.randn(24, generator=torch.Generator().manual_seed(3))

    def mine(text):
        return forward.text_from_embeddings(model, model.token_embedding(text), text.argmax(-1))

    first, second = (gradients(model, (f(text) @ weights).sum()) for f in (mine, model.encode_text))
    assert set(first) == set(second) and "token_embedding.weight" in first
    for name in first:
        close(first[name], second[name])
    longest = int(eot.max()) + 1  # what stands behind the end changes nothing
    close(forward.text_from_embeddings(model, embeddings[:, :longest], eot), model.encode_text(text))


def test_batch_second_gives_the_same():
    model = tower()
    other, x, text = put_second(model), pixels(), ids()
    close(other.encode_image(x), model.encode_image(x))
    prompts = torch.randn(2, 32)
    edits = {0: forward.insert(prompts), 2: [forward.put(prompts + 1, -2), forward.keep(torch.tensor([[0, 3]] * 3))]}
    mask = torch.zeros(5, 5, dtype=torch.bool)
    mask[0, 3] = True
    for options in ({}, {"edits": edits}, {"mask": mask}, {"mask": {1: mask.expand(3, 2, 5, 5)}}):
        close(image(other, x, **options), image(model, x, **options))
    embeddings, eot = model.token_embedding(text), text.argmax(-1)
    close(forward.text_from_embeddings(other, embeddings, eot), model.encode_text(text))


@pytest.mark.slow
def test_a_real_architecture(vit_b16):
    x = pixels(2, 224)
    with torch.no_grad():
        close(image(vit_b16, x), vit_b16.model.encode_image(x))
    prompt = torch.randn(1, 768, requires_grad=True)
    changed = image(vit_b16, x[:1], edits={0: forward.insert(prompt, 1), 6: forward.put(prompt * 2, 1)})
    assert changed.shape == (1, 512) and torch.autograd.grad(changed.sum(), prompt)[0].abs().sum() > 0
    text = vit_b16.tokenizer(["a photo of a cat", "a red cup on a table"])
    with torch.no_grad():
        embeddings = vit_b16.model.token_embedding(text)
        close(forward.text_from_embeddings(vit_b16, embeddings, text.argmax(-1)), vit_b16.model.encode_text(text))


def test_towers_of_an_encoder_and_of_other_models(tiny_encoder):
    assert forward.vision(tiny_encoder) is tiny_encoder.model.visual is forward.vision(tiny_encoder.model.visual)
    assert forward.text(tiny_encoder) is tiny_encoder.model
    custom = open_clip.CustomTextCLIP(24, TINY, TEXT)
    assert forward.vision(custom) is custom.visual and forward.text(custom) is custom.text is forward.text(custom.text)
    text = ids()
    with torch.no_grad():
        mine = forward.text_from_embeddings(custom, custom.text.token_embedding(text), text.argmax(-1))
        close(mine, custom.encode_text(text))
    resnet = open_clip.CLIP(24, {"image_size": 32, "layers": (1, 1, 1, 1), "width": 8}, TEXT)
    with pytest.raises(ValueError, match="ModifiedResNet is no open_clip VisionTransformer"):
        forward.vision(resnet)
    with pytest.raises(ValueError, match="Linear has no open_clip text"):
        forward.text(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="masks padding"):
        padded = open_clip.CustomTextCLIP(24, TINY, TEXT | {"embed_cls": True})
        forward.text_from_embeddings(padded, torch.zeros(1, 12, 32), torch.tensor([3]))
    pooling = tower(attentional_pool=True)
    with pytest.raises(ValueError, match="by attention"):
        image(pooling, pixels())


def test_tokens_that_nobody_looks_at_change_nothing():
    model, x = tower(), pixels()
    plain, prompts = image(model, x), torch.randn(3, 2, 32)
    hidden = torch.zeros(7, 7, dtype=torch.bool)
    hidden[:, 5:] = True
    close(image(model, x, edits={0: forward.insert(prompts)}, mask=hidden), plain)
    assert (image(model, x, edits={0: forward.insert(prompts)}) - plain).abs().max() > 1e-3
    for start in (None, 1, 3):  # blocks know no order: only the class token's place counts
        close(
            image(model, x, edits={0: forward.insert(prompts, start)}),
            image(model, x, edits={0: forward.insert(prompts)}),
        )


def test_dropped_patches_are_masked_patches():
    model, x = tower(), pixels()
    kept = torch.tensor([[0, 3], [1, 2], [3, 1]])
    hidden = torch.ones(3, 5, dtype=torch.bool).scatter(1, kept + 1, False)
    hidden[:, 0] = False
    mask = hidden[:, None, :].expand(3, 5, 5)
    close(image(model, x, edits={0: forward.keep(kept)}), image(model, x, mask=mask))
    late = image(model, x, edits={-1: forward.keep(kept)})
    close(late, image(model, x, mask={2: mask}))
    assert (late - image(model, x, mask=mask)).abs().max() > 1e-3
    close(image(model, x, edits={1: forward.keep(torch.arange(4).expand(3, 4))}), image(model, x))


def test_masks_may_be_boolean_or_added_and_carry_gradients():
    model, x = tower(), pixels()
    hidden = torch.zeros(3, 2, 5, 5, dtype=torch.bool)
    hidden[1, 0, 0, 2] = True  # one head of one image
    added = torch.zeros(3, 2, 5, 5).masked_fill(hidden, float("-inf"))
    first = image(model, x, mask=hidden)
    close(first, image(model, x, mask=added))
    changed = (first - image(model, x)).abs().amax(1)
    assert changed[1] > 1e-4 and changed[[0, 2]].max() < 1e-5
    bias = torch.zeros(5, 5, requires_grad=True)
    gradient = torch.autograd.grad(image(model, x, mask={2: bias}).sum(), bias)[0]
    step = torch.zeros(5, 5)
    step[0, 2] = 1e-2
    with torch.no_grad():
        up, down = (image(model, x, mask={2: sign * step}).sum() for sign in (1, -1))
    assert abs(float(up - down) / 2e-2 - float(gradient[0, 2])) < 2e-3 * float(gradient.abs().max())
    assert gradient[1:].abs().max() < 1e-6 < gradient[0].abs().max()  # in the last block only the class token is read
    with torch.inference_mode():
        close(image(model, x, mask=hidden), first)
    with pytest.raises(ValueError, match=r"mask \[4, 4\] does not fit 5 tokens"):
        image(model, x, mask=torch.zeros(4, 4))


def test_edits_are_the_plain_loop():
    model, x = tower(), pixels()
    visual, prompts = model.visual, [torch.randn(2, 32) for _ in range(3)]
    states = forward.image_tokens(model, forward.patches(model, x))
    wanted = torch.cat([states, prompts[0].expand(3, 2, 32)], 1)  # MaPLe: new prompts in each block
    for k, block in enumerate(visual.transformer.resblocks):
        if k:
            wanted = torch.cat([wanted[:, :5], prompts[k].expand(3, 2, 32)], 1)
        wanted = block(wanted)
    edits = {0: forward.insert(prompts[0]), 1: forward.put(prompts[1], -2), -1: forward.put(prompts[2], 5)}
    close(forward.visual_from_tokens(model, states, edits, pool=False), wanted)
    close(forward.visual_from_tokens(model, states, edits), visual.ln_post(wanted[:, 0]) @ visual.proj)
    per_image = torch.randn(3, 1, 32)
    assert torch.equal(forward.put(per_image, 2)(states)[:, 2], per_image[:, 0])
    assert torch.equal(forward.put(per_image, 2)(states)[:, 3:], states[:, 3:])
    for start in (4, -1, 9):
        with pytest.raises(ValueError, match=f"2 tokens from position {start} on do not fit into 5"):
            forward.put(prompts[0], start)(states)
    with pytest.raises(ValueError, match="block 3 does not exist: there are 3"):
        image(model, x, edits={3: forward.put(prompts[0], 1)})


def test_learnt_words_replace_words():
    model, text = tower(), ids()
    embeddings, eot = model.token_embedding(text).detach(), text.argmax(-1)
    words = embeddings[0, 1:3].clone()
    changed = forward.put(words, 1)(embeddings)
    same = text.clone()
    same[:, 1:3] = text[0, 1:3]
    close(forward.text_from_embeddings(model, changed, eot), model.encode_text(same))
    deep = forward.text_from_embeddings(model, embeddings, eot, edits={1: forward.put(words, 1)})
    states = model.transformer.resblocks[0](embeddings + model.positional_embedding, attn_mask=model.attn_mask)
    states = torch.cat([states[:, :1], words.expand(5, 2, 32), states[:, 3:]], 1)
    states = model.ln_final(model.transformer.resblocks[1](states, attn_mask=model.attn_mask))
    close(deep, states[torch.arange(5), eot] @ model.text_projection)


def test_positions_of_another_grid_are_those_of_open_clip():
    small, large = tower(), tower(image_size=40)
    state = {"visual.positional_embedding": small.visual.positional_embedding}
    open_clip.model.resize_pos_embed(state, large)
    positions = forward.image_positions(small, (5, 5))
    close(positions, state["visual.positional_embedding"], 1e-6)
    assert torch.equal(forward.image_positions(small, (2, 2)), small.visual.positional_embedding)
    weights = small.state_dict() | {"visual.positional_embedding": positions.detach()}
    large.load_state_dict(weights)
    x = pixels(2, 40)
    embedded = forward.patches(small, x)
    states = forward.image_tokens(small, embedded, positions)
    close(forward.visual_from_tokens(small, states), large.encode_image(x))
    with pytest.raises(ValueError, match="25 patches do not fit 5 positions"):
        forward.image_tokens(small, embedded)
    with pytest.raises(ValueError, match="no whole number of patches of 8 x 8"):
        forward.patches(small, pixels(1, 20))
    flat = forward.image_positions(small, (3, 4))
    assert flat.shape == (13, 32) and torch.equal(flat[0], small.visual.positional_embedding[0])


def test_longer_texts():
    small = tower()
    torch.manual_seed(0)
    large = open_clip.CLIP(24, TINY, TEXT | {"context_length": 30}).eval()
    state = {"positional_embedding": small.positional_embedding}
    open_clip.model.resize_text_pos_embed(state, large)
    positions = forward.text_positions(small, 30)
    close(positions, state["positional_embedding"], 1e-6)
    assert torch.equal(forward.text_positions(small, 12), small.positional_embedding)
    large.load_state_dict(small.state_dict() | {"positional_embedding": positions.detach()})
    text = ids(4, 30)
    embeddings = small.token_embedding(text)
    close(forward.text_from_embeddings(small, embeddings, text.argmax(-1), positions), large.encode_text(text))
    with pytest.raises(ValueError, match="30 embeddings, but 12 positions"):
        forward.text_from_embeddings(small, embeddings, text.argmax(-1))


def test_other_masks_of_texts():
    torch.manual_seed(0)
    both_ways = open_clip.CustomTextCLIP(24, TINY, TEXT | {"no_causal_mask": True}).eval()
    causal, text = tower(), ids()
    with torch.no_grad():
        embeddings = both_ways.text.token_embedding(text)
        close(forward.text_from_embeddings(both_ways, embeddings, text.argmax(-1)), both_ways.encode_text(text))
        open_mask = torch.zeros(12, 12, dtype=torch.bool)
        embeddings = causal.token_embedding(text)
        seen = forward.text_from_embeddings(causal, embeddings, text.argmax(-1), mask=open_mask)
        assert (seen - causal.encode_text(text)).abs().max() > 1e-3
        per_text = torch.randn(5, 12, 32)
        first = forward.text_from_embeddings(causal, embeddings, text.argmax(-1), positions=per_text)
        second = forward.text_from_embeddings(causal, embeddings + per_text, text.argmax(-1), torch.zeros(12, 32))
    close(first, second)


def test_patch_dropout_acts_in_training_only():
    model, x = tower(patch_dropout=0.5), pixels()
    close(image(model, x), model.encode_image(x))
    model.train()
    torch.manual_seed(5)
    mine = image(model, x)
    torch.manual_seed(5)
    close(mine, model.encode_image(x))
    assert np.isfinite(mine.detach().numpy()).all()
