"""Letters: the atlas, words in scenes, crops for readers."""

import hashlib

import numpy as np
import pytest

from lib.world import atlas, lettering
from lib.world.spec import Word
from lib.world.textures import colours

GOLDEN = {"draw": "fa971763e7acae6b", "crop": "483954979c495862"}


def test_the_atlas_has_21_faces_in_two_sets_without_a_common_family():
    assert len(lettering.rows()) == 21
    first, second = lettering.faces("F1"), lettering.faces("F2")
    assert not set(first) & set(second) and len(first) + len(second) == 21
    families = [{lettering.rows()[i]["name"].split()[0] for i in group} for group in (first, second)]
    assert not families[0] & families[1]
    with pytest.raises(ValueError, match="F3"):
        lettering.faces("F3")
    for row in lettering.rows():
        assert len(row["advances"]) == len(lettering.CHARACTERS)
    ink = lettering._sheet().sum((2, 3))
    assert ink.shape == (21, len(lettering.CHARACTERS)) and ink.min() > 5
    assert {p.name for p in atlas.TABLES.glob("LICENSE_*")} >= {"LICENSE_DEJAVU", "LICENSE_STIX", "LICENSE_BAKOMA"}


def test_the_lexicon_is_half_object_names():
    rows = lettering.lexicon()
    assert len(rows) == 60 and len({row["word"] for row in rows}) == 60
    names = {row["name"]: row for row in atlas.rows()}
    content = [row for row in rows if row["kind"] == "content"]
    assert len(content) == 30
    assert all(row["class"] in names and "Z" not in names[row["class"]]["roles"] for row in content)
    taken = set(names) | {row["second"] for row in names.values()} | set(colours())
    assert not {row["word"] for row in rows if row["kind"] == "function"} & taken
    short = [sum(3 <= len(r["word"]) <= 5 for r in rows if r["kind"] == kind) for kind in ("content", "function")]
    assert min(short) >= 12  # fdp asks for 20 to 24 words of 3 to 5 letters, half of them names


@pytest.mark.parametrize("plate", ["yellow", ""])
def test_a_word_changes_its_mask_and_nothing_else(plate):
    noise = np.random.default_rng(0)
    for row in lettering.lexicon():
        before = np.full((64, 64, 3), 120, np.int32)
        image = before.copy()
        word = Word(row["word"], *noise.random(2).round(3).tolist(), "blue", plate, int(noise.integers(1 << 30)))
        box, mask = lettering.draw(image, word)
        assert box.dtype == np.float32 and mask.dtype == bool and mask.shape == (64, 64)
        changed = (image != before).any(-1)
        near = mask.copy()
        near[1:] |= mask[:-1]
        near[:-1] |= mask[1:]
        near[:, 1:] |= near[:, :-1]
        near[:, :-1] |= near[:, 1:]
        assert not (changed & ~near).any() and (mask & changed).sum() >= 0.9 * mask.sum()
        ys, xs = np.nonzero(mask)
        assert box.tolist() == [xs.min() / 64, ys.min() / 64, (xs.max() + 1) / 64, (ys.max() + 1) / 64]
        assert (box >= 0).all() and (box <= 1).all() and (box[2] - box[0]) * 64 > 4 * len(row["word"])


def test_words_are_squeezed_into_the_picture_and_may_be_larger():
    small, large = (np.full((64, 64, 3), 120, np.int32) for _ in range(2))
    box, _ = lettering.draw(small, Word("stop"))
    bigger, _ = lettering.draw(large, Word("stop", height=14.0))
    assert (bigger - box)[3] > 0 and (bigger[3] - bigger[1]) > 1.5 * (box[3] - box[1])
    wide, _ = lettering.draw(small, Word("incomprehensible", 0.9, 0.1))
    assert wide[0] >= 0 and wide[2] <= 1 and wide[2] - wide[0] > 0.85


def test_same_word_same_bytes_other_word_other_bytes():
    def print_of(text, noise=1):
        image = np.full((64, 64, 3), 120, np.int32)
        lettering.draw(image, Word(text, noise=noise))
        return image.tobytes()

    assert print_of("cat") == print_of("cat") != print_of("cow")
    assert print_of("cat") != print_of("cat", 2)
    with pytest.raises(ValueError, match="ü"):
        print_of("tür")


def test_readable_asks_for_contrast():
    assert (
        lettering.readable("black", "white") and lettering.readable("white", "") and lettering.readable("red", "white")
    )
    assert not lettering.readable("white", "white") and not lettering.readable("grey", "green")


def test_crops_have_their_shape_and_vary_with_everything():
    clean = lettering.crop("dax", 0, 1, wear=0.0)
    assert clean.shape == (32, 128, 3) and clean.dtype == np.uint8 and clean.flags["C_CONTIGUOUS"]
    assert np.array_equal(clean, lettering.crop("dax", 0, 2, wear=0.0))  # nothing is left to chance
    assert clean.max() > 240 and clean.min() < 45
    kinds = [("dax", 0, 1), ("dax", 0, 2), ("wug", 0, 1), ("dax", 5, 1), ("dax\nworks", 0, 1), ("", 0, 1)]
    assert len({lettering.crop(*kind).tobytes() for kind in kinds}) == len(kinds)
    assert not np.array_equal(lettering.crop("dax", 0, 1, logo="gear"), lettering.crop("dax", 0, 1))


def test_all_faces_print_all_characters():
    for face in range(21):
        for start in range(0, len(lettering.CHARACTERS), 12):
            crop = lettering.crop(lettering.CHARACTERS[start : start + 12], face, start, wear=0.0)
            assert (crop < 110).sum() > 90


def test_print_is_legible_to_the_nearest_clean_crop():
    """A pixel matcher that knows the face reads lightly worn words far above chance (1 in 12)."""
    words = ["dax", "wug", "blick", "toma", "riplo", "nelu", "harvest", "stop", "keep", "lunar", "mixed", "quay"]

    def shrink(crop):
        return crop.reshape(16, 2, 64, 2, 3).mean((1, 3, 4)).ravel()

    clean = np.stack([shrink(lettering.crop(word, 0, 0, wear=0.0)) for word in words])
    clean -= clean.mean(1, keepdims=True)
    hits = 0
    for seed in range(96):
        crop = shrink(lettering.crop(words[seed % 12], 0, seed, wear=0.25))
        hits += int(np.abs(clean @ (crop - crop.mean()) / np.linalg.norm(clean, axis=1)).argmax() == seed % 12)
    assert hits > 28


def test_refused_crops_say_why():
    with pytest.raises(ValueError, match="two lines"):
        lettering.crop("a\nb\nc", 0, 0)
    with pytest.raises(ValueError, match=r"wear 3"):
        lettering.crop("a", 0, 0, wear=3)
    with pytest.raises(ValueError, match="€"):
        lettering.crop("5€", 0, 0)


def test_long_names_break_at_the_middle_space():
    assert lettering.two_lines("Dax & Sons") == "Dax & Sons"
    assert lettering.two_lines("Pelinor Brothers Company") == "Pelinor Brothers\nCompany"
    assert lettering.two_lines("Incomprehensible") == "Incomprehensible"


def test_letters_have_the_golden_bytes():
    image = np.full((64, 64, 3), 120, np.int32)
    for k, row in enumerate(lettering.lexicon()):
        lettering.draw(image, Word(row["word"], k % 8 / 8, k / 60, "red", ("white", "")[k % 2], k))
    crops = [
        lettering.crop(("dax", "Wug & Co.", "two\nlines")[k % 3], k % 21, k, logo=("", "cat")[k % 2]) for k in range(42)
    ]
    found = {
        "draw": hashlib.sha256(image.tobytes()).hexdigest()[:16],
        "crop": hashlib.sha256(b"".join(c.tobytes() for c in crops)).hexdigest()[:16],
    }
    assert found == GOLDEN
