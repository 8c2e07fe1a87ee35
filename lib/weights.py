"""Where encoders come from: open_clip directories, architectures with a tag or random weights, and hub repositories.

`lib.encoders.load` is the door. Each function of this module that starts with `from_` returns the parts of one encoder,
(model, model_cfg, preprocess_cfg, tokenizer, licence), after checking that they belong together; `save` writes a
directory that `from_folder` reads. Every refusal is one line that says what to do.
"""

import contextlib
import copy
import dataclasses
import json
import logging
import os
from pathlib import Path

import lib

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt")  # one of them lies in a folder whose model has a text tower
PREPROCESS = {  # that of CLIP; the image size comes from the model
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


def small_config(vocab_size: int, *, size=64, patch=8, width=128, layers=6, text_layers=3, context=32) -> dict:
    """open_clip model_cfg of the small base models; the defaults are `vit_base`. Heads are 32 wide."""
    vision = {"image_size": size, "patch_size": patch, "width": width, "layers": layers, "head_width": 32}
    text = {"context_length": context, "vocab_size": vocab_size, "hf_tokenizer_name": "byte-level-bpe"}
    text |= {"width": width, "heads": width // 32, "layers": text_layers}
    return {"embed_dim": width, "vision_cfg": vision, "text_cfg": text}


def create(model_cfg: dict, seed: int):
    """open_clip.CLIP of this config on the CPU, weights drawn from `seed` alone; the global state is untouched.

    A config without text_cfg gives a `lib.vision.ImageModel`.
    """
    import open_clip
    import torch

    if "text_cfg" not in model_cfg:
        from lib import vision

        return vision.create(model_cfg, seed)
    plain = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "init_logit_scale", "init_logit_bias"}
    odd = set(model_cfg) - plain | {"timm_model_name"} & set(model_cfg["vision_cfg"])
    odd |= {"hf_model_name"} & set(model_cfg["text_cfg"])
    if odd:
        raise ValueError(
            f"random weights exist for plain CLIP architectures only; this one has {', '.join(sorted(odd))}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return open_clip.CLIP(**copy.deepcopy(model_cfg))


def save(folder, model, model_cfg: dict, preprocess_cfg: dict, tokenizer, *, half=False, licence="Apache-2.0") -> Path:
    """Write an open_clip directory: config, safetensors and tokenizer files; `encoders.load(folder)` reads it.

    tokenizer  a PreTrainedTokenizerFast (`text.build_tokenizer`) or the `.tokenizer` of an encoder loaded from a folder
               (None for a model_cfg without text_cfg)
    half       store floats as float16 (all but the temperature); they are loaded into float32
    The same weights give the same bytes. Raises ValueError where the parts cannot belong together.
    """
    from safetensors.torch import save as serialize

    tokenizer, model_cfg = copy.deepcopy(getattr(tokenizer, "tokenizer", tokenizer)), copy.deepcopy(model_cfg)
    if "text_cfg" in model_cfg:
        _check_tokenizer(tokenizer, model_cfg["text_cfg"])
        model_cfg["text_cfg"]["hf_tokenizer_name"] = model_cfg["text_cfg"].get("hf_tokenizer_name") or "tokenizer"
    if missing := sorted({"mean", "std"} - set(preprocess_cfg)):
        raise ValueError(f"preprocess_cfg lacks {', '.join(missing)}")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    if bad := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise ValueError(f"{bad[0]} holds NaN or infinite values; nothing was written to {folder}")
    if half:
        tensors = {n: t.half() if t.is_floating_point() and n != "logit_scale" else t for n, t in tensors.items()}
        if bad := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
            raise ValueError(f"{bad[0]} leaves the range of float16; save with half=False")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    preprocess_cfg = complete(preprocess_cfg, None)
    del preprocess_cfg["size"]  # the model's
    config = {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg, "licence": licence}
    if "text_cfg" in model_cfg:
        _save_tokenizer(tokenizer, folder)
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
    temporary = folder / f".{WEIGHTS}.{os.getpid()}"
    temporary.write_bytes(serialize(tensors))  # safetensors' own save_file makes a file that only its owner can read
    os.replace(temporary, folder / WEIGHTS)
    return folder


def _check_tokenizer(tokenizer, text_cfg: dict) -> None:
    """Refuse a tokenizer that cannot be saved or is not that of the text tower."""
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise ValueError(f"{type(tokenizer).__name__} cannot be saved in a folder: pass a PreTrainedTokenizerFast")
    if text_cfg["vocab_size"] != len(tokenizer):
        raise ValueError(f"text_cfg has vocab_size {text_cfg['vocab_size']}, the tokenizer has {len(tokenizer)} ids")
    if tokenizer.eos_token_id != len(tokenizer) - 1 and text_cfg.get("pool_type", "argmax") == "argmax":
        raise ValueError(f"the end token must be the largest id for argmax pooling, not {tokenizer.eos_token_id}")


def _save_tokenizer(tokenizer, folder: Path) -> None:
    tokenizer.backend_tokenizer.no_truncation()  # a tokenizer that was used keeps these and would write them
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings = {key: value for key, value in settings.items() if key not in ("is_local", "local_files_only")}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n")


def complete(preprocess_cfg: dict, size) -> dict:
    """preprocess_cfg with open_clip's defaults written out and this image size, as JSON would give it back."""
    from open_clip.transform import PreprocessCfg

    return json.loads(json.dumps(dataclasses.asdict(PreprocessCfg(**{**preprocess_cfg, "size": size}))))


def from_folder(folder: Path):
    """An open_clip directory. Raises ValueError where preprocessing or tokenizer is missing or weights are damaged."""
    import open_clip

    if not (folder / CONFIG).is_file():
        raise ValueError(f"{folder} holds no {CONFIG}: it is not an open_clip directory (lib.encoders.save writes one)")
    try:
        config = json.loads((folder / CONFIG).read_text())
        text_cfg = config["model_cfg"].get("text_cfg")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{folder / CONFIG} cannot be read as an open_clip config: {error!r}; {_fix(folder)}"
        ) from None
    _check_preprocess(config, folder / CONFIG)
    if text_cfg is not None and not text_cfg.get("hf_tokenizer_name"):
        raise ValueError(
            f"{folder / CONFIG} has no hf_tokenizer_name in text_cfg: open_clip would silently use CLIP's tokenizer of "
            "49408 ids in place of the folder's own; write any non-empty name there"
        )
    if text_cfg is not None and not any((folder / name).is_file() for name in TOKENIZERS):
        raise ValueError(f"{folder} holds no tokenizer files (tokenizer.json); {_fix(folder)}")
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    if not files:
        raise ValueError(f"{folder} holds no weights ({WEIGHTS}); {_fix(folder)}")
    for file in files:
        _check_size(file, folder)
    with _quiet():
        try:
            if text_cfg is None:
                model = _image_model(config["model_cfg"], folder)
            else:
                model = open_clip.create_model(f"local-dir:{folder}", require_pretrained=True)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"{folder}: weights do not fit {CONFIG}: {reason}; {_fix(folder)}") from None
        tokenizer = None if text_cfg is None else open_clip.get_tokenizer(f"local-dir:{folder}")
    return model, config["model_cfg"], config["preprocess_cfg"], tokenizer, config.get("licence", "not stated")


def _image_model(model_cfg: dict, folder: Path):
    """A model without a text tower, float32, from the safetensors of a folder."""
    from safetensors.torch import load_file

    model = create(model_cfg, 0)
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(folder / WEIGHTS).items()})
    return model


def from_tag(architecture: str, tag: str):
    """Architecture and tag of open_clip, or `random:<seed>`. ValueError for pairs that do not belong together."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    name, model_cfg = f"{architecture}/{tag}", open_clip.get_model_config(architecture)
    if tag.startswith("random:") and tag[7:].isdigit():
        model = create(model_cfg, int(tag[7:]))
        if model_cfg["text_cfg"].get("hf_tokenizer_name") or "siglip" in architecture.lower():
            raise ValueError(f"'{name}': the tokenizer of this one lies on the hub; choose a plain CLIP architecture")
        return model, model_cfg, dict(PREPROCESS), open_clip.get_tokenizer(architecture), "none: random weights"
    base = architecture.removesuffix("-quickgelu")
    entry, twin = get_pretrained_cfg(architecture, tag), get_pretrained_cfg(base, tag)
    known = open_clip.list_pretrained_tags_by_model(architecture)
    if not entry and architecture != base and twin:
        raise ValueError(f"'{name}': these weights were trained without QuickGELU; write '{base}/{tag}'")
    if not entry:
        raise ValueError(f"'{name}': {architecture} has no tag '{tag}'; tags: random:<seed>, {', '.join(known)}")
    if bool(entry.get("quick_gelu")) != bool(model_cfg.get("quick_gelu")):
        right = f"{base}-quickgelu/{tag}" if entry.get("quick_gelu") else f"{base}/{tag}"
        raise ValueError(f"'{name}': these weights were trained with another activation; write '{right}'")
    with _hub(name) as cache:
        model = open_clip.create_model(architecture, tag, cache_dir=cache, require_pretrained=True)
        tokenizer = open_clip.get_tokenizer(architecture, cache_dir=cache)
    source = entry.get("hf_hub", "").strip("/") or entry.get("url", "")
    return model, model_cfg, dict(model.visual.preprocess_cfg), tokenizer, f"see the model card of {source}"


def from_hub(repository: str):
    """A Hugging Face repository in open_clip's layout."""
    import open_clip
    from open_clip.factory import _get_hf_config

    name = f"hf-hub:{repository}"
    with _hub(name) as cache:
        config = _get_hf_config(repository, cache_dir=cache)
    _check_preprocess(config, f"{CONFIG} of {name}")
    with _hub(name) as cache:
        model = open_clip.create_model(name, cache_dir=cache, require_pretrained=True)
        tokenizer = open_clip.get_tokenizer(name, cache_dir=cache)
    return (
        model,
        config["model_cfg"],
        dict(model.visual.preprocess_cfg),
        tokenizer,
        f"see the model card of {repository}",
    )


@contextlib.contextmanager
def _hub(name: str):
    """Yield the cache folder for hub files. With WORKBOOK_MIRROR only <mirror>/hub is read, nothing is requested."""
    from huggingface_hub import constants

    mirror, before = os.environ.get("WORKBOOK_MIRROR"), constants.HF_HUB_OFFLINE
    try:
        constants.HF_HUB_OFFLINE = before or bool(mirror)
        with _quiet():
            yield str(Path(mirror) / "hub") if mirror else None
    except Exception as error:
        where = f"{mirror}/hub" if mirror else f"the Hugging Face cache ({constants.HF_HUB_CACHE})"
        raise OSError(
            f"'{name}' is not in {where} and could not be fetched: load it once on a machine with network, copy "
            "its Hugging Face cache to <folder>/hub, and set WORKBOOK_MIRROR=<folder> (or HF_HUB_CACHE=<folder>/hub) "
            f"({type(error).__name__}: {' '.join(str(error).split())[:160]})"
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = before


@contextlib.contextmanager
def _quiet():
    """open_clip reports through the root logger, which would print each step; exceptions say what matters."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _check_preprocess(config: dict, where) -> None:
    if missing := sorted({"mean", "std"} - set(config.get("preprocess_cfg") or {})):
        raise ValueError(f"{where} has no preprocess_cfg with {' and '.join(missing)}: preprocessing is never guessed")


def _check_size(file: Path, folder: Path) -> None:
    """Compare the size of a safetensors file with the one its header announces."""
    size = file.stat().st_size
    if file.suffix != ".safetensors":
        return
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            header = json.loads(stream.read(length)) if length < size else {}
        except ValueError:
            header = {}
    ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
    expected = 8 + length + max(ends) if ends else None
    if size != expected:
        wanted = f"in place of {expected:,}" if expected else "and no readable header"
        raise ValueError(f"{file} is damaged: {size:,} bytes {wanted}; {_fix(folder)}")


def _fix(folder: Path) -> str:
    """How to get a model folder back."""
    name = folder.name
    try:
        folder = folder.resolve().relative_to(lib.ROOT)
    except ValueError:
        return "write it again with lib.encoders.save"
    stage = f"base-{name}"
    return f"get it back with `git checkout -- {folder}` or retrain with `dvc unfreeze {stage} && dvc repro {stage}`"
