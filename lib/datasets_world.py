"""Fields of rendered corpora: how stored ones are read, and those that are rebuilt from the scenes when asked for.

Rebuilt of every corpus with a `spec` of scenes (n objects, w words):

image u8 [N,64,64,3], inst u8 [N,64,64] where they are not stored; sem u8, depth f32, parts u8, damage bool and
word_mask bool [N,64,64]; lists of N entries: boxes f32 [n,4], region bool [n,64,64], phrases and words list[str],
word_boxes f32 [w,4], part_boxes f32 [n,5,4] and part_phrases (dict per object) of badges; values: dict of f32 [N]
(objects, size, brightness, quality, and "count <class>" where the corpus has class names); index i64 [N]; by_lang of
scenes: dict of lists of captions in the languages of the mini profile. Corpora with `spec2` have inst2, boxes2,
phrases2 and region2.
"""

import json
from pathlib import Path

import numpy as np

from lib.world import badges, corpora_texts, grammar, languages
from lib.world.overhead import Overhead
from lib.world.render import boxes, part_boxes, render, semantic
from lib.world.spec import Spec

LAYERS = {"sem": "sem", "depth": "depth", "parts": "parts", "damage": "damage", "word_mask": "words"}
LISTS = {"region": "region", "word_boxes": "words"}
SPECS = ("spec", "spec2", "spec_a", "spec_b")
LANGUAGES = ("en", "pt", "de", "es")


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
                value = lazy(path.read_text().splitlines(), Overhead.from_json if name == "overhead" else _spec)
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
    if line.startswith("["):
        return [Spec.from_json(json.dumps(one)) for one in json.loads(line)]
    return Spec.from_json(line)


def rebuilt(name: str, known) -> dict:
    """Name -> function of a corpus that builds a field from its scenes. `known`: the fields that are stored."""
    if "spec" not in known or name in ("overhead", "videos"):
        return {}
    found = {field: _layer(field, layer) for field, layer in LAYERS.items()}
    found |= {field: _list(field, layer) for field, layer in LISTS.items()}
    found |= {"boxes": _boxes, "phrases": _phrases, "words": _words, "values": _values, "index": _index}
    found |= {"image": _layer("image"), "inst": _layer("inst")}
    if name.startswith("scenes/") and name != "scenes/full":
        found["by_lang"] = _by_lang
    if name == "objects/badges":
        found |= {"part_boxes": _part_boxes, "part_phrases": _part_phrases}
    if hasattr(grammar, "qa"):
        found |= {"qa": _texts("qa"), "hyp": _texts("hypotheses")}
    if "spec2" in known:
        found |= {"inst2": _layer("inst", of="spec2"), "region2": _list("region", "region", of="spec2")}
        found |= {
            "boxes2": lambda corpus: _boxes(corpus, "spec2"),
            "phrases2": lambda corpus: _phrases(corpus, "spec2"),
        }
    return {field: make for field, make in found.items() if field not in known}


def _layer(field: str, layer: str = "", of: str = "spec"):
    def build(corpus) -> np.ndarray:
        specs = getattr(corpus, of)
        if field == "sem" and "inst" in corpus.fields:
            return np.stack([semantic(inst, spec) for inst, spec in zip(corpus.inst, specs)])
        return np.stack([getattr(render(spec, (layer,) if layer else ()), field) for spec in specs])

    return build


def _list(field: str, layer: str, of: str = "spec"):
    return lambda corpus: [getattr(render(spec, (layer,)), field) for spec in getattr(corpus, of)]


def _boxes(corpus, of: str = "spec") -> list:
    insts = corpus.inst if of == "spec" else corpus.inst2
    return [boxes(inst, len(spec.objects)) for inst, spec in zip(insts, getattr(corpus, of))]


def _phrases(corpus, of: str = "spec") -> list:
    specs = [corpora_texts.named(spec) for spec in getattr(corpus, of)]
    return [[corpora_texts.phrase(thing, spec.style) for thing in spec.objects] for spec in specs]


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


def _by_lang(corpus) -> dict:
    found: dict[str, list] = {code: [] for code in LANGUAGES}
    for spec in corpus.spec:
        spec = corpora_texts.named(spec)
        said = grammar.caption(spec, "short", np.random.default_rng([spec.noise_seed, 1])).tuples
        for k, (code, lines) in enumerate(found.items()):
            lines.append([languages.caption(said, code, np.random.default_rng([spec.noise_seed, 2, k]))])
    return found


def _part_boxes(corpus) -> list:
    drawn = [(render(spec, ("parts",)), len(spec.objects)) for spec in corpus.spec]
    return [part_boxes(one.inst, one.parts, count) for one, count in drawn]


def _part_phrases(corpus) -> list:
    return [[badges.phrases(thing) for thing in spec.objects] for spec in corpus.spec]


def _texts(kind: str):
    def build(corpus) -> list:
        function = getattr(grammar, kind)
        return [function(spec, np.random.default_rng([spec.noise_seed, 3])) for spec in corpus.spec]

    return build
