"""Small causal language models, and `PrefixDecoder`, which puts vectors into words.

Models are those of transformers. `load` reads a folder ("models/lm_base") or a repository ("hf-hub:org/repo"), `blank`
makes a model with random weights, `save` writes a folder. transformers is imported when a model is needed (seconds).
"""

import contextlib
import copy
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lib

WEIGHTS = "model.safetensors"
UNTOLD = ("transformers_version", "_name_or_path", "dtype", "architectures")  # of a config: they change no result


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model with its tokenizer.

    model      transformers module with `inputs_embeds`, float32, in eval mode, frozen
    tokenizer  PreTrainedTokenizerFast that writes begin and end around a text, with a pad token
    identity   name@digest of architecture, weights and tokenizer
    """

    name: str
    model: nn.Module
    tokenizer: object
    identity: str
    licence: str = "Apache-2.0"

    @property
    def width(self) -> int:
        """Of its token embeddings."""
        return self.model.get_input_embeddings().embedding_dim

    @property
    def context(self) -> int:
        """Most tokens that it reads, a prefix included."""
        return self.model.config.max_position_embeddings


def blank(tokenizer, seed: int, *, layers=3, width=128, context=96, name="blank") -> LanguageModel:
    """A GPT-2 of this size with weights drawn from `seed` alone; heads are 32 wide, no dropout. Defaults: lm_base."""
    from transformers import GPT2Config, GPT2LMHeadModel

    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=context, n_embd=width, n_layer=layers, n_head=max(1, width // 32),
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, pad_token_id=tokenizer.pad_token_id, **ends,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(config)
    return _wrapped(name, model, tokenizer)


def load(name: str, layers: int | None = None) -> LanguageModel:
    """The language model of a folder of the project or of a repository ("hf-hub:org/repo").

    layers: keep its first so many blocks. Raises ValueError where the folder is damaged or weights are not finite.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, short = lib.find(name), name
    if not name.startswith("hf-hub:"):
        if not (folder / WEIGHTS).is_file():
            found = {p.parent.name for root in (lib.out(), lib.ROOT) for p in root.glob(f"models/*/{WEIGHTS}")}
            raise ValueError(
                f"language model '{name}' is unknown: {folder} holds no {WEIGHTS}. Below models/: "
                f"{', '.join(sorted(found)) or 'none yet'}. Other form: 'hf-hub:org/repo'"
            )
        short = folder.name
    source = name.removeprefix("hf-hub:") if name.startswith("hf-hub:") else str(folder)
    try:
        with _no_bars():
            model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        fix = "fetch it once on a machine with network" if name.startswith("hf-hub:") else _fix(folder)
        raise ValueError(f"{name} cannot be read ({' '.join(str(error).split())[:160]}); {fix}") from error
    if bad := [key for key, tensor in model.named_parameters() if not tensor.isfinite().all()]:
        raise ValueError(f"{name}: weights hold NaN or infinite values, first in {bad[0]}")
    if model.get_input_embeddings().num_embeddings < len(tokenizer):
        raise ValueError(f"{name}: the tokenizer has {len(tokenizer)} ids, more than the model knows")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if layers is not None:
        _cut(model, layers, name)
        short = f"{short}[{layers} blocks]"
    return _wrapped(short, model, tokenizer)


def save(folder: str | Path, model: nn.Module, tokenizer, half: bool = False) -> Path:
    """Write model and tokenizer, which `load(folder)` reads: the same weights give the same bytes.

    half: store floats as float16. Raises ValueError where a weight is not finite; then nothing is written.
    """
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    if bad := [name for name, tensor in state.items() if not (tensor.half() if half else tensor).isfinite().all()]:
        raise ValueError(f"{bad[0]} is not finite{' as float16' if half else ''}; nothing was written to {folder}")
    folder, model = Path(folder), copy.deepcopy(model).cpu()
    with _no_bars():
        (model.half() if half else model).save_pretrained(folder)
    (folder / WEIGHTS).chmod(0o644)  # safetensors makes a file that only its owner can read
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.backend_tokenizer.no_truncation()  # a tokenizer that was used keeps these and would write them
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    settings = {key: value for key, value in settings.items() if key not in ("is_local", "local_files_only")}
    path.write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n")
    return folder


def encode(tokenizer, texts: Sequence[str], most: int) -> Tensor:
    """Token ids with begin and end, int64 [N, T], padded on the right; what exceeds `most` tokens is cut off."""
    if isinstance(texts, str):
        raise ValueError("texts is one string; give a list of them")
    rows = [tokenizer(text)["input_ids"][:most] for text in texts]
    found = torch.full((len(rows), max(map(len, rows), default=0)), tokenizer.pad_token_id)
    for place, row in enumerate(rows):
        found[place, : len(row)] = torch.tensor(row)
    return found


def decode(tokenizer, tokens: Tensor) -> list[str]:
    """Texts of token ids [N, T] up to the end token, with marks where they belong ("a cat. it is red")."""
    found = []
    for row in tokens.tolist():
        row = row[: row.index(tokenizer.eos_token_id)] if tokenizer.eos_token_id in row else row
        text = tokenizer.decode(row, skip_special_tokens=True)
        found.append(re.sub(r"\s+([.,?!;])", r"\1", text).strip())
    return found


def token_losses(logits: Tensor, tokens: Tensor, pad: int) -> tuple[Tensor, Tensor]:
    """Cross-entropy (nats) of tokens[:, 1:] under logits [N, T - 1, V], and which of them are text: two [N, T - 1]."""
    targets = tokens[:, 1:]
    losses = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    kept = targets != pad
    return losses.view(targets.shape) * kept, kept


class PrefixDecoder(nn.Module):
    """Says what a vector means: u = W v + b stands before the text as `length` pseudo-tokens.

    A copy of the language model goes on from there and is trained with W and b (`freeze`: these alone). Vectors are
    float32 [N, dim], or [N, K, dim] where each of K makes `length` pseudo-tokens (patch tokens: length=1). W and b are
    drawn from `seed` as torch draws a linear layer.
    """

    def __init__(self, lm: LanguageModel, dim: int, length: int = 4, seed: int = 0):
        super().__init__()
        self.model, self.tokenizer = copy.deepcopy(lm.model).requires_grad_(True), lm.tokenizer
        self.width, self.context, self.length = lm.width, lm.context, length
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.project = nn.Linear(dim, length * lm.width)

    def freeze(self) -> "PrefixDecoder":
        """Leave the language model as it is: only W and b are trained."""
        self.model.requires_grad_(False)
        return self

    def prefix(self, vectors: Tensor) -> Tensor:
        """Pseudo-tokens u, [N, K * length, width]."""
        if vectors.ndim not in (2, 3) or vectors.shape[-1] != self.project.in_features:
            dim = self.project.in_features
            raise ValueError(f"vectors have shape {list(vectors.shape)}; give [N, {dim}] or [N, K, {dim}]")
        return self.project(vectors).reshape(len(vectors), -1, self.width)

    def forward(self, vectors: Tensor, tokens: Tensor) -> Tensor:
        """Logits [N, T - 1, V] of tokens[:, 1:], given vectors and the tokens before. tokens: [N, T] of `encode`."""
        inputs = torch.cat([self.prefix(vectors), self.model.get_input_embeddings()(tokens[:, :-1])], dim=1)
        if inputs.shape[1] > self.context:
            raise ValueError(f"{inputs.shape[1]} tokens with the prefix; the language model reads {self.context}")
        return self.model(inputs_embeds=inputs, logits_to_keep=tokens.shape[1] - 1, use_cache=False).logits

    def encode(self, texts: Sequence[str], most: int = 32) -> Tensor:
        """Token ids [N, T] of texts, on the device of the weights."""
        return encode(self.tokenizer, texts, most).to(self.project.weight.device)

    def decode(self, tokens: Tensor) -> list[str]:
        """Texts of token ids."""
        return decode(self.tokenizer, tokens)

    def log_probs(self, vectors: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of each token [N, T - 1], 0 where it is padding, and which are text. With gradient."""
        losses, kept = token_losses(self(vectors, tokens), tokens, self.tokenizer.pad_token_id)
        return -losses, kept

    def loss(self, vectors: Tensor, tokens: Tensor) -> Tensor:
        """Mean cross-entropy over the tokens of all texts."""
        losses, kept = token_losses(self(vectors, tokens), tokens, self.tokenizer.pad_token_id)
        return losses.sum() / kept.sum()

    def greedy(self, vectors: Tensor, most: int = 32) -> Tensor:
        """The most probable token at each step: ids [N, T] that begin with the begin token, as `encode` gives them."""
        return self._generate(vectors, most)

    def beam(self, vectors: Tensor, most: int = 32, beams: int = 5) -> Tensor:
        """The most probable text (sum of log-probabilities) that beam search finds, as `greedy`."""
        return self._generate(vectors, most, num_beams=beams, length_penalty=0.0, early_stopping="never")

    def sample(self, vectors: Tensor, seed: int, most: int = 32, temperature: float = 1.0, copies: int = 1) -> Tensor:
        """Texts drawn token by token, `copies` in a row for each vector: [N * copies, T], as `greedy`."""
        with _seeded(seed, vectors.device):
            return self._generate(
                vectors.repeat_interleave(copies, 0), most, do_sample=True, temperature=temperature, top_k=0
            )

    @torch.no_grad()
    def _generate(self, vectors: Tensor, most: int, **how) -> Tensor:
        from transformers import GenerationConfig

        ends = {name: getattr(self.tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
        settings = GenerationConfig(max_new_tokens=most - 1, **ends, **{"do_sample": False, "num_beams": 1} | how)
        begin = torch.full((len(vectors), 1), ends["bos_token_id"], device=vectors.device)
        inputs = torch.cat([self.prefix(vectors), self.model.get_input_embeddings()(begin)], dim=1)
        if inputs.shape[1] + most - 1 > self.context:
            raise ValueError(f"a prefix and {most} tokens are more than the {self.context} the language model reads")
        training = self.training
        self.eval()
        try:
            mask = torch.ones(inputs.shape[:2], dtype=torch.long, device=inputs.device)
            found = self.model.generate(inputs_embeds=inputs, attention_mask=mask, generation_config=settings)
        finally:
            self.train(training)
        return torch.cat([begin, found], dim=1)


def _wrapped(name: str, model: nn.Module, tokenizer) -> LanguageModel:
    """A model as `LanguageModel`, with its identity."""
    model = model.eval().requires_grad_(False)
    config = {key: value for key, value in model.config.to_dict().items() if key not in UNTOLD}
    digest = hashlib.sha256(json.dumps([config, tokenizer.get_vocab()], sort_keys=True, default=str).encode())
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(f"{key} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return LanguageModel(name, model, tokenizer, f"{name}@{digest.hexdigest()[:12]}")


def _cut(model: nn.Module, layers: int, name: str) -> None:
    """Keep the first blocks of a GPT-2."""
    blocks = getattr(getattr(model, "transformer", None), "h", None)
    if blocks is None or not 1 <= layers <= len(blocks):
        raise ValueError(f"{name}: layers is {layers}; a GPT-2 is needed with as many blocks or more")
    model.transformer.h = blocks[:layers]
    model.config.n_layer = layers


def _fix(folder: Path) -> str:
    """How to get a model folder back."""
    slug = folder.name
    return f"get it back with `git checkout -- models/{slug}` or train it with `python -m lib.run {slug}`"


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    """Without the progress bars of transformers, which would flash by for files of a few MB."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _seeded(seed: int, device) -> Iterator[None]:
    """torch's global stream, from which transformers draws, set to a seed and put back afterwards."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
