"""Image and text encoders: one name gives weights, preprocessing, tokenizer and identity together, never apart.

Names: `models/vit_base` (an open_clip directory in the project), `ViT-B-16-quickgelu/openai` (architecture and tag of
open_clip), `ViT-B-16/random:0` (that architecture with random weights of seed 0), `hf-hub:org/repo`. Only a tag and a
hub name may use the network. open_clip is imported when a model is loaded, not before (it takes seconds).
"""

import contextlib
import copy
import hashlib
import json

import numpy as np

import lib
from lib import weights
from lib.weights import PREPROCESS, create, save, small_config

__all__ = ["PREPROCESS", "Encoder", "create", "load", "pick_device", "save", "small_config"]
PROBES = ("a photo of a cat", 'A sign, saying "Stop"!', "naïve 日本 \U0001f600", " ".join(["two red cups"] * 60))


def pick_device(name: str = "auto"):
    """torch.device of a name; "auto" is the GPU where there is one. Raises ValueError where it is not available."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if str(name).startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device '{name}' asked for, but torch sees no GPU here: use device='auto' or 'cpu'")
    return torch.device(name)


def load(name: str, device: str = "auto", precision: str = "float32") -> "Encoder":
    """The encoder of this name (forms in the module's docstring), frozen, in eval mode.

    Raises ValueError for a name that is unknown or whose parts do not belong together, OSError where a tag or a hub
    repository is neither cached nor reachable. Every message says what to do.
    """
    device = pick_device(device)
    folder = lib.find(name)
    short = name
    if name.startswith("hf-hub:"):
        parts = weights.from_hub(name.removeprefix("hf-hub:"))
    elif folder.is_dir():
        parts, short = weights.from_folder(folder), folder.name
    else:
        import open_clip

        architecture, _, tag = name.partition("/")
        if folder.is_file() or "/" in tag or tag.endswith((".pt", ".pth", ".bin", ".safetensors")):
            raise ValueError(
                f"'{name}' names weights by path, which come without their preprocessing and tokenizer: put them in an "
                "open_clip directory (lib.encoders.save) and name that folder"
            )
        if not tag or architecture not in open_clip.list_models():
            found = {p.parent.name for root in (lib.out(), lib.ROOT) for p in root.glob(f"models/*/{weights.CONFIG}")}
            raise ValueError(
                f"encoder '{name}' is unknown. Below models/: {', '.join(sorted(found)) or 'none yet'}. Other forms: "
                "'ViT-B-16-quickgelu/openai', 'ViT-B-16/random:0', 'hf-hub:org/repo'"
            )
        parts = weights.from_tag(architecture, tag)
    encoder = Encoder(short, *parts, device, precision)
    _check(encoder)
    return encoder


def _check(encoder: "Encoder") -> None:
    """Refuse weights that are not finite and a tokenizer that is not the model's."""
    model, name = encoder.model, encoder.name
    if bad := [key for key, tensor in model.named_parameters() if not tensor.isfinite().all()]:
        raise ValueError(f"{name}: weights hold NaN or infinite values, first in {bad[0]}")
    if encoder.tokenizer is None:
        return
    tokens = encoder.tokenizer(list(PROBES))
    table = getattr(model, "token_embedding", None)
    if table is None:
        return
    if int(tokens.max()) >= table.num_embeddings:
        raise ValueError(
            f"{name}: the tokenizer has id {int(tokens.max())}, the model knows {table.num_embeddings} ids"
        )
    ends = tokens.max(dim=-1).values
    if model.text_pool_type == "argmax" and (ends != ends[0]).any():
        raise ValueError(f"{name}: the end token is not the largest id of every text, which argmax pooling needs")


class Encoder:
    """Image and text tower with everything that belongs to them.

    name            short name ("vit_base")
    identity        name@digest of architecture, weights, preprocessing and tokenizer; follows weights that change
    licence         licence of the weights, as stated where they come from
    model           open_clip module in eval mode, float32, frozen (a copy(): trainable)
    preprocess      PIL image -> Tensor [3,S,S];  tokenizer: list of str -> LongTensor [N, context]; None where there
                    is no text tower (`ssl`): then context is 0, and there is no scale
    dim, image_size, context, device            image_size is S, or (height, width) where the two differ
    precision       "float32" or "bf16" (autocast; weights and returned features are float32 either way)
    """

    def __init__(self, name, model, model_cfg, preprocess_cfg, tokenizer, licence, device, precision="float32"):
        import torch
        from open_clip.transform import PreprocessCfg, image_transform_v2

        if precision not in ("float32", "bf16"):
            raise ValueError(f"precision '{precision}' is unknown; choose float32 or bf16")
        self.name, self.licence, self.precision, self.device = name, licence, precision, device
        self.model, self.model_cfg, self.tokenizer = model.to(device).eval().requires_grad_(False), model_cfg, tokenizer
        size = model.visual.image_size
        self._size = (size, size) if isinstance(size, int) else tuple(size)
        self.image_size = self._size[0] if self._size[0] == self._size[1] else self._size
        self.preprocess_cfg = weights.complete(preprocess_cfg, self._size)
        settings = PreprocessCfg(**{**self.preprocess_cfg, "size": self._size})
        self.preprocess = image_transform_v2(settings, is_train=False)
        self.dim, self.context = model_cfg["embed_dim"], tokenizer.context_length if tokenizer else 0
        shape = (1, 3, 1, 1)
        self._mean = torch.tensor(preprocess_cfg["mean"], device=device).reshape(shape)
        self._std = torch.tensor(preprocess_cfg["std"], device=device).reshape(shape)
        self._identity = (None, None)

    @property
    def scale(self) -> float:
        """Factor of the logits: exp(logit_scale). Raises ValueError where the model has no text tower."""
        if self.tokenizer is None:
            raise ValueError(f"{self.name} has no text tower, hence no scale of logits")
        return float(self.model.logit_scale.detach().exp().reshape(()))

    @property
    def frozen(self) -> bool:
        return not any(p.requires_grad for p in self.model.parameters())

    @property
    def identity(self) -> str:
        tensors = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        state = tuple((name, t.data_ptr(), t._version) for name, t in tensors.items())  # cheap sign of a change
        if self._identity[0] != state:
            digest = hashlib.sha256(_describe(self.model_cfg, self.preprocess_cfg, self.tokenizer).encode())
            for name, tensor in sorted(tensors.items()):
                array = tensor.detach().float().cpu().contiguous().numpy().reshape(-1)
                digest.update(f"{name} {tuple(tensor.shape)}".encode())
                digest.update(array.view(np.uint8))
            self._identity = (state, f"{self.name}@{digest.hexdigest()[:12]}")
        return self._identity[1]

    def pixels(self, images):
        """Normalised Tensor [N,3,S,S] float32 on the device, from uint8 [N,H,W,3] or a list of PIL images or arrays.

        Where H, W is the model's size bytes go to the device and are normalised there; else the model's own
        preprocessing (resize, crop) runs image by image.
        """
        import torch
        from PIL import Image

        if isinstance(images, np.ndarray):
            if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
                raise ValueError(f"images must be uint8 [N,H,W,3], not {images.dtype} {list(images.shape)}")
        elif not isinstance(images, (list, tuple)):
            raise ValueError(f"images must be an array or a list of PIL images, not {type(images).__name__}")
        if len(images) == 0:
            return torch.zeros((0, 3, *self._size), device=self.device)
        if not isinstance(images, np.ndarray) and all(np.shape(i) == (*self._size, 3) for i in images):
            images = np.stack([np.asarray(image) for image in images])
        if isinstance(images, np.ndarray) and images.shape[1:3] == self._size:
            batch = torch.from_numpy(np.array(images)).to(self.device, non_blocking=True)  # np.array: off the memmap
            return (batch.permute(0, 3, 1, 2).float() / 255 - self._mean) / self._std
        pictures = [Image.fromarray(i) if isinstance(i, np.ndarray) else i for i in images]
        return torch.stack([self.preprocess(picture) for picture in pictures]).to(self.device)

    def encode_images(self, images, normalize=True, batch_size=None, precision=None) -> np.ndarray:
        """Pooled, projected features, float32 [N, dim], unit rows if `normalize`. `images` as for `pixels`."""
        import torch

        batch_size = batch_size or (64 if self.device.type == "cpu" else 512)
        features = np.empty((len(images), self.dim), np.float32)
        with self._evaluating(precision):
            for start in range(0, len(images), batch_size):
                batch = self.model.encode_image(self.pixels(images[start : start + batch_size])).float()
                batch = torch.nn.functional.normalize(batch, dim=-1) if normalize else batch
                features[start : start + batch_size] = batch.cpu().numpy()
        return features

    def encode_texts(self, texts, normalize=True, batch_size=256, precision=None) -> np.ndarray:
        """Pooled, projected features, float32 [N, dim]. Equal texts are encoded once, texts of like length together."""
        import torch

        if self.tokenizer is None:
            raise ValueError(f"{self.name} has no text tower")
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"texts must be a list of str, not {type(texts).__name__} of something else")
        unique = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        features = np.empty((len(unique), self.dim), np.float32)
        if not unique:
            return features
        tokens = self.tokenizer(list(unique))  # [U, context]
        order = torch.argsort(tokens.argmax(dim=-1), stable=True)
        with self._evaluating(precision):
            for rows in order.split(batch_size):
                batch = self._encode_tokens(tokens[rows].to(self.device)).float()
                batch = torch.nn.functional.normalize(batch, dim=-1) if normalize else batch
                features[rows.numpy()] = batch.cpu().numpy()
        return features[[unique[text] for text in texts]]

    def copy(self) -> "Encoder":
        """A trainable deep copy: every parameter asks for a gradient; in eval mode until `.model.train()`."""
        other = copy.copy(self)
        other.model, other._identity = copy.deepcopy(self.model).requires_grad_(True), (None, None)
        return other

    def autocast(self, precision: str | None = None):
        """Context that runs torch operators in bfloat16 where `precision` (default: the encoder's) is "bf16"."""
        import torch

        enabled = (precision or self.precision) == "bf16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)

    @contextlib.contextmanager
    def _evaluating(self, precision=None):
        """Eval mode without gradients; float32 means float32: no TF32 on a GPU."""
        import torch

        training, flags = self.model.training, (torch.backends.cudnn, torch.backends.cuda.matmul)
        before = [flag.allow_tf32 for flag in flags]
        try:
            for flag in flags:
                flag.allow_tf32 = False
            self.model.eval()
            with torch.inference_mode(), self.autocast(precision):
                yield
        finally:
            self.model.train(training)
            for flag, value in zip(flags, before):
                flag.allow_tf32 = value

    def _encode_tokens(self, tokens):
        """`model.encode_text` without the padding after the longest text, which causal attention never looks at."""
        import open_clip
        import torch

        model = self.model
        mask = getattr(model, "attn_mask", None)
        plain = type(model) is open_clip.CLIP and "encode_text" not in vars(model) and model.text_pool_type == "argmax"
        if not plain or mask is None or not torch.isneginf(mask[0, -1]):
            return model.encode_text(tokens)
        length = int(tokens.argmax(dim=-1).max()) + 1
        tokens, mask = tokens[:, :length], mask[:length, :length]
        states = model.token_embedding(tokens) + model.positional_embedding[:length]
        states = model.ln_final(model.transformer(states, attn_mask=mask))
        pooled = states[torch.arange(len(tokens), device=tokens.device), tokens.argmax(dim=-1)]
        projection = model.text_projection
        return pooled if projection is None else (projection(pooled) if callable(projection) else pooled @ projection)


def _describe(model_cfg: dict, preprocess_cfg: dict, tokenizer) -> str:
    """Architecture, preprocessing and tokenizer as one text; the tokenizer by its ids, not by its file."""
    cfg = copy.deepcopy(model_cfg)
    if tokenizer is None:
        return json.dumps([cfg, preprocess_cfg], sort_keys=True)
    cfg["text_cfg"].pop("hf_tokenizer_name", None)
    return json.dumps([cfg, preprocess_cfg, tokenizer(list(PROBES)).tolist(), _vocabulary(tokenizer)], sort_keys=True)


def _vocabulary(tokenizer) -> dict:
    return tokenizer.tokenizer.get_vocab() if hasattr(tokenizer, "tokenizer") else dict(tokenizer.encoder)
