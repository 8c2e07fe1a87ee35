"""Forward passes that a method changes on the way: prompts in either tower, dropped tokens, masks, other positions.

Everything runs through open_clip's own modules and carries gradients. An image passes in three steps,

    embedded = forward.patches(model, pixels)             # [N, T, W] conv1
    states = forward.image_tokens(model, embedded)        # [N, 1 + T, W] class token first, positions, ln_pre
    features = forward.visual_from_tokens(model, states)  # [N, D], what model.encode_image gives

and a text in two, `model.token_embedding(ids)` and `text_from_embeddings`. Before any block `edits` may change what
enters it: {block: function of states [N, T, W], or a list of such}; `put`, `insert` and `keep` make the usual ones.
`model` is an Encoder, an open_clip CLIP or one of its towers. Blocks count from 0, or from the end if negative.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping


def vision(model):
    """The VisionTransformer of a model. Raises ValueError for towers of another kind (ResNet, timm)."""
    model = getattr(model, "model", model)  # an Encoder
    tower = getattr(model, "visual", model)
    if not hasattr(getattr(tower, "transformer", None), "resblocks") or not hasattr(tower, "conv1"):
        raise ValueError(f"{type(tower).__name__} is no open_clip VisionTransformer: it has no blocks of tokens")
    return tower


def text(model):
    """The text tower of a model: the CLIP itself, or a TextTransformer. Raises ValueError for others (Hugging Face)."""
    model = getattr(model, "model", model)
    tower = model if hasattr(model, "token_embedding") else getattr(model, "text", model)
    if not hasattr(getattr(tower, "transformer", None), "resblocks") or not hasattr(tower, "token_embedding"):
        raise ValueError(f"{type(tower).__name__} has no open_clip text transformer")
    return tower


def place(block: int, count: int) -> int:
    """Index of a block from 0, of one that may count from the end. Raises ValueError where there is no such block."""
    if not -count <= block < count:
        raise ValueError(f"block {block} does not exist: there are {count}, 0 to {count - 1} or -{count} to -1")
    return block % count


def patches(model, pixels):
    """Patches of normalised pixels [N,3,H,W] through conv1, row by row [N, T, W]: no class token, no positions."""
    tower = vision(model)
    height, width = tower.patch_size
    if pixels.shape[-2] % height or pixels.shape[-1] % width:
        raise ValueError(f"pixels {list(pixels.shape)} are no whole number of patches of {height} x {width}")
    return tower.conv1(pixels).flatten(2).transpose(1, 2)


def image_tokens(model, embedded, positions=None):
    """What enters block 0, [N, 1 + T, W]: class token, embedded patches [N, T, W], positions added, ln_pre.

    positions: [1 + T, W] in place of the model's own, such as `image_positions` gives for another grid.
    """
    import torch

    tower = vision(model)
    positions = tower.positional_embedding if positions is None else positions
    if positions.shape[-2] != embedded.shape[1] + 1:
        raise ValueError(
            f"{embedded.shape[1]} patches do not fit {positions.shape[-2]} positions (one is the class token's): "
            "pass positions=forward.image_positions(model, grid)"
        )
    first = tower.class_embedding.to(embedded.dtype).expand(len(embedded), 1, -1)
    states = torch.cat([first, embedded], dim=1) + positions.to(embedded.dtype)
    return tower.ln_pre(tower.patch_dropout(states))


def visual_from_tokens(model, tokens, edits: Mapping | None = None, mask=None, pool: bool = True):
    """Image features [N, D], not normalised, of `tokens` [N, 1 + T, W] that enter block 0, class token first.

    edits  {block: function(s)} on what enters a block
    mask   who may not look at whom: bool (True: may not) or added to the logits; [T', T'] from row to column, or
           [N, T', T'], or [N, heads, T', T'], class token included; the same in all blocks, or {block: mask}
    pool   False: the output of the last block, [N, T', W], before ln_post
    A tower that pools by the mean counts inserted tokens too.
    """
    tower = vision(model)
    states = _last(walk(tower.transformer, tokens, edits, mask))
    return pooled(tower, states) if pool else states


def text_from_embeddings(model, embeddings, eot, positions=None, edits: Mapping | None = None, mask=None):
    """Text features [N, D], not normalised, of token embeddings [N, L, W] to which positions are still to be added.

    eot        int64 [N], the position that is pooled: `ids.argmax(-1)` of the ids the embeddings came from
    positions  [L, W] or [N, L, W] in place of the first L of the model's own
    edits, mask  as in `visual_from_tokens`; without a mask the model's own: causal, of whatever length, or none
    """
    import torch

    tower = text(model)
    length = embeddings.shape[1]
    if getattr(tower, "cls_emb", None) is not None or (getattr(tower, "use_pad_mask", False) and mask is None):
        raise ValueError("this text tower needs more than embeddings: it appends a class token or masks padding")
    if positions is None:
        positions = tower.positional_embedding[:length]
    if positions.shape[-2] != length:
        raise ValueError(
            f"{length} embeddings, but {positions.shape[-2]} positions: pass positions=text_positions(...)"
        )
    if mask is None and tower.attn_mask is not None:
        mask = torch.ones(length, length, dtype=torch.bool, device=embeddings.device).triu(1)
    states = _last(walk(tower.transformer, embeddings + positions.to(embeddings.dtype), edits, mask))
    rows = torch.arange(len(states), device=states.device)
    return project(tower, tower.ln_final(states[rows, eot.to(states.device)]))


def walk(transformer, states, edits: Mapping | None = None, mask=None) -> Iterator:
    """Run states [N, T, W] through the blocks of an open_clip Transformer; yields the output of each in turn."""
    blocks = transformer.resblocks
    edits = {place(block, len(blocks)): edit for block, edit in (edits or {}).items()}
    masks = {place(block, len(blocks)): one for block, one in mask.items()} if isinstance(mask, Mapping) else None
    batch_first = getattr(transformer, "batch_first", True)
    for k, block in enumerate(blocks):
        for edit in _listed(edits.get(k, ())):
            states = edit(states)
        added = additive(mask if masks is None else masks.get(k), block.attn.num_heads, states)
        if batch_first:
            states = block(states, attn_mask=added)
        else:
            states = block(states.transpose(0, 1), attn_mask=added).transpose(0, 1)
        yield states


def additive(mask, heads: int, states):
    """A mask as open_clip's blocks take it: added to the logits, [T, T] or [N * heads, T, T]; None stays None."""
    import torch

    if mask is None:
        return None
    size = states.shape[1]
    if mask.shape[-2:] != (size, size) or mask.dim() not in (2, 3, 4):
        raise ValueError(f"mask {list(mask.shape)} does not fit {size} tokens: [T, T], [N, T, T] or [N, heads, T, T]")
    if mask.dtype == torch.bool:  # a block would turn True into a one that is added
        mask = torch.zeros_like(mask, dtype=states.dtype).masked_fill(mask, -math.inf)
    mask = mask.to(states)
    if mask.dim() == 2:
        return mask
    mask = mask[:, None] if mask.dim() == 3 else mask
    return mask.expand(len(states), heads, size, size).flatten(0, 1)


def pooled(tower, states):
    """Features [N, D] of the output of a vision tower's last block: pooled as the tower does, ln_post, projected."""
    if tower.attn_pool is not None or tower.pool_type not in ("tok", "avg"):
        raise ValueError(f"pooling of this tower ('{tower.pool_type}', or by attention) is not provided for")
    average = tower.pool_type == "avg"
    if average and not tower.final_ln_after_pool:
        return project(tower, tower.ln_post(states[:, 1:]).mean(1))
    return project(tower, tower.ln_post(states[:, 1:].mean(1) if average else states[:, 0]))


def project(tower, states):
    """States [..., W] of a vision or text tower, normed already, in the joint space [..., D]."""
    projection = tower.proj if hasattr(tower, "conv1") else tower.text_projection
    if projection is None:
        return states
    return projection(states) if callable(projection) else states @ projection


def put(values, start: int) -> Callable:
    """Edit that overwrites tokens from position `start` on (from the end if negative) by values [n, W] or [N, n, W]."""
    import torch

    def edit(states):
        count, size = values.shape[-2], states.shape[1]
        begin = start % size if -size <= start < size else size
        if begin + count > size:
            raise ValueError(f"{count} tokens from position {start} on do not fit into {size}")
        return torch.cat([states[:, :begin], _batch(values, states), states[:, begin + count :]], dim=1)

    return edit


def insert(values, start: int | None = None) -> Callable:
    """Edit that puts values [n, W] or [N, n, W] before position `start`, or behind all tokens."""
    import torch

    def edit(states):
        begin = states.shape[1] if start is None else start
        return torch.cat([states[:, :begin], _batch(values, states), states[:, begin:]], dim=1)

    return edit


def keep(indices) -> Callable:
    """Edit that keeps the class token and the patches `indices`, int64 [N, K] of 0 to T - 1, and drops the others."""
    import torch

    def edit(states):
        rows = torch.arange(len(states), device=states.device)[:, None]
        return torch.cat([states[:, :1], states[:, 1:][rows, indices.to(states.device)]], dim=1)

    return edit


def image_positions(model, grid: tuple[int, int], antialias: bool = True):
    """Positional embedding of a vision tower for another grid (rows, columns), [1 + rows * columns, W].

    Bicubic over the patches, the class token's as it is; the same as open_clip does on loading (resize_pos_embed).
    """
    import torch

    tower = vision(model)
    own, old = tower.positional_embedding, tuple(tower.grid_size)
    if tuple(grid) == old:
        return own
    plane = own[1:].reshape(1, *old, -1).permute(0, 3, 1, 2)
    plane = torch.nn.functional.interpolate(plane, tuple(grid), mode="bicubic", antialias=antialias)
    return torch.cat([own[:1], plane.flatten(2)[0].T])


def text_positions(model, length: int):
    """Positional embedding of a text tower stretched to another length, linear, [length, W] (resize_text_pos_embed)."""
    import torch

    own = text(model).positional_embedding
    if length == len(own):
        return own
    return torch.nn.functional.interpolate(own.T[None], length, mode="linear")[0].T


def _last(outputs: Iterator):
    return deque(outputs, maxlen=1).pop()


def _batch(values, states):
    return values.to(states).expand(len(states), *values.shape[-2:])


def _listed(edits) -> tuple:
    return tuple(edits) if isinstance(edits, (list, tuple)) else (edits,)
