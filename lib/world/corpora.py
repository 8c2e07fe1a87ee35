"""Corpora of rendered scenes: `python -m lib.world.corpora objects/styles` draws one into data/objects/styles/.

Example i of split s of corpus c is drawn from SeedSequence([crc32(c), crc32(s), SEED, i]), its texts from the same with
one more number: every example can be drawn alone, splits never share a scene, and text never steers the picture.
"""

import hashlib
import json
import os
import shutil
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import lib
from lib.world import atlas, grammar
from lib.world.presets import preset, sample
from lib.world.render import FILLS, STYLES, render
from lib.world.spec import SIDE, Spec
from lib.world.textures import BACKGROUNDS, colours

VERSION = 1  # of the world; a change that alters released bytes raises it and is listed in results/
SEED = 0
_BASE = {"smoke": {"train": 512, "val": 128, "test": 128}, "mini": {"train": 4000, "val": 500, "test": 1000}}
_OBJECTS = {"smoke": {"train": 16, "val": 8, "test": 200}, "mini": {"train": 96, "val": 24, "test": 2000}}
SIZES = {"scenes/base": _BASE, "objects/plain": _OBJECTS, "objects/styles": _OBJECTS}  # objects: train, val per class
CAPTIONS = (("short", "seen"), ("short", "held_out"), ("long", "seen"))
SIZE_WORDS = ("small", "medium", "large")


def example(name: str, split: str, index: int, seed: int = SEED) -> tuple[Spec, np.random.Generator]:
    """Scene `index` of a split of corpus `name` ("scenes/base"), and the generator of its texts.

    Corpora with labelled single objects go round the classes and styles, so that both are balanced in every split.
    """
    key = [zlib.crc32(name.encode()), zlib.crc32(split.encode()), seed, index]
    overrides = {}
    if name.startswith("objects/"):
        rules = preset(name)
        styles = list(rules.styles)
        overrides["classes"] = (rules.classes[index % len(rules.classes)],)
        overrides["styles"] = {styles[index // len(rules.classes) % len(styles)]: 1.0}
    spec = sample(name, np.random.Generator(np.random.PCG64(np.random.SeedSequence(key))), **overrides)
    return spec, np.random.Generator(np.random.PCG64(np.random.SeedSequence([*key, 1])))


def stream(
    name: str, split: str, start: int, stop: int, seed: int = SEED
) -> Iterator[tuple[np.ndarray, Spec, np.random.Generator]]:
    """Draw examples start..stop-1 without storing them: (image u8 [64, 64, 3], Spec, generator of its texts)."""
    for index in range(start, stop):
        spec, rng = example(name, split, index, seed)
        yield render(spec).image, spec, rng


def sizes(name: str, profile: str) -> dict[str, int]:
    """Number of examples of each split. gpu draws four times as many test and train examples as mini."""
    if name not in SIZES:
        raise ValueError(f"corpus '{name}' is unknown; choose one of {', '.join(SIZES)}")
    counts = dict(SIZES[name]["smoke" if profile == "smoke" else "mini"])
    if profile == "gpu":
        counts = {split: 4 * count for split, count in counts.items()}
    if name.startswith("objects/"):
        per_class = len(preset(name).classes)
        counts = {split: count if split == "test" else count * per_class for split, count in counts.items()}
    return counts


def size_word(radius: float) -> str:
    """Size word of a radius in pixels (world.md 1.2)."""
    return SIZE_WORDS[(radius > 10.5) + (radius > 15.5)]


def _attributes(spec: Spec) -> dict[str, int]:
    """Factor values of the first object and the scene, as indices into the tables of corpus.json."""
    thing = spec.objects[0]
    return {
        "colour": list(colours()).index(thing.colour),
        "fill": FILLS.index(thing.fill),
        "size": SIZE_WORDS.index(size_word(thing.radius)),
        "position": 3 * min(2, int(3 * thing.y)) + min(2, int(3 * thing.x)),
        "count": len(spec.objects),
        "background": BACKGROUNDS.index(spec.background.name),
        "light": ("", "dark", "dim", "bright").index(spec.light.word),
        "style": STYLES.index(spec.style),
    }


def write(name: str, profile: str, folder: Path, progress: bool = True) -> dict:
    """Draw a corpus into `folder`, replaced as a whole: an interrupted run leaves the old one. Returns corpus.json."""
    classnames = list(preset(name).classes)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    info = {
        "name": name.split("/")[0],
        "preset": name.split("/")[1],
        "profile": profile,
        "version": VERSION,
        "splits": {},
    }
    info["classnames"] = classnames
    info["domains"] = list(preset(name).styles)
    info["attributes"] = {"colour": list(colours()), "fill": FILLS, "size": SIZE_WORDS, "background": BACKGROUNDS,
                          "light": ("", "dark", "dim", "bright"), "style": STYLES}  # fmt: skip
    for split, count in sizes(name, profile).items():
        info["splits"][split] = _write_split(name, split, count, classnames, info["domains"], partial / split, progress)
    info["digest"] = hashlib.sha256(json.dumps(info, sort_keys=True).encode()).hexdigest()[:16]
    (partial / "corpus.json").write_text(json.dumps(info, indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return info


def _write_split(name, split, count, classnames, domains, folder, progress) -> dict:
    from tqdm import tqdm

    folder.mkdir(parents=True)
    image = np.lib.format.open_memmap(folder / "image.npy", "w+", np.uint8, (count, SIDE, SIDE, 3))
    inst = np.lib.format.open_memmap(folder / "inst.npy", "w+", np.uint8, (count, SIDE, SIDE))
    families = sorted({row["family"] for row in atlas.rows()})
    columns: dict[str, list] = {"label": [], "coarse": [], "domain": []}
    lines: dict[str, list] = {"spec": [], "captions": [], "kinds": []}
    bar = tqdm(range(count), desc=f"{name} {split}", unit="scene", disable=not progress, mininterval=1.0)
    for index in bar:
        spec, rng = example(name, split, index)
        drawn = render(spec)
        image[index], inst[index] = drawn.image, drawn.inst
        main = spec.objects[0].name
        columns["label"].append(classnames.index(main))
        columns["coarse"].append(families.index(atlas.rows()[atlas.class_index(main)]["family"]))
        columns["domain"].append(domains.index(spec.style))
        for key, value in _attributes(spec).items():
            columns.setdefault(f"attrs.{key}", []).append(value)
        lines["spec"].append(spec.to_json())
        texts = [grammar.caption(spec, kind, rng, frames=frames).text for kind, frames in CAPTIONS]
        lines["captions"].append(json.dumps(texts))
        lines["kinds"].append(
            json.dumps([kind if frames == "seen" else f"{kind}_{frames}" for kind, frames in CAPTIONS])
        )
    image.flush()
    inst.flush()
    for key, values in columns.items():
        np.save(folder / f"{key}.npy", np.array(values, np.int64))
    for key, values in lines.items():
        (folder / f"{key}.jsonl").write_text("\n".join(values) + "\n")
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return {"n": count, "seed": SEED, "digest": digest.hexdigest()[:16]}


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
