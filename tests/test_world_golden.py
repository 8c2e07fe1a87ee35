"""The bytes of the world: first examples of every split of every corpus, and of the streams that base models see."""

import hashlib
import itertools
import json

import numpy as np
import pytest

import lib
from lib.world import corpora, corpora_sets, grammar
from lib.world.render import render

CHANGED = (
    "{name} gives other bytes than world version {version} does. If that is a mistake, take it back. If it is meant: "
    "raise corpora.VERSION, say in results/VERSIONS.md what changed and why, rerun what stands on it (dvc repro), and "
    "put the table that `python tests/test_world_golden.py` prints in the place of GOLDEN."
)
FEW = {"videos": 2, "setpairs": 1}  # examples of a split, of those that are many pictures
STREAMS = {f"{name} {split}": (name, split) for name, split in (
    ("scenes/base", "pretrain"), ("scenes/full", "pretrain"), ("scenes/full", "lexicon"))}  # fmt: skip
VERSION = 1
GOLDEN = {
    "scenes/base": "003d748cbef08b4b",
    "scenes/full": "ed0b01fc62024bc2",
    "scenes/crowd": "327eb208f14c746c",
    "scenes/clutter": "ba09d972464b88c3",
    "scenes/signs": "79c3c0d7868674b0",
    "scenes/counts": "e3c66f689a385cce",
    "scenes/long": "1c219c7bd3408f87",
    "scenes/attr": "b4720b2b876710e0",
    "scenes/cooccur": "179a083d7c92008e",
    "scenes/web": "b5e2d0d665073de2",
    "objects/plain": "69440d00a38186ee",
    "objects/styles": "3f9778e01f14310c",
    "objects/badges": "53534af5b0bbd648",
    "objects/natural": "c1357c1f8f337db4",
    "objects/background": "7d4b95732320e3b5",
    "objects/identity": "3e7229c2f9d3f912",
    "objects/texture": "90bf947bf6688fc0",
    "objects/ood": "4ac348174eb12eb9",
    "objects/latent": "3dede438178008ef",
    "pairs/minimal": "77a9426184cf5963",
    "pairs/change": "e72ce9e06d03df0e",
    "pairs/compose": "aec22a7d5ea3523e",
    "damage": "d0566dab1600b158",
    "backlit": "d2f70816c08097dc",
    "overhead": "c02dbf67a5e490fe",
    "setpairs": "91b598bf2120c63a",
    "videos": "9d37b4067b1ee4ec",
    "wires": "77b1744823787c7e",
    "words/words": "9e1630e36c4f8dc2",
    "words/firms": "ab95f41f304b6ce7",
    "authors": "e12836910f860079",
    "text": "63ebee34b5ec0367",
    "scenes/base pretrain": "b5f6cfa09714ae95",
    "scenes/full pretrain": "cc8d57f5ff6c7a60",
    "scenes/full lexicon": "9c99708a798ffe0a",
}


def _bytes(value) -> bytes:
    if isinstance(value, np.ndarray):
        return repr((value.shape, value.dtype.str)).encode() + np.ascontiguousarray(value).tobytes()
    if isinstance(value, (list, tuple)):
        return b"[" + b",".join(map(_bytes, value)) + b"]"
    if hasattr(value, "to_json"):
        return value.to_json().encode()
    return json.dumps(value.item() if isinstance(value, np.generic) else value).encode()


def digest(name: str) -> str:
    """First 16 hex digits over the first 12 rows of every split of a corpus, or over 24 scenes of a stream."""
    found = hashlib.sha256()
    if name in STREAMS:
        for index in range(24):
            spec, rng = corpora.example(*STREAMS[name], index)
            kind = ("short", "long", "class_only")[index % 3]
            found.update(render(spec).image.tobytes() + grammar.caption(spec, kind, rng).text.encode())
        return found.hexdigest()[:16]
    for split in corpora.sizes(name, "smoke"):
        if name in corpora_sets.WRITING:
            rows = itertools.islice(corpora_sets.writing_rows(name, split, "smoke"), 12)
        else:
            rows = (corpora.row(name, split, index) for index in range(FEW.get(name, 12)))
        for row in rows:
            for field in sorted(row):
                found.update(field.encode() + _bytes(row[field]))
    return found.hexdigest()[:16]


def test_the_table_has_every_corpus_of_the_version():
    assert set(GOLDEN) == {*corpora.SIZES, *STREAMS} and len(corpora.SIZES) == 32
    assert corpora.VERSION == VERSION, "new bytes, new table: `python tests/test_world_golden.py` prints it"
    listed = (lib.ROOT / "results" / "VERSIONS.md").read_text()
    assert f"| world | {VERSION} |" in listed, f"say in results/VERSIONS.md what world version {VERSION} changed"


@pytest.mark.parametrize("name", GOLDEN)
def test_corpora_keep_their_bytes(name):
    assert digest(name) == GOLDEN[name], CHANGED.format(name=name, version=VERSION)


if __name__ == "__main__":
    print(f"VERSION = {corpora.VERSION}\nGOLDEN = {{")
    for corpus in (*corpora.SIZES, *STREAMS):
        print(f'    "{corpus}": "{digest(corpus)}",')
    print("}")
