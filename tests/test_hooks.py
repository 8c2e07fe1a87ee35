"""lib.hooks: tokens and attention of open_clip's blocks, against forward hooks and torch's own attention."""

import numpy as np
import pytest
import torch
from towers import TEXT, TINY, close, gradients, ids, open_clip, pixels, put_second, tower

from lib import hooks


def outputs(model, call, x, transformer):
    """What each block of a transformer puts out, by torch's forward hooks, batch first."""
    found, first = [], transformer.batch_first
    handles = [
        block.register_forward_hook(lambda _, __, out: found.append(out if first else out.transpose(0, 1)))
        for block in transformer.resblocks
    ]
    with torch.no_grad():
        call(x)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("second", [False, True], ids=["batch first", "batch second"])
def test_states_are_what_blocks_put_out(second):
    model = put_second(tower()) if second else tower()
    x, text = pixels(), ids()
    seen = outputs(model, model.encode_image, x, model.visual.transformer)
    assert len(seen) == 3
    for k, wanted in enumerate(seen):
        close(hooks.states(model, x, k), wanted)
        close(hooks.tokens(model.visual, x, k - 3).tokens, wanted[:, 1:])
        close(hooks.tokens(model, x, k).pooled, wanted[:, 0])
    for wanted, found in zip((seen[2], seen[0], seen[2]), hooks.tokens(model, x, [-1, 0, 2])):
        close(found.tokens, wanted[:, 1:])
    for k, wanted in enumerate(outputs(model, model.encode_text, text, model.transformer)):
        found = hooks.tokens(model, text, k)
        close(found.tokens, wanted)
        close(found.pooled, wanted[torch.arange(5), text.argmax(-1)])


VARIANTS = [{}, {"pool_type": "avg"}, {"pool_type": "avg", "final_ln_after_pool": True}, {"no_ln_pre": True}]


@pytest.mark.parametrize("changes", VARIANTS)
def test_the_pooled_token_of_the_last_block_is_the_image_feature(changes):
    model, x = tower(**changes), pixels()
    found = hooks.tokens(model, x, norm=True, project=True)
    close(found.pooled, model.encode_image(x))
    assert found.tokens.shape == (3, 4, 24)
    normed = hooks.tokens(model, x, norm=True)
    close(normed.tokens @ model.visual.proj, found.tokens)
    close(normed.tokens, model.visual.ln_post(hooks.tokens(model, x).tokens))
    weights = torch.randn(24, generator=torch.Generator().manual_seed(3))
    mine = gradients(model, (found.pooled @ weights).sum())
    theirs = gradients(model, (model.encode_image(x) @ weights).sum())
    assert set(mine) == set(theirs) and len(mine) > 30
    for name in mine:
        close(mine[name], theirs[name])


def test_the_pooled_token_of_a_text_is_its_feature():
    model, text = tower(), ids()
    found = hooks.tokens(model, text, norm=True, project=True)
    close(found.pooled, model.encode_text(text))
    assert found.tokens.shape == (5, 12, 24)
    custom = open_clip.CustomTextCLIP(24, TINY, TEXT).eval()
    close(hooks.tokens(custom, text, norm=True, project=True).pooled, custom.encode_text(text))
    class_token = open_clip.CustomTextCLIP(24, TINY, TEXT | {"embed_cls": True, "pad_id": 0}).eval()
    found = hooks.tokens(class_token, text[:, :11], norm=True, project=True)
    close(found.pooled, class_token.encode_text(text[:, :11]))
    assert found.tokens.shape == (5, 11, 24)
    bias = open_clip.CustomTextCLIP(24, TINY, TEXT | {"proj_bias": True}).eval()
    close(hooks.tokens(bias, text, norm=True, project=True).pooled, bias.encode_text(text))
    both_ways = open_clip.CustomTextCLIP(24, TINY, TEXT | {"no_causal_mask": True}).eval()
    close(hooks.tokens(both_ways, text, norm=True, project=True).pooled, both_ways.encode_text(text))
    short = text[4:, :9]  # fewer ids than the context
    close(hooks.tokens(model, short, 0).tokens, hooks.tokens(model, text[4:], 0).tokens[:, :9])


def test_an_encoder_takes_pictures_and_sentences(tiny_encoder):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    found = hooks.tokens(tiny_encoder, pictures, norm=True, project=True)
    assert found.tokens.shape == (3, 4, 32) and not found.tokens.requires_grad
    np.testing.assert_allclose(found.pooled, tiny_encoder.encode_images(pictures, normalize=False), atol=1e-5)
    words = hooks.tokens(tiny_encoder, ["a red cup", "a star"], norm=True, project=True)
    np.testing.assert_allclose(
        words.pooled, tiny_encoder.encode_texts(["a red cup", "a star"], normalize=False), atol=1e-5
    )
    trainable = tiny_encoder.copy()
    assert hooks.tokens(trainable, pictures, 0).tokens.requires_grad


@pytest.mark.parametrize("second", [False, True], ids=["batch first", "batch second"])
def test_attention_is_torchs_own(second):
    model = put_second(tower()) if second else tower()
    visual, x = model.visual, pixels()
    for transformer, mask, entering in (
        (visual.transformer, None, torch.randn(3, 5, 32)),
        (model.transformer, model.attn_mask, torch.randn(3, 12, 32)),
    ):
        block = transformer.resblocks[-1]
        found, u = hooks.attention(block, entering, mask), block.ln_1(entering)
        u = u.transpose(0, 1) if second else u
        wanted = block.attn(u, u, u, need_weights=True, average_attn_weights=False, attn_mask=mask)
        close(found.probabilities, wanted[1], 1e-6)
        close(hooks.merge(block, found.probabilities @ found.v), wanted[0].transpose(0, 1) if second else wanted[0])
        close(found.probabilities.sum(-1), torch.ones(found.q.shape[:3]), 1e-6)
    inside = hooks.attention(visual.transformer.resblocks[1], hooks.states(model, x, 0))
    assert inside.probabilities.shape == (3, 2, 5, 5) and inside.q.shape == inside.v.shape == (3, 2, 5, 16)


@pytest.mark.parametrize(
    "changes",
    [{}, {"ls_init_value": 0.3}, {"block_type": "custom", "qk_norm": True}, {"scale_attn": True, "scale_heads": True},
     {"scale_attn_inner": True}],
)  # fmt: skip
def test_a_block_from_its_attention(changes):
    model, x = tower(**changes), pixels()
    block, entering = model.visual.transformer.resblocks[1], hooks.states(model, x, 0)
    found = hooks.attention(block, entering)
    between = entering + hooks.merge(block, found.probabilities @ found.v)
    close(between + block.ls_2(block.mlp(block.ln_2(between))), hooks.states(model, x, 1))


def test_masks_of_attention():
    model = tower()
    block, entering = model.visual.transformer.resblocks[1], torch.randn(3, 5, 32)
    hidden = torch.zeros(3, 5, 5, dtype=torch.bool)
    hidden[1, :, 4] = True
    found = hooks.attention(block, entering, hidden).probabilities
    assert found[1, :, :, 4].abs().max() == 0 and found[0, :, :, 4].min() > 0
    free = hooks.attention(block, entering).probabilities[1, :, :, :4]
    close(found[1, :, :, :4], free / free.sum(-1, keepdim=True), 1e-6)
    close(hooks.attention(block, entering, hidden.float() * -1e9).probabilities, found, 1e-6)


def test_what_cannot_be_read_is_refused():
    model, x = tower(), pixels()
    with pytest.raises(ValueError, match="project=True needs norm=True"):
        hooks.tokens(model, x, project=True)
    with pytest.raises(ValueError, match="block 7 does not exist: there are 3"):
        hooks.tokens(model, x, [0, 7])
    with pytest.raises(ValueError, match="ndarray; give pixels or token ids as a Tensor"):
        hooks.tokens(model, np.zeros((1, 16, 16, 3), np.uint8))
    with pytest.raises(ValueError, match="14 tokens are more than the 12"):
        hooks.tokens(model, torch.ones(1, 14, dtype=torch.int64), positions=torch.zeros(14, 32))
    with pytest.raises(ValueError, match="pools by attention"):
        hooks.tokens(tower(attentional_pool=True), x, norm=True)
    scaled = tower().visual.transformer.resblocks[0]
    scaled.attn.logit_scale = torch.nn.Parameter(torch.zeros(2, 1, 1))
    with pytest.raises(ValueError, match="scaled cosines"):
        hooks.attention(scaled, torch.zeros(1, 5, 32))


def test_later_blocks_do_not_run():
    model, calls = tower(), []
    for k, block in enumerate(model.visual.transformer.resblocks):
        block.register_forward_hook(lambda *_, k=k: calls.append(k))
    hooks.tokens(model, pixels(), [1, 0])
    assert calls == [0, 1]


@pytest.mark.slow
def test_a_real_architecture(vit_b16):
    x = pixels(1, 224)
    with torch.inference_mode():
        first, last = hooks.tokens(vit_b16, x, [0, -1], norm=True, project=True)
        close(last.pooled, vit_b16.model.encode_image(x))
        assert first.tokens.shape == last.tokens.shape == (1, 196, 512)
        block = vit_b16.model.visual.transformer.resblocks[-1]
        entering = hooks.states(vit_b16, x, -2)
        found = hooks.attention(block, entering)
        between = entering + hooks.merge(block, found.probabilities @ found.v)
        close(between + block.mlp(block.ln_2(between)), hooks.states(vit_b16, x))
        text = ["a photo of a cat"]
        close(hooks.tokens(vit_b16, text, norm=True, project=True).pooled,
              vit_b16.model.encode_text(vit_b16.tokenizer(text)))  # fmt: skip
