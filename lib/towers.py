"""Towers for runs from scratch: open_clip models small enough to be trained in half a minute on two CPU cores.

`build` makes a trainable `Encoder` around a real open_clip CLIP. Tower "R" is its ModifiedResNet with attention pool;
tower "P", the pyramid, keeps that trunk and reads 8 x 8 patch tokens off its last three stages, so that losses on
regions have something to hold on to. `pretrain` is the training loop of all arms that learn by contrast: same initial
weights, same batches, text and pictures drawn from streams of their own.
"""

import tempfile
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from lib import losses, optim, weights
from lib.arms import Run
from lib.encoders import Encoder, pick_device

TOWERS = ("R", "P")
EMBED, TEXT_WIDTH, TEXT_LAYERS, SIZE = 128, 128, 2, 64


class PyramidTower(nn.Module):
    """Image tower with text-aligned patch tokens, on the trunk of a ModifiedResNet.

    tokens = LayerNorm(A2 s2 + up(A3 s3) + up(A4 s4)), [N, 64, 128] for 64 px: s2, s3, s4 are the maps of the last three
    stages, A 1x1 convolutions, `up` repeats pixels. The picture's feature is mean(tokens) @ proj, hence the mean of
    tokens @ proj: a patch, projected, lies where texts lie.
    """

    def __init__(self, trunk: nn.Module, dim: int = EMBED):
        super().__init__()
        self.image_size, self.output_dim = trunk.image_size, trunk.output_dim
        self.grid_size = (trunk.image_size // 8, trunk.image_size // 8)
        self.trunk = trunk
        channels = [stage[-1].conv3.out_channels for stage in (trunk.layer2, trunk.layer3, trunk.layer4)]
        self.lateral = nn.ModuleList(nn.Conv2d(count, dim, 1, bias=False) for count in channels)
        self.ln_post = nn.LayerNorm(dim)
        self.proj = nn.Parameter(dim**-0.5 * torch.randn(dim, trunk.output_dim))
        self.output_tokens = False  # as in open_clip: True makes `forward` return (pooled, tokens)
        trunk.attnpool = nn.Identity()

    def forward(self, images: Tensor, return_tokens: bool = False):
        """Pooled features [N, output_dim] of images [N, 3, S, S], if asked with tokens [N, (S/8)^2, dim] by rows."""
        maps = [self.trunk.layer2(self.trunk.layer1(self.trunk.stem(images)))]
        for stage in (self.trunk.layer3, self.trunk.layer4):
            maps.append(stage(maps[-1]))
        total = self.lateral[0](maps[0])
        for convolve, each in zip(self.lateral[1:], maps[1:]):
            total = total + functional.interpolate(convolve(each), size=total.shape[-2:], mode="nearest")
        tokens = self.ln_post(total.flatten(2).transpose(1, 2))  # (N, patches, dim)
        pooled = tokens.mean(dim=1) @ self.proj
        return (pooled, tokens) if return_tokens or self.output_tokens else pooled


def config(vocab_size: int, context: int, width: int = 16, text_layers: int = TEXT_LAYERS) -> dict:
    """open_clip model_cfg of tower R with a small causal text tower; width 16 in mini, 32 on a GPU."""
    vision = {"image_size": SIZE, "layers": [1, 1, 1, 1], "width": width, "head_width": 64}
    text = {"context_length": context, "vocab_size": vocab_size, "hf_tokenizer_name": "byte-level-bpe"}
    text |= {"width": TEXT_WIDTH, "heads": TEXT_WIDTH // 32, "layers": text_layers}
    return {"embed_dim": EMBED, "vision_cfg": vision, "text_cfg": text}


def tokenizer(core, context: int | None = None, texts=None):
    """open_clip's tokenizer (list of str -> LongTensor [N, context]) around that of `lib.text.build_tokenizer`.

    context: number of tokens; None: as many as the longest of `texts` needs, so that none is cut.
    """
    from open_clip.tokenizer import HFTokenizer

    if context is None:
        if not texts:
            raise ValueError("a tokenizer needs its context, or the texts that have to fit into it")
        context = max(len(ids) for ids in core(list(dict.fromkeys(texts))).input_ids)
    with tempfile.TemporaryDirectory() as folder:
        core.save_pretrained(folder)
        return HFTokenizer(folder, context_length=context)


def build(
    tower: str, tokenizer, seed: int, *, width: int = 16, text_layers: int = TEXT_LAYERS, device="auto",
    precision: str = "bf16", name: str = "",
) -> Encoder:  # fmt: skip
    """A trainable Encoder with random weights, the same for the same seed.

    tower      "R" or "P";  width: of its trunk, 16 (1.4 M parameters) or 32 (5.3 M)
    tokenizer  made by `tokenizer`: it settles context and vocabulary
    precision  of training: "bf16" (autocast) or "float32"; weights are float32 either way
    Raises ValueError for an unknown tower.
    """
    if tower not in TOWERS:
        raise ValueError(f"tower '{tower}' is unknown; choose one of {', '.join(TOWERS)}")
    core = tokenizer.tokenizer
    model_cfg = config(len(core), tokenizer.context_length, width, text_layers)
    model = weights.create(model_cfg, seed)
    if tower == "P":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model.visual = PyramidTower(model.visual)
    model.visual.to(memory_format=torch.channels_last)  # 1.4 times as fast on a CPU
    preprocess = dict(weights.PREPROCESS)
    device, called = pick_device(device), name or f"{tower}{width}"
    encoder = Encoder(called, model, model_cfg, preprocess, tokenizer, "none: random weights", device, precision)
    model.requires_grad_(True)
    return encoder


def embed(encoder: Encoder, pixels: Tensor, texts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
    """Unit image features and text features, float32 [N, 128] each, and the scale of the logits; with gradient.

    Texts are padded to the longest of the batch only. In bf16 on a CPU plain attention is the fast one.
    """
    tokens = encoder.tokenizer(texts).to(encoder.device)
    with encoder.autocast(), sdpa_kernel(SDPBackend.MATH):
        image_features = encoder.model.encode_image(pixels)
        text_features = encoder._encode_tokens(tokens)
    return (
        functional.normalize(image_features.float(), dim=-1),
        functional.normalize(text_features.float(), dim=-1),
        encoder.model.logit_scale.exp(),
    )


def contrast(encoder: Encoder, pixels: Tensor, texts: list[str]) -> Tensor:
    """Loss of CLIP with equal texts of a batch as positives of each other: a small world says the same thing often."""
    return losses.clip(*embed(encoder, pixels, texts), losses.same(texts).to(encoder.device))


def pretrain(
    run: Run,
    encoder: Encoder,
    batch: Callable[[np.ndarray, Run], tuple[np.ndarray, list[str]]],
    learning_rate: float,
    *,
    weight_decay: float = 0.1,
    warmup: float = 0.1,
    floor: float = 0.0,
    objective: Callable[[Encoder, Tensor, list[str]], Tensor] = contrast,
    watch: Callable[[int, Tensor], None] | None = None,
) -> Encoder:
    """Train an encoder of `build` for the steps of a run; returns it in eval mode, still trainable.

    batch      batch(rows, run) -> (images u8 [B, S, S, 3], texts): what the examples of these indices show and say this
               time. Pictures draw from run.rng("image") and texts from run.rng("text"), so that arms share the first.
    objective  objective(encoder, pixels [B, 3, S, S], texts) -> loss; default: `contrast`
    warmup     share of the steps with rising learning rate; then a half cosine down to `floor` times the highest
    watch      watch(step, loss) after each step
    AdamW as in `lib.optim`, gradients cut at norm 1, logit scale held in [1, 100]. Raises FloatingPointError or
    ValueError where the loss is not finite.
    """
    from tqdm import tqdm

    model = encoder.model.train()
    optimizer = optim.adamw(model, learning_rate, weight_decay)
    rising = round(warmup * run.steps)
    bar = tqdm(run.batches(), f"{run.arm} {run.seed}", run.steps, leave=False, mininterval=5, unit="step")
    for step, rows in enumerate(bar):
        optim.set_learning_rate(optimizer, learning_rate * optim.cosine(step, run.steps, rising, floor))
        images, texts = batch(rows, run)
        pixels = encoder.pixels(images).contiguous(memory_format=torch.channels_last)
        loss = objective(encoder, pixels, texts)
        run.check(loss.detach())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0.0, float(np.log(100.0)))
        run.count(samples=len(rows))
        if watch is not None:
            watch(step, loss.detach())
    model.eval()
    return encoder
