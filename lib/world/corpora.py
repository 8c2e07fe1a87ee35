"""Corpora of the world: `python -m lib.world.corpora objects/styles` draws one into data/objects/styles/.

Example i of split s of corpus c is drawn from SeedSequence([crc32(c), crc32(s), SEED, i]), its texts from the same with
one more number: every example can be drawn alone, splits never share a scene, and text never steers the picture.
Which scene stands where: corpora_scenes; pairs; videos; corpora_sets for the rest. How rows become files: `store`.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import lib
from lib.world import corpora_scenes, corpora_sets, corpora_texts, latent, overhead, pairs, store, videos, writing
from lib.world.corpora_scenes import SEED, generators
from lib.world.presets import preset
from lib.world.render import FILLS, STYLES, render
from lib.world.spec import Spec
from lib.world.textures import BACKGROUNDS, colours

VERSION = 1  # of the world; a change that alters released bytes raises it and is listed in results/
SIZE_WORDS = ("small", "medium", "large")


def _counts(smoke: str, mini: str, per_class: str = "") -> dict:
    """ "train=512 val=128" for smoke and for mini; splits named in `per_class` count per class."""
    both = [{key: int(value) for key, value in (pair.split("=") for pair in text.split())} for text in (smoke, mini)]
    return {"smoke": both[0], "mini": both[1], "per class": per_class.split()}


_SCENES = _counts("train=512 val=128 test=128", "train=4000 val=500 test=1000")
_PRESETS = _counts("train=512 val=128 test=128", "train=3000 val=400 test=1000")
_OBJECTS = _counts("train=16 val=8 test=200", "train=96 val=24 test=2000", "train val")
_SMALL = _counts("train=16 val=8 test=200", "train=64 val=16 test=1500", "train val")
_PAIRS = _counts("train=256 val=64 test=64", "train=2000 val=300 test=600")
SIZES = {
    "scenes/base": _SCENES,
    "scenes/full": _counts("train=128 val=32 test=128", "train=256 val=64 test=128"),
    **dict.fromkeys([f"scenes/{name}" for name in ("crowd", "clutter", "signs", "counts", "long", "attr")], _PRESETS),
    "scenes/cooccur": _PRESETS,
    "scenes/web": _counts("pool=2000 val=128 test=128 test_zipf=128", "pool=16000 val=500 test=1000 test_zipf=500"),
    "objects/plain": _OBJECTS,
    "objects/styles": _OBJECTS,
    "objects/badges": _SMALL,
    "objects/natural": _counts("train=32 val=8 test=192 probe=64", "train=96 val=16 test=800 probe=1200", "train val"),
    "objects/background": _counts(
        "train=16 curated=16 val=6 test=216", "train=128 curated=128 val=24 test=1440", "train curated val"
    ),
    "objects/identity": _counts("train=192 val=96 test=192", "train=1536 val=384 test=960"),
    "objects/texture": _counts(
        "train=32 free=32 val=16 test=368", "train=128 free=128 val=40 test=1840", "train free val"
    ),
    "objects/ood": _counts("train=2 all=190 val=96 test=192", "train=8 all=1520 val=480 test=1200", "train"),
    "objects/latent": _counts("train=512 val=64 test=128", "train=3000 val=300 test=300"),
    "pairs/minimal": _PAIRS,
    "pairs/change": _PAIRS,
    "pairs/compose": _PAIRS,
    "damage": _counts("val=32 test=40", "val=128 test=280"),
    "backlit": _counts("backlit=64 well_lit=64 well_lit_red=64 val=16 test=32",
                       "backlit=400 well_lit=400 well_lit_red=400 val=60 test=150"),
    "overhead": _counts("train=64 val=16 test=64", "train=300 val=64 test=300"),
    "setpairs": _counts("val=2 test=6", "val=8 test=60"),
    "videos": _counts("train=20 val=4 test=8 distractors=10", "train=150 val=16 test=40 distractors=60"),
    **{name: writing.SIZES[key] | {"per class": []} for name, key in corpora_sets.WRITING.items()},
}  # fmt: skip


def example(name: str, split: str, index: int, seed: int = SEED) -> tuple[Spec, np.random.Generator]:
    """Scene `index` of a split of a corpus of scenes or objects ("scenes/base"), and the generator of its texts.

    Corpora with labelled single objects go round the classes and styles, so that both are balanced in every split.
    """
    picture, texts = generators(name, split, index, seed)
    return corpora_scenes.draw(name, split, index, picture).spec, texts


def stream(
    name: str, split: str, start: int, stop: int, seed: int = SEED
) -> Iterator[tuple[np.ndarray, Spec, np.random.Generator]]:
    """Draw examples start..stop-1 without storing them: (image u8 [64, 64, 3], Spec, generator of its texts)."""
    for index in range(start, stop):
        spec, rng = example(name, split, index, seed)
        yield render(spec).image, spec, rng


def sizes(name: str, profile: str) -> dict[str, int]:
    """Number of examples (of writing: units of writing.SIZES) of each split; gpu draws four times as many as mini."""
    if name not in SIZES:
        raise ValueError(f"corpus '{name}' is unknown; choose one of {', '.join(SIZES)}")
    table = SIZES[name]
    counts = {split: count * (4 if profile == "gpu" else 1) for split, count in
              table["smoke" if profile == "smoke" else "mini"].items()}  # fmt: skip
    per_class = len(classnames(name)) if table["per class"] else 1
    return {split: count * (per_class if split in table["per class"] else 1) for split, count in counts.items()}


def classnames(name: str) -> list[str] | None:
    """What `label` counts, where a corpus has labels."""
    if name == "overhead":
        return list(overhead.LANDS)
    if name == "damage":
        return [*corpora_sets.SEEN_CLASSES, *corpora_sets.UNSEEN_CLASSES, *corpora_sets.GROUNDS]
    if name.startswith(("scenes/", "objects/")):
        rules = preset(name)
        return list(rules.classes)
    return None


def size_word(radius: float) -> str:
    """Size word of a radius in pixels (world.md 1.2)."""
    return SIZE_WORDS[(radius > 10.5) + (radius > 15.5)]


def _attributes(spec: Spec) -> dict[str, int]:
    """Factor values of the first object and the scene, as indices into the tables of corpus.json; -1 without object."""
    found = {"colour": -1, "fill": -1, "size": -1, "position": -1}
    if spec.objects:
        thing = latent.named(spec).objects[0]
        found = {
            "colour": list(colours()).index(thing.colour),
            "fill": FILLS.index(thing.fill),
            "size": SIZE_WORDS.index(size_word(thing.radius)),
            "position": 3 * min(2, int(3 * thing.y)) + min(2, int(3 * thing.x)),
        }
    return found | {
        "count": len(spec.objects),
        "background": BACKGROUNDS.index(spec.background.name),
        "light": ("", "dark", "dim", "bright").index(spec.light.word),
        "style": STYLES.index(spec.style),
    }


def row(name: str, split: str, index: int, seed: int = SEED) -> dict:
    """All stored fields of an example of a corpus of pictures."""
    picture, texts = generators(name, split, index, seed)
    corpus, _, part = name.partition("/")
    if corpus == "pairs":
        return pairs.row(part, split, index, picture, texts)
    if corpus == "videos":
        return videos.row(split, index, picture, texts)
    if corpus not in ("scenes", "objects"):
        return getattr(corpora_sets, f"{corpus}_row")(split, index, picture, texts)
    spec, domain, columns = corpora_scenes.draw(name, split, index, picture)
    other = corpora_scenes.draw(name, split, index + 1, generators(name, split, index, seed + 1)[0]).spec if (
        name == "scenes/web") else None  # fmt: skip
    found = {"spec": spec, "captions": corpora_texts.captions(name, spec, texts, other),
             "kinds": corpora_texts.kinds(name), "label": -1, "coarse": -1,
             "domain": corpora_scenes.domains(name).index(domain or spec.style)}  # fmt: skip
    if split != "pool":  # pictures of the pool are drawn when they are asked for
        drawn = render(spec)
        found |= {"image": drawn.image, "inst": drawn.inst}
    if spec.objects:
        main, names = spec.objects[0].name, classnames(name)
        found["label"] = names.index(main) if main in names else -1
        found["coarse"] = corpora_scenes.coarse(main)
    return found | {f"attrs.{key}": value for key, value in _attributes(spec).items()} | columns


def write(name: str, profile: str, folder: Path, progress: bool = True) -> dict:
    """Draw a corpus into `folder`, replaced as a whole: an interrupted run leaves the old one. Returns corpus.json."""
    counts = sizes(name, profile)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    corpus, _, part = name.partition("/")
    info = {"name": corpus, "preset": part, "profile": profile, "version": VERSION, "splits": {}}
    if names := classnames(name):
        info["classnames"] = names
    if corpus in ("scenes", "objects"):
        info["domains"] = list(corpora_scenes.domains(name))
        info["attributes"] = {"colour": list(colours()), "fill": FILLS, "size": SIZE_WORDS, "background": BACKGROUNDS,
                              "light": ("", "dark", "dim", "bright"), "style": STYLES}  # fmt: skip
    for split, count in counts.items():
        info["splits"][split] = _write_split(name, split, count, profile, partial / split, progress)
    info["digest"] = hashlib.sha256(json.dumps(info, sort_keys=True).encode()).hexdigest()[:16]
    (partial / "corpus.json").write_text(json.dumps(info, indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return info


def _write_split(name: str, split: str, count: int, profile: str, folder: Path, progress: bool) -> dict:
    from tqdm import tqdm

    if name in corpora_sets.WRITING:
        rows, total = corpora_sets.writing_rows(name, split, profile), None
    else:
        rows, total = store.in_order(row, [(name, split, index) for index in range(count)]), count
    bar = tqdm(rows, total=total, desc=f"{name} {split}", unit="row", disable=not progress, mininterval=1.0)
    written = store.write(bar, folder, total)
    return {"n": written, "seed": SEED, "digest": store.digest(folder)}


def main(arguments: list[str]) -> None:
    """Command line: draw the named corpora under the running profile."""
    if not arguments:
        raise SystemExit(f"which corpus? python -m lib.world.corpora NAME; names: {', '.join(SIZES)}")
    profile = lib.profile()
    for name in arguments:
        try:
            info = write(name, profile, lib.out() / "data" / name, progress=os.environ.get("WORKBOOK_QUIET") != "1")
        except OSError as error:
            raise SystemExit(
                f"data/{name} could not be written ({error}); free some disk space and run it again"
            ) from error
        total = sum(split["n"] for split in info["splits"].values())
        print(f"data/{name}: {total} scenes, profile {profile}, digest {info['digest']}")


if __name__ == "__main__":
    main(sys.argv[1:])
