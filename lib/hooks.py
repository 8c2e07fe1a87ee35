"""What goes on inside open_clip's transformers: tokens after any block, attention of any block.

`model` is an Encoder, an open_clip CLIP, a VisionTransformer or a TextTransformer; blocks count from 0, or from the end
if negative. Everything is a torch Tensor with the batch first and carries gradients (a frozen encoder has none to
carry; `torch.inference_mode()` is faster still). `lib.features` stores tokens of whole corpora.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

from lib import forward

if TYPE_CHECKING:
    from torch import Tensor


class Tokens(NamedTuple):
    """States of an image or a text after one block.

    pooled  [N, W], or [N, D] if projected: where the encoder reads its feature, the class token or the end of the text
            (the mean of the patches in towers that pool so). Of the last block, normed and projected, it is
            encode_image or encode_text before normalisation
    tokens  [N, T, W], or [N, T, D]: the patches row by row, without the class token; all positions of a text
    """

    pooled: "Tensor"
    tokens: "Tensor"


class Attention(NamedTuple):
    """Self-attention of one block, by head."""

    probabilities: "Tensor"  # [N, H, T, T], rows sum to 1
    q: "Tensor"  # [N, H, T, d], not yet divided by sqrt(d)
    k: "Tensor"
    v: "Tensor"


def tokens(model, x, blocks: int | list[int] = -1, norm: bool = False, project: bool = False, positions=None):
    """Output of one block (int -> Tokens) or of several (list -> list of Tokens, in that order).

    x          pixels float [N,3,H,W], or token ids int [N,L]; of an Encoder also u8 [N,H,W,3] or a list of str
    norm       through ln_post (of texts ln_final), whatever the block
    project    then into the joint space; ValueError without `norm`, behind which the projection was learnt
    positions  [1 + T, W] or [L, W] in place of the model's own (`forward.image_positions`, `text_positions`)
    """
    if project and not norm:
        raise ValueError("project=True needs norm=True: the projection was learnt behind the last norm")
    x = _input(model, x)
    image = x.is_floating_point()
    tower = forward.vision(model) if image else forward.text(model)
    found = states(tower, x, [blocks] if isinstance(blocks, int) else blocks, positions)
    read = _read_image if image else _read_text
    results = [read(tower, one, x, norm, project) for one in found]
    return results[0] if isinstance(blocks, int) else results


def states(model, x, blocks: int | list[int] = -1, positions=None):
    """Raw output of a block, [N, 1 + T, W] with the class token first, or [N, L, W] of a text; a list for a list.

    Arguments as in `tokens`. Blocks behind the last one asked for do not run.
    """
    x = _input(model, x)
    image = x.is_floating_point()
    tower = forward.vision(model) if image else forward.text(model)
    wanted = [blocks] if isinstance(blocks, int) else list(blocks)
    places = [forward.place(block, len(tower.transformer.resblocks)) for block in wanted]
    entering, mask = _enter_image(tower, x, positions) if image else _enter_text(tower, x, positions)
    found = {}
    for k, one in enumerate(forward.walk(tower.transformer, entering, mask=mask)):
        if k in places:
            found[k] = one
        if k == max(places):
            break
    return found[places[0]] if isinstance(blocks, int) else [found[k] for k in places]


def qkv(block, x) -> tuple["Tensor", "Tensor", "Tensor"]:
    """Queries, keys and values [N, H, T, d] of a resblock for what enters it, x [N, T, W]; through its ln_1."""
    import torch

    attn = block.attn
    projected = torch.nn.functional.linear(block.ln_1(x), attn.in_proj_weight, attn.in_proj_bias)
    q, k, v = (part.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2) for part in projected.chunk(3, dim=-1))
    return (attn.ln_q(q), attn.ln_k(k), v) if hasattr(attn, "ln_q") else (q, k, v)  # open_clip's own Attention


def attention(block, x, mask=None) -> Attention:
    """Self-attention of a resblock for what enters it, x [N, T, W]: softmax(q k^T / sqrt(d) + mask), q, k and v.

    The batch is first also where the block itself has it second. mask: as in `forward.visual_from_tokens`.
    """
    attn = block.attn
    if getattr(attn, "logit_scale", None) is not None:
        raise ValueError("attention by scaled cosines is not provided for")
    q, k, v = qkv(block, x)
    logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if mask is not None:
        mask = forward.additive(mask, attn.num_heads, x)
        logits = logits + (mask if mask.dim() == 2 else mask.unflatten(0, (len(x), -1)))
    return Attention(logits.softmax(dim=-1), q, k, v)


def merge(block, mixed):
    """What attention adds to the input of its block, [N, T, W], from what its heads have mixed, [N, H, T, d].

    With `a = attention(block, x)`, `x + merge(block, a.probabilities @ a.v)` is the state between attention and MLP.
    """
    attn = block.attn
    if getattr(attn, "head_scale", None) is not None:
        mixed = mixed * attn.head_scale
    mixed = mixed.transpose(1, 2).flatten(2)
    mixed = attn.out_proj(attn.ln_inner(mixed) if hasattr(attn, "ln_inner") else mixed)
    return block.ls_1(block.ln_attn(mixed) if hasattr(block, "ln_attn") else mixed)


def _input(model, x):
    """Pixels or ids as a Tensor; pictures and sentences of an Encoder through its own preprocessing and tokenizer."""
    import torch

    if isinstance(x, torch.Tensor):
        return x
    if not hasattr(model, "pixels"):
        raise ValueError(f"x is {type(x).__name__}; give pixels or token ids as a Tensor, or pass the Encoder")
    if isinstance(x, (list, tuple)) and x and isinstance(x[0], str):
        return model.tokenizer(list(x)).to(model.device)
    return model.pixels(x)


def _enter_image(tower, pixels, positions):
    return forward.image_tokens(tower, forward.patches(tower, pixels), positions), None


def _enter_text(tower, ids, positions):
    """States that enter block 0 and their mask, as open_clip makes them."""
    if positions is None and hasattr(tower, "_embeds"):  # TextTransformer, perhaps with class token and padding mask
        entering, mask = tower._embeds(ids)
    else:
        positions = tower.positional_embedding[: ids.shape[1]] if positions is None else positions
        entering, mask = tower.token_embedding(ids).to(tower.transformer.get_cast_dtype()) + positions, tower.attn_mask
    length = entering.shape[1]
    if mask is not None and mask.shape[-1] < length:
        raise ValueError(f"{length} tokens are more than the {mask.shape[-1]} of this tower's context")
    if mask is None or mask.dim() == 3:  # of each head of each text
        return entering, None if mask is None else mask.unflatten(0, (len(ids), -1))
    return entering, mask[:length, :length]


def _read_image(tower, found, _, norm, project) -> Tokens:
    average = tower.pool_type == "avg"
    if not norm:
        return Tokens(found[:, 1:].mean(1) if average else found[:, 0], found[:, 1:])
    if tower.attn_pool is not None:
        raise ValueError("this tower pools by attention and its ln_post does not fit tokens: pass norm=False")
    normed = tower.ln_post(found)
    pooled = normed[:, 1:].mean(1) if average else normed[:, 0]
    if average and tower.final_ln_after_pool:
        pooled = tower.ln_post(found[:, 1:].mean(1))
    return _projected(tower, pooled, normed[:, 1:], project)


def _read_text(tower, found, ids, norm, project) -> Tokens:
    from open_clip.transformer import text_global_pool

    found = tower.ln_final(found) if norm else found
    if getattr(tower, "cls_emb", None) is not None:  # a class token at the end
        return _projected(tower, found[:, -1], found[:, :-1], project)
    kind = getattr(tower, "text_pool_type", None) or tower.pool_type
    end = getattr(tower, "text_eos_id", getattr(tower, "eos_id", None))
    return _projected(tower, text_global_pool(found, ids, kind, eos_token_id=end), found, project)


def _projected(tower, pooled, found, project) -> Tokens:
    result = Tokens(pooled, found)
    return Tokens(*(forward.project(tower, part) for part in result)) if project else result
