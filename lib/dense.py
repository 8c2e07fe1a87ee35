"""Dense prediction with CLIP: patch features in the joint space, maps from them, labels of patches from masks.

Patches are listed row by row, T = rows * columns. `value_path` and `value_head` take and give Tensors and carry
gradients; the rest is numpy. Sizes and grids are a number (square) or a pair (rows, columns).
"""

import math

import numpy as np

from lib import forward, hooks

IGNORE = 255  # label of pixels, and of patches, that count for nothing
CHUNK = 2**24  # numbers held at a time


def value_path(model, x, residual: bool = True, positions=None):
    """Patch features [N, T, D] in the joint space, not normalised, by the value path of the last block.

    There each token takes its own value instead of a mixture: z = x + out_proj(v), z + mlp(ln_2(z)), then ln_post and
    the projection (MaskCLIP, Zhou et al. 2022, section 3.2, with the skip connections of its code).

    x          pixels [N,3,H,W]; of an Encoder also u8 [N,H,W,3]
    residual   False: out_proj(v) alone, without the block's input and MLP
    positions  [1 + T, W] in place of the model's own (`forward.image_positions`)
    """
    tower = forward.vision(model)
    if len(tower.transformer.resblocks) < 2:
        raise ValueError("the value path needs a tower of two blocks or more")
    return value_head(tower, hooks.states(model, x, -2, positions), residual)


def value_head(model, states, residual: bool = True):
    """`value_path` from what enters the last block, [N, 1 + T, W]: layer "block:-2" of `lib.features`."""
    tower = forward.vision(model)
    block = tower.transformer.resblocks[-1]
    z = hooks.merge(block, hooks.qkv(block, states[:, 1:])[2])
    if residual:
        z = states[:, 1:] + z
        z = z + block.ls_2(block.mlp(block.ln_2(z)))
    return forward.project(tower, tower.ln_post(z))


def scores(features: np.ndarray, head: np.ndarray, scale: float = 100.0) -> np.ndarray:
    """scale * cosine of patch features [N, T, D] and text vectors [C, D], f32 [N, T, C]; both are normalised here."""
    features, head = np.asarray(features, np.float32), np.asarray(head, np.float32)
    if features.ndim != 3 or head.ndim != 2 or features.shape[-1] != head.shape[-1]:
        raise ValueError(f"features {list(features.shape)} and head {list(head.shape)} do not fit: [N, T, D], [C, D]")
    return scale * _unit(features) @ _unit(head).T


def probabilities(
    features: np.ndarray, head: np.ndarray, size, scale: float = 100.0, grid=None, align_corners: bool = False
) -> np.ndarray:
    """Softmax over the classes of `scores`, then enlarged, f32 [N, C, H, W]: probabilities are enlarged, not logits."""
    logits = scores(features, head, scale)
    logits = np.exp(logits - logits.max(-1, keepdims=True))
    shares = logits / logits.sum(-1, keepdims=True)
    maps = shares.transpose(0, 2, 1).reshape(len(shares), shares.shape[-1], *_grid(shares.shape[1], grid))
    return upsample(maps, size, align_corners)


def segment(
    features: np.ndarray, head: np.ndarray, size, scale: float = 100.0, grid=None, align_corners: bool = False
) -> np.ndarray:
    """Most probable class of every pixel, i64 [N, H, W], from patch features [N, T, D] and text vectors [C, D]."""
    height, width = _pair(size)
    found = np.empty((len(features), height, width), np.int64)
    step = max(1, CHUNK // (height * width * len(head)))
    for i in range(0, len(features), step):
        part = probabilities(features[i : i + step], head, size, scale, grid, align_corners)
        found[i : i + step] = part.argmax(axis=1)
    return found


def upsample(maps: np.ndarray, size, align_corners: bool = False) -> np.ndarray:
    """Maps f32 [N, h, w] or [N, C, h, w] at another size, bilinear."""
    import torch

    maps = torch.from_numpy(np.ascontiguousarray(maps, np.float32))
    if maps.dim() not in (3, 4):
        raise ValueError(f"maps have shape {list(maps.shape)}; give [N, h, w] or [N, C, h, w]")
    flat = maps if maps.dim() == 4 else maps[:, None]
    large = torch.nn.functional.interpolate(flat, _pair(size), mode="bilinear", align_corners=align_corners).numpy()
    return large if maps.dim() == 4 else large[:, 0]


def patch_labels(labels: np.ndarray, grid, ignore: int | None = IGNORE) -> tuple[np.ndarray, np.ndarray]:
    """Commonest label of each patch, i64 [N, T], and the share of the patch that it covers, f32 [N, T].

    labels: u8 [N, H, W] (or bool), H and W multiples of the grid. Of equally common labels the smallest counts.
    ignore: a label that does not count; a patch of nothing else has that label and covers 0. Shares are of all pixels.
    """
    labels = np.asarray(labels)
    cells = _cells(labels.astype(np.uint8) if labels.dtype == bool else labels, grid)  # [N, T, pixels]
    if cells.dtype != np.uint8:
        raise ValueError(f"labels are {cells.dtype}; give uint8 or bool")
    count, patches, pixels = cells.shape
    found, share = np.empty((count, patches), np.int64), np.empty((count, patches), np.float32)
    step = max(1, CHUNK // (256 * patches))
    for i in range(0, count, step):
        part = cells[i : i + step]
        index = part.reshape(-1, pixels) + 256 * np.arange(len(part) * patches)[:, None]
        counts = np.bincount(index.ravel(), minlength=256 * len(part) * patches).reshape(len(part), patches, 256)
        if ignore is not None:
            counts[..., ignore] = 0
        best = counts.argmax(axis=-1)
        most = np.take_along_axis(counts, best[..., None], -1)[..., 0]
        found[i : i + step] = best if ignore is None else np.where(most == 0, ignore, best)
        share[i : i + step] = most / pixels
    return found, share


def coverage(masks: np.ndarray, grid) -> np.ndarray:
    """Share of each patch that a mask bool [N, H, W] covers, f32 [N, T]."""
    if np.asarray(masks).dtype != bool:
        raise ValueError(f"masks are {np.asarray(masks).dtype}; give bool")
    return _cells(np.asarray(masks), grid).mean(axis=-1, dtype=np.float32)


def _cells(pixels: np.ndarray, grid) -> np.ndarray:
    """Pixels [N, H, W] by patch, [N, T, pixels of a patch]."""
    rows, columns = _pair(grid)
    if pixels.ndim != 3 or pixels.shape[1] % rows or pixels.shape[2] % columns:
        raise ValueError(f"shape {list(pixels.shape)} does not divide into {rows} x {columns} patches; give [N, H, W]")
    count, height, width = pixels.shape
    cells = pixels.reshape(count, rows, height // rows, columns, width // columns)
    return cells.transpose(0, 1, 3, 2, 4).reshape(count, rows * columns, -1)


def _grid(patches: int, grid) -> tuple[int, int]:
    side = math.isqrt(patches)
    rows, columns = _pair(side if grid is None else grid)
    if rows * columns != patches:
        raise ValueError(f"{patches} patches are no grid of {rows} x {columns}; pass grid=(rows, columns)")
    return rows, columns


def _pair(size) -> tuple[int, int]:
    return (size, size) if isinstance(size, (int, np.integer)) else tuple(size)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
