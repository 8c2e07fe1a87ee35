"""Fields of rendered corpora: those stored on the disk, and those that their scenes tell.

Stored: one .npy or .jsonl a field (lib.world.store). Of every corpus with a `spec` of scenes: index i64 [N]; words, a
list of list[str]; values, a dict of f32 [N] (objects, size, brightness, quality, and "count <class>" where the corpus
has class names). Fields that must be drawn are listed by `rebuilt` and made by lib.datasets_drawn.
"""

import importlib
import json
from pathlib import Path

import numpy as np

# Reading imports nothing of lib.world; these modules are imported by name when they are needed. A notebook that names
# one of these words, as a string or as an attribute, has the module in its stamp (lib.stamps reads this table).
ON_DEMAND = {
    "lib.world.spec": ["spec", "spec2", "spec_a", "spec_b", "words", "values"],
    "lib.world.overhead_spec": ["overhead"],
    "lib.datasets_drawn": [
        "sem", "depth", "parts", "damage", "word_mask", "region", "region2", "word_boxes", "boxes", "boxes2",
        "phrases", "phrases2", "by_lang", "qa", "hyp", "part_boxes", "part_phrases", "inst2",
        "scenes/web", "pairs/minimal", "pairs/change", "pairs/compose",  # image or inst is not stored
    ],
}  # fmt: skip
SPECS = ("spec", "spec2", "spec_a", "spec_b")
LAYERS = ("image", "inst", "sem", "depth", "parts", "damage", "word_mask", "region", "word_boxes", "boxes", "phrases")


def stored(folder: Path, name: str, length: int, lazy, broken) -> dict:
    """Name -> function that reads a stored field of a split's folder.

    `lazy(lines, parse)` makes a sequence whose items are parsed when they are read; `broken(path, what)` gives the
    error for a file that cannot be read.
    """
    fields, groups = {}, {}
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".npy", ".jsonl") or path.stem.endswith(".lengths"):
            continue
        group, _, key = path.stem.partition(".")
        reader = _reader(path, name, length, lazy, broken)
        if key:
            groups.setdefault(group, {})[key] = reader
        else:
            fields[group] = reader
    for group, readers in groups.items():
        fields[group] = lambda readers=readers: {key: read() for key, read in readers.items()}
    return fields


def _reader(path: Path, name: str, length: int, lazy, broken):
    def read():
        try:
            lengths = path.with_suffix(".lengths.npy")
            if path.suffix == ".npy" and lengths.is_file():
                value = _ragged(np.load(path, mmap_mode="r"), np.load(lengths), lazy)
            elif path.suffix == ".npy":
                value = np.load(path, mmap_mode="r", allow_pickle=False)
            elif path.stem in SPECS:
                value = lazy(path.read_text().splitlines(), _overhead if name == "overhead" else _spec)
            else:
                value = [json.loads(line) for line in path.read_text().splitlines()]
        except (ValueError, EOFError) as error:
            raise broken(path, f"is damaged ({error})") from None
        if len(value) != length:
            raise broken(path, f"has {len(value)} entries, not {length}")
        return value

    return read


def _ragged(values: np.ndarray, lengths: np.ndarray, lazy):
    ends = np.cumsum(lengths)
    return lazy(np.stack([ends - lengths, ends], 1), lambda span: values[span[0] : span[1]])


def _spec(line: str):
    read = importlib.import_module("lib.world.spec").Spec.from_json
    return [read(json.dumps(one)) for one in json.loads(line)] if line.startswith("[") else read(line)


def _overhead(line: str):
    return importlib.import_module("lib.world.overhead_spec").Overhead.from_json(line)


def rebuilt(name: str, known) -> dict:
    """Name -> function of a corpus that makes a field from its scenes. `known`: the fields that are stored."""
    if "spec" not in known or name in ("overhead", "videos"):
        return {}
    drawn = [*LAYERS]
    if name.startswith("scenes/"):
        drawn += ["qa", "hyp"] if name == "scenes/full" else ["qa", "hyp", "by_lang"]
    if name == "objects/badges":
        drawn += ["part_boxes", "part_phrases"]
    if "spec2" in known:
        drawn += ["inst2", "region2", "boxes2", "phrases2"]
    found = {"words": _words, "values": _values, "index": _index, **{field: _drawn(field) for field in drawn}}
    return {field: make for field, make in found.items() if field not in known}


def _drawn(field: str):
    return lambda corpus: importlib.import_module("lib.datasets_drawn").draw(field, corpus)


def _words(corpus) -> list:
    return [[word.text for word in spec.words] for spec in corpus.spec]


def _values(corpus) -> dict:
    specs = list(corpus.spec)
    found = {
        "objects": [len(spec.objects) for spec in specs],
        "size": [np.mean([thing.radius for thing in spec.objects]) if spec.objects else 0.0 for spec in specs],
        "brightness": [spec.light.gain for spec in specs],
        "quality": [1.0 - max((one.strength for one in spec.corruptions), default=0.0) for spec in specs],
    }
    for name in corpus.__dict__.get("classnames", ()):
        found[f"count {name}"] = [sum(thing.name == name for thing in spec.objects) for spec in specs]
    return {key: np.array(column, np.float32) for key, column in found.items()}


def _index(corpus) -> np.ndarray:
    return np.arange(len(corpus), dtype=np.int64)
