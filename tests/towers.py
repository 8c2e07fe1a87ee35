"""Small open_clip models with random weights, inputs for them, and what compares their outputs."""

import copy

import torch

import lib  # noqa: F401  lets torchvision import beside any build of torch

import open_clip  # isort: skip

TINY = {"image_size": 16, "patch_size": 8, "width": 32, "layers": 3, "head_width": 16}
TEXT = {"context_length": 12, "vocab_size": 50, "width": 32, "heads": 2, "layers": 2}


def tower(**changes):
    """A vision tower of 3 blocks, 4 patches and 2 heads with positions that matter; `changes` of its configuration."""
    torch.manual_seed(0)
    model = open_clip.CLIP(24, TINY | changes, TEXT).eval()
    with torch.no_grad():
        model.visual.positional_embedding.normal_()
    return model


def put_second(model):
    """The same model with blocks that take the batch second, as older checkpoints of open_clip have them."""
    other = copy.deepcopy(model)
    for transformer in (other.visual.transformer, other.transformer):
        transformer.batch_first = False
        for block in transformer.resblocks:
            block.attn.batch_first = False
    return other


def pixels(count=3, size=16, seed=1):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def ids(count=5, length=12, seed=2, vocabulary=50):
    """Random ids, each text ended by the largest one and padded by zeros."""
    found = torch.randint(1, vocabulary - 1, (count, length), generator=torch.Generator().manual_seed(seed))
    for row, end in enumerate(range(length - 1, length - 1 - count, -1)):
        found[row, end], found[row, end + 1 :] = vocabulary - 1, 0
    return found


def gradients(model, loss):
    names, parameters = zip(*[(n, p) for n, p in model.named_parameters() if p.requires_grad])
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {name: gradient for name, gradient in zip(names, found) if gradient is not None}


def close(one, other, tolerance=1e-5):
    assert one.shape == other.shape and (one - other).abs().max() < tolerance
