"""Contrastive losses."""

import torch
import torch.nn.functional as F
from torch import Tensor


def clip(
    image_features: Tensor, text_features: Tensor, scale: Tensor | float, same_text: Tensor | None = None
) -> Tensor:
    """Symmetric InfoNCE of CLIP (Radford et al. 2021, figure 3).

    L = (CE(scale I T^T, targets) + CE(scale T I^T, targets)) / 2, with unit rows I, T float [N, D] and `scale` the
    exponentiated temperature. Targets are the diagonal; with `same_text` bool [N, N] (true where two captions are the
    same string, diagonal included) the mass of a row is shared among its equal captions, which are no negatives.
    Raises ValueError where shapes disagree or the loss is not finite.
    """
    if image_features.shape != text_features.shape or image_features.ndim != 2:
        raise ValueError(
            f"features must agree as [N, D]: images {tuple(image_features.shape)}, texts {tuple(text_features.shape)}"
        )
    logits = scale * image_features @ text_features.T
    if same_text is None:
        targets = torch.arange(len(logits), device=logits.device)
        loss = (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2
    else:
        shares = same_text.to(logits.dtype)
        shares = shares / shares.sum(1, keepdim=True)
        loss = (F.cross_entropy(logits, shares) + F.cross_entropy(logits.T, shares)) / 2
    if not torch.isfinite(loss):
        raise ValueError(f"the contrastive loss is {loss.item()}: lower the learning rate or look at the batch for NaN")
    return loss


def same(texts: list[str]) -> Tensor:
    """Which texts of a batch are equal strings: bool [N, N]."""
    ids = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    codes = torch.tensor([ids[text] for text in texts])
    return codes[:, None] == codes[None, :]
