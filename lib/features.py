"""The feature store: what a frozen encoder says about a corpus is computed once and memory-mapped ever after.

A cache below `lib.out()/.cache/features`, one folder per entry: `features.npy` (float32) and `key.json`. The folder's
name is a digest of the key: encoder identity (architecture, weights, preprocessing, tokenizer), layer, normalisation,
data identity, split, dtype. Entries are written beside their place and renamed, checked when they are opened, and
rebuilt when they are damaged; the whole folder is safe to delete. Arithmetic is float32 whatever precision the encoder
was loaded with. A trainable encoder is encoded anew each time and leaves nothing behind.
"""

import errno
import hashlib
import json
import math
import os
import re
import shutil
import zlib
from pathlib import Path

import numpy as np

import lib

CHUNK = 2048  # examples encoded between two writes
MEMORY = 2**26  # bytes of them at most
BATCH = 64  # images at a time where tokens are encoded
CHECKED = 256 * 2**20  # bytes up to which a checksum of the whole entry is compared on opening; beyond it, the size


def images(encoder, corpus, layer: str = "pooled", normalize: bool | None = None) -> np.ndarray:
    """Image features of a corpus, float32, read-only.

    layer      "pooled": what the encoder says of an image, [N, D]
               "value": patch features in the joint space by `lib.dense.value_path`, [N, T, D]
               "block:k": output of block k (from the end if negative) as it is, class token first, [N, 1 + T, W]
    normalize  unit rows; left out: for "pooled" only
    A "features:" corpus gives its own and needs encoder=None. Raises ValueError for another layer, for an encoder where
    there is nothing to encode (and the other way round), and for features that are not finite.
    """
    normalize = layer == "pooled" if normalize is None else normalize
    if layer not in ("pooled", "value") and not re.fullmatch(r"block:-?\d+", layer):
        raise ValueError(f"layer '{layer}' is unknown; choose pooled, value or block:k")
    if "image_features" in corpus.fields:
        if encoder is not None:
            raise ValueError(f"{corpus.name} holds features, not images: pass encoder=None, not {encoder.name}")
        if layer != "pooled":
            raise ValueError(f"{corpus.name} holds pooled features; layer '{layer}' needs the images themselves")
        own = corpus.image_features
        return own if not normalize else _unit(own, corpus.name)
    if encoder is None:
        raise ValueError(f"{corpus.name} holds images: pass the encoder that turns them into features")
    shape, layer = _shape(encoder, layer)

    def encode(start, stop):
        if layer == "pooled":
            return encoder.encode_images(corpus.image[start:stop], normalize=normalize, precision="float32")
        return _tokens(encoder, corpus.image[start:stop], layer, normalize)

    key = {"data": corpus.identity, "split": corpus.split, "layer": layer, "normalize": normalize}
    return _stored(encoder, key, (len(corpus), *shape), encode)


def texts(encoder, texts, normalize: bool = True) -> np.ndarray:
    """Text features, float32 [N, D] in the order of `texts`, read-only; unit rows unless `normalize` is False."""
    texts = list(texts)
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    key = {"data": f"texts@{digest}", "layer": "pooled", "normalize": normalize}

    def encode(start, stop):
        return encoder.encode_texts(texts[start:stop], normalize=normalize, precision="float32")

    return _stored(encoder, key, (len(texts), encoder.dim), encode, chunk=len(texts))


def _shape(encoder, layer: str) -> tuple[tuple, str]:
    """Shape of one example's features, and the layer with its block counted from 0."""
    if layer == "pooled":
        return (encoder.dim,), layer
    from lib import forward

    tower = forward.vision(encoder)
    patches = tower.grid_size[0] * tower.grid_size[1]
    if layer == "value":
        return (patches, encoder.dim), layer
    block = forward.place(int(layer.removeprefix("block:")), len(tower.transformer.resblocks))
    return (1 + patches, tower.positional_embedding.shape[1]), f"block:{block}"


def _tokens(encoder, images, layer: str, normalize: bool) -> np.ndarray:
    """Features of a layer of tokens for some images, float32 [n, T, D]."""
    import torch

    from lib import dense, hooks

    parts = []
    with encoder._evaluating("float32"):
        for start in range(0, len(images), BATCH):
            pixels = encoder.pixels(images[start : start + BATCH])
            if layer == "value":
                part = dense.value_path(encoder, pixels)
            else:
                part = hooks.states(encoder, pixels, int(layer.removeprefix("block:")))
            part = torch.nn.functional.normalize(part, dim=-1) if normalize else part
            parts.append(part.float().cpu().numpy())
    return np.concatenate(parts)


def _stored(encoder, key: dict, shape: tuple, encode, chunk: int | None = None) -> np.ndarray:
    rows = shape[0]
    chunk = chunk or max(1, min(CHUNK, MEMORY // (4 * math.prod(shape[1:]))))
    if rows == 0:
        return np.zeros(shape, np.float32)
    if not encoder.frozen:
        return _finite(encode(0, rows), encoder.name, 0)
    key = {"encoder": encoder.identity, **key, "dtype": "float32"}
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    folder = lib.out() / ".cache" / "features" / digest
    found = _open(folder, key, shape)
    if found is None:
        chunks = (_finite(encode(i, min(i + chunk, rows)), encoder.name, i) for i in range(0, rows, chunk))
        _write(folder, key, shape, chunks)
        found = _open(folder, key, shape)
    if found is None:
        raise OSError(f"{folder} cannot be read back right after it was written; check the disk")
    return found


def _open(folder: Path, key: dict, shape: tuple) -> np.ndarray | None:
    """The entry as a read-only memory map, or None where it is missing, damaged, or of another key."""
    try:
        entry = json.loads((folder / "key.json").read_text())
        array = np.load(folder / "features.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(entry, dict) or entry.get("key") != key or array.shape != shape or array.dtype != np.float32:
        return None
    if array.nbytes <= CHECKED and zlib.crc32(array.reshape(-1).view(np.uint8)) != entry.get("crc32"):
        return None
    return array


def _write(folder: Path, key: dict, shape: tuple, chunks) -> None:
    """Write an entry beside its place, then rename. Plain writes: on a full disk a memory map kills the process."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    checksum = 0
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        with (partial / "features.npy").open("wb") as stream:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            for chunk in chunks:
                data = np.ascontiguousarray(chunk, "<f4").tobytes()
                checksum = zlib.crc32(data, checksum)
                stream.write(data)
        (partial / "key.json").write_text(json.dumps({"key": key, "shape": shape, "crc32": checksum}, indent=1) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            partial.rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise  # else another process was faster, and its entry is as good
    except OSError as error:
        megabytes = 4 * math.prod(shape) / 2**20
        raise OSError(
            f"the feature store could not write {megabytes:.1f} MB below {folder.parent} ({error.strerror or error}): "
            "make room there (all of it is safe to delete) or set WORKBOOK_OUT to a folder on another disk"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _finite(features: np.ndarray, name: str, start: int) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(features).all(axis=tuple(range(1, features.ndim))))
    if len(bad):
        raise ValueError(f"{name}: {len(bad)} feature rows hold NaN or infinite values, first at row {start + bad[0]}")
    return features


def _unit(features: np.ndarray, name: str) -> np.ndarray:
    """Rows divided by their length; the array itself where they are unit already."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    if (length == 0).any():
        raise ValueError(f"{name}: feature row {int(np.argmin(length))} is zero and has no direction")
    return features if np.allclose(length, 1, atol=1e-4) else features / length
