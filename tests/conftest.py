"""Fixtures shared by all tests: a tiny encoder saved and loaded like `vit_base`, one random ViT-B/16, real data."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as lib.run sets it; read when torch is loaded

COLOURS = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "brown", "white", "grey")
THINGS = (
    "cup",
    "anchor",
    "star",
    "cloud",
    "umbrella",
    "snowman",
    "heart",
    "spade",
    "die",
    "envelope",
    "pencil",
    "gear",
)


@pytest.fixture(scope="session")
def lexicon() -> list[str]:
    """Sentences that name every pair of a colour and a thing."""
    return [f"a {colour} {thing} left of the {THINGS[-i]}." for colour in COLOURS for i, thing in enumerate(THINGS)]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory, lexicon) -> Path:
    """An open_clip directory with random weights: 16 px, patch 8, width 32; written by `encoders.save`."""
    from lib import encoders, text

    tokenizer = text.build_tokenizer(lexicon, 500)
    config = encoders.small_config(len(tokenizer), size=16, width=32, layers=2, text_layers=1, context=12)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return encoders.save(folder, encoders.create(config, 0), config, encoders.PREPROCESS, tokenizer)


@pytest.fixture
def tiny_encoder(tiny_folder):
    """The tiny encoder, loaded anew on the CPU: a test may change it."""
    from lib import encoders

    return encoders.load(str(tiny_folder), device="cpu")


@pytest.fixture(scope="session")
def vit_b16():
    """One random ViT-B/16 for the whole session: leave it as it is."""
    from lib import encoders

    return encoders.load("ViT-B-16/random:0", device="cpu")


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    """A temporary WORKBOOK_OUT under the smoke profile, without the variables that a runner sets."""
    for name in ("WORKBOOK_RESULTS", "WORKBOOK_DEV", "WORKBOOK_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORKBOOK_OUT", str(tmp_path))
    monkeypatch.setenv("WORKBOOK_PROFILE", "smoke")
    return tmp_path


@pytest.fixture
def real() -> Path:
    """Folder of real data named by WORKBOOK_REAL; the test is skipped without it."""
    folder = os.environ.get("WORKBOOK_REAL")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the folder of real data named by WORKBOOK_REAL")
    return Path(folder)
