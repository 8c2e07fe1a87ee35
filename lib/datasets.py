"""Data sets: rendered corpora below data/ and folders of precomputed features, with the same typed fields.

A name says where data come from: "objects/styles" is data/objects/styles, drawn by `dvc repro data@objects-styles`;
"features:DIR" is a folder of precomputed features (`_features` lists its layouts); "folder:DIR" and "coco:DIR" are
public data in class folders (lib.datasets_public) or with COCO-style annotations (lib.datasets_coco). Arrays stay
memory-mapped, scene specs are parsed when they are read.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

import lib

SOURCES = "sources are 'corpus/preset' (rendered), 'features:DIR', 'folder:DIR' and 'coco:DIR'"
FIELDS = ("image", "captions")


class Corpus:
    """One split of a data set.

    name, split   as asked for; `split` is "val" where validation data stand in for test data (lib.dev())
    identity      name/split@digest of the data; a subset has its own
    fields        names of the fields there are, each an attribute: image u8 [N,H,W,3], label i64 [N], captions list of
                  list of str, spec sequence of Spec, attrs dict of i64 [N], image_features f32 [N,D], ...
    classnames    list of str, where the data have classes
    A field is read when it is first asked for. An absent one raises AttributeError and lists those there are.
    """

    def __init__(self, name, split, identity, length, fields, classnames=None, shared=(), rebuilt=()):
        """fields: name -> function that reads it; shared: fields with one entry per class, which no subset cuts;
        rebuilt: fields whose function takes the corpus and builds them from its other fields."""
        self.name, self.split, self.identity = name, split, identity
        self._length, self._fields, self._shared, self._rebuilt = length, fields, shared, frozenset(rebuilt)
        if classnames is not None:
            self.classnames = list(classnames)

    @property
    def fields(self) -> list[str]:
        return sorted(self._fields)

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"Corpus({self.identity}, n={len(self)}, fields: {', '.join(self.fields)})"

    def __getattr__(self, field):
        if field.startswith("_"):
            raise AttributeError(field)
        if field not in self._fields:
            what = "has no class names" if field == "classnames" else f"has no field '{field}'"
            raise AttributeError(f"{self.name} ({self.split}) {what}; fields: {', '.join(self.fields)}")
        read = self._fields[field]
        value = read(self) if field in self._rebuilt else read()
        setattr(self, field, value)
        return value

    def take(self, indices) -> "Corpus":
        """The examples at `indices` (integers, a boolean mask or a slice), in that order, as a Corpus."""
        rows = np.arange(len(self))[indices]
        if rows.ndim != 1:
            raise ValueError(f"indices select rows: expected one dimension, not shape {rows.shape}")
        select = indices if isinstance(indices, slice) else rows  # a slice leaves memory maps on the disk

        def reader(field):
            return lambda: getattr(self, field) if field in self._shared else _select(getattr(self, field), select)

        digest = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:8]
        identity, names = f"{self.identity}[{len(rows)}:{digest}]", self.__dict__.get("classnames")
        rebuilt = self._rebuilt - {"index"}  # which stays that of the whole
        fields = {field: read if field in rebuilt else reader(field) for field, read in self._fields.items()}
        return Corpus(self.name, self.split, identity, len(rows), fields, names, self._shared, rebuilt)


class Lazy:
    """A sequence whose items are parsed from text lines when they are read."""

    def __init__(self, lines, parse):
        self.lines, self.parse = lines, parse

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index):
        return Lazy(self.lines[index], self.parse) if isinstance(index, slice) else self.parse(self.lines[index])


def load(name: str, split: str, fields=FIELDS, limit: int | None = None) -> Corpus:
    """A split of a data set.

    name    "objects/styles", or "features:DIR", "folder:DIR" or "coco:DIR" (absolute, or relative to the project)
    split   "train", "val" or "test"; under `lib.dev()` "test" gives "val"
    fields  those the caller needs: checked here, so that a missing one shows at once; others there are can be read too.
            Public data without captions may be loaded all the same, as long as `fields` is left out.
            Of a "features:" set, image_features stand for "image", and text_features, if any, for "captions".
    limit   the first so many examples
    Raises FileNotFoundError for data that are not there (with the command that makes them), ValueError for the rest.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    source, colon, rest = name.partition(":")
    if colon and source not in ("features", "folder", "coco"):
        raise ValueError(f"data source '{source}:' does not exist; {SOURCES}")
    if isinstance(fields, str):
        raise ValueError(f"fields is a tuple of names: ('{fields}',)")
    wanted = "val" if lib.dev() and split == "test" else split
    if source in ("folder", "coco"):
        from lib import datasets_coco, datasets_public

        read = datasets_public.folder if source == "folder" else datasets_coco.coco
        corpus = read(lib.find(Path(rest).expanduser()), wanted)
        fields = ("image",) if fields is FIELDS else fields
    elif colon:
        corpus = _features(lib.find(Path(rest).expanduser()), wanted)
        fields = [field for field in fields if field not in ("image", "captions")]
    else:
        corpus = _rendered(name, wanted)
    if missing := [field for field in fields if field not in corpus.fields]:
        raise ValueError(f"{name} ({wanted}) has no field '{missing[0]}'; fields: {', '.join(corpus.fields)}")
    return corpus if limit is None or limit >= len(corpus) else corpus.take(slice(limit))


def _rendered(name: str, split: str) -> Corpus:
    """data/<name>/: corpus.json, and per split a folder with one .npy or .jsonl per field."""
    folder = lib.find(Path("data") / name)
    stage = f"data@{name.replace('/', '-')}"
    if not (folder / "corpus.json").is_file():
        roots = [root / "data" for root in (lib.out(), lib.ROOT)]
        there = {str(path.parent.relative_to(root)) for root in roots for path in root.glob("**/corpus.json")}
        known = f"there are {', '.join(sorted(there))}" if there else "there is none yet"
        raise FileNotFoundError(f"no corpus '{name}' below data/ ({known}): `dvc repro {stage}` makes it; {SOURCES}")
    info = json.loads((folder / "corpus.json").read_text())
    if info["profile"] != lib.profile():
        raise ValueError(
            f"data/{name} was made for profile '{info['profile']}', this run is '{lib.profile()}': make it anew under "
            f"that profile with `dvc repro {stage}`"
        )
    if split not in info["splits"]:
        raise ValueError(f"data/{name} has no split '{split}'; splits: {', '.join(info['splits'])}")
    from lib import datasets_world

    def broken(path, what):
        return ValueError(f"{path} {what}; make it anew with `dvc repro -f {stage}`")

    entry = info["splits"][split]
    fields = datasets_world.stored(folder / split, name, entry["n"], Lazy, broken)
    rebuilt = datasets_world.rebuilt(name, set(fields))
    identity = f"{name}/{split}@{entry.get('digest', info['digest'])[:12]}"
    return Corpus(name, split, identity, entry["n"], fields | rebuilt, info.get("classnames"), rebuilt=rebuilt)


def _features(folder: Path, split: str) -> Corpus:
    """Precomputed features. Layouts, with labels, text features and classnames.txt optional in each:

    DIR/<split>/image_features.npy, text_features.npy, labels.npy;  DIR/<split>_features.npy, <split>_text_features.npy,
    <split>_labels.npy;  DIR/image_features.npy, ... without splits, which is read as "test". Text features have one row
    per image or one per class name. float16 and float64 become float32; rows are not normalised here.
    """
    name = f"features:{folder.name}"
    if not folder.is_dir():
        raise FileNotFoundError(f"'{name}': there is no folder {folder}")
    if (folder / split / "image_features.npy").is_file():
        start = f"{split}/"
    elif (folder / f"{split}_features.npy").is_file() and split not in ("image", "text"):
        start = f"{split}_"
    elif (folder / "image_features.npy").is_file():
        start = ""
        if split != "test":
            raise ValueError(f"{name} has no splits and is read as 'test': put '{split}' into {split}_features.npy")
    else:
        found = {p.parent.name for p in folder.glob("*/image_features.npy")}
        found |= {p.name.removesuffix("_features.npy") for p in folder.glob("*_features.npy")} - {"image", "text"}
        hint = " (--dev reads 'val' in place of 'test')" if lib.dev() and split == "val" else ""
        raise ValueError(f"{name} has no split '{split}'{hint}; splits: {', '.join(sorted(found)) or 'none'}")
    image = folder / (f"{start}features.npy" if start.endswith("_") else f"{start}image_features.npy")
    paths = {"image_features": image, "text_features": folder / f"{start}text_features.npy"}
    values = {field: _matrix(path, name) for field, path in paths.items() if path.is_file()}
    length, dim = values["image_features"].shape
    classnames, labels = _classnames(folder), folder / f"{start}labels.npy"
    if labels.is_file():
        paths["label"], values["label"] = labels, _labels(labels, name, length, classnames)
    shared = ()
    if "text_features" in values:
        rows, text_dim = values["text_features"].shape
        if text_dim != dim:
            raise ValueError(f"{name}: text features have {text_dim} dimensions, image features {dim}")
        if rows != length and rows != len(classnames or ()):
            raise ValueError(f"{name}: {rows} rows of text features fit neither {length} images nor the class names")
        shared = () if rows == length else ("text_features",)
    digest = hashlib.sha256("\n".join(classnames or ()).encode())
    for field in sorted(values):
        digest.update(field.encode() + paths[field].read_bytes())
    readers = {field: lambda value=value: value for field, value in values.items()}
    return Corpus(name, split, f"{name}/{split}@{digest.hexdigest()[:12]}", length, readers, classnames, shared)


def _load(path: Path, name: str) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{name}: {path.name} is no readable array ({error})") from None


def _matrix(path: Path, name: str) -> np.ndarray:
    """Features [N, D] as float32, a memory map where the file is float32 already."""
    array = _load(path, name)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise ValueError(f"{name}: {path.name} must be floats [N, D], not {array.dtype} {list(array.shape)}")
    array = array if array.dtype == np.float32 else array.astype(np.float32)
    if len(bad := np.flatnonzero(~np.isfinite(array).all(axis=1))):
        raise ValueError(f"{name}: {path.name} holds NaN or infinite values in {len(bad)} rows, first in row {bad[0]}")
    return array


def _labels(path: Path, name: str, length: int, classnames) -> np.ndarray:
    labels = _load(path, name)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"{name}: {path.name} must be integers [N], not {labels.dtype} {list(labels.shape)}")
    if len(labels) != length:
        raise ValueError(f"{name}: {path.name} has {len(labels)} entries, the image features have {length} rows")
    high = len(classnames) if classnames is not None else np.inf
    if length and (labels.min() < 0 or labels.max() >= high):
        worst = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"{name}: label {worst} is out of range: there are {high} class names")
    return np.array(labels, np.int64)


def _classnames(folder: Path) -> list[str] | None:
    path = folder / "classnames.txt"
    return [line.strip() for line in path.read_text().strip().splitlines()] if path.is_file() else None


def _select(value, rows):
    """Rows (a slice or an index array) of an array, of a dict of arrays, of a list or of a Lazy."""
    if isinstance(value, dict):
        return {key: _select(item, rows) for key, item in value.items()}
    if isinstance(value, Lazy):
        return type(value)(_select(value.lines, rows), value.parse)
    if isinstance(value, list):
        return value[rows] if isinstance(rows, slice) else [value[row] for row in rows]
    return value[rows]
