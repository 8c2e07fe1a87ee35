import errno
import json

import numpy as np
import pytest
import torch

from lib import datasets, features


def corpus(count=5, identity="toys/test@0", split="test", seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), np.uint8)
    return datasets.Corpus("toys", split, identity, count, {"image": lambda: images})


def entries(workspace):
    return sorted((workspace / ".cache" / "features").iterdir())


@pytest.fixture
def calls(tiny_encoder, monkeypatch):
    """Number of images and texts of each call that really encodes."""
    seen = []
    for name in ("encode_images", "encode_texts"):
        original = getattr(tiny_encoder, name)

        def spy(items, *args, original=original, **kwargs):
            seen.append(len(items))
            return original(items, *args, **kwargs)

        monkeypatch.setattr(tiny_encoder, name, spy)
    return seen


class TestStore:
    def test_images_are_encoded_once_and_memory_mapped(self, workspace, tiny_encoder, calls):
        first = features.images(tiny_encoder, corpus())
        again = features.images(tiny_encoder, corpus())
        assert calls == [5]
        assert isinstance(again, np.memmap) and again.dtype == np.float32 and not again.flags.writeable
        assert np.array_equal(first, again)
        assert np.array_equal(first, tiny_encoder.encode_images(corpus().image))

    def test_chunks_do_not_matter(self, workspace, tiny_encoder, calls, monkeypatch):
        monkeypatch.setattr(features, "CHUNK", 2)
        rows = features.images(tiny_encoder, corpus())
        assert calls == [2, 2, 1]
        assert np.abs(rows - tiny_encoder.encode_images(corpus().image)).max() < 1e-5

    def test_each_part_of_the_key_has_its_own_entry(self, workspace, tiny_encoder, calls):
        features.images(tiny_encoder, corpus())
        features.images(tiny_encoder, corpus(identity="toys/test@1", seed=1))
        features.images(tiny_encoder, corpus(split="val"))
        raw = features.images(tiny_encoder, corpus(), normalize=False)
        with torch.no_grad():
            tiny_encoder.model.visual.proj[0, 0] += 0.1
        changed = features.images(tiny_encoder, corpus(), normalize=False)
        assert calls == [5] * 5 and len(entries(workspace)) == 5
        assert np.abs(raw - changed).max() > 1e-4

    def test_key_is_written_beside_the_array(self, workspace, tiny_encoder):
        features.images(tiny_encoder, corpus())
        entry = json.loads((entries(workspace)[0] / "key.json").read_text())
        assert entry["key"]["encoder"] == tiny_encoder.identity
        assert entry["key"]["data"] == "toys/test@0" and entry["key"]["dtype"] == "float32"

    def test_texts_keep_their_order(self, workspace, tiny_encoder, calls):
        sentences = ["red cup", "a blue star left of the gear", "red cup"]
        rows = features.texts(tiny_encoder, iter(sentences))
        assert np.array_equal(rows, tiny_encoder.encode_texts(sentences))
        features.texts(tiny_encoder, sentences)
        features.texts(tiny_encoder, sentences[1:] + ["die"])
        assert calls == [3, 3, 3]  # one of them is this test's own
        assert features.texts(tiny_encoder, []).shape == (0, 32)

    def test_arithmetic_is_float32_whatever_the_encoder_was_loaded_with(self, workspace, tiny_encoder):
        exact = np.array(features.images(tiny_encoder, corpus()))
        tiny_encoder.precision = "bf16"
        (workspace / ".cache").rename(workspace / "away")
        assert np.array_equal(features.images(tiny_encoder, corpus()), exact)

    def test_trainable_encoder_leaves_nothing_behind(self, workspace, tiny_encoder):
        rows = features.images(tiny_encoder.copy(), corpus())
        assert np.array_equal(rows, tiny_encoder.encode_images(corpus().image))
        assert not (workspace / ".cache").exists()


class TestDamage:
    @pytest.mark.parametrize(
        "damage",
        [
            lambda entry: (entry / "features.npy").write_bytes((entry / "features.npy").read_bytes()[:-4]),
            lambda entry: (entry / "features.npy").write_bytes((entry / "features.npy").read_bytes()[:-4] + b"abcd"),
            lambda entry: (entry / "features.npy").write_bytes(b""),
            lambda entry: np.save(entry / "features.npy", np.zeros((5, 31), np.float32)),
            lambda entry: (entry / "features.npy").unlink(),
            lambda entry: (entry / "key.json").unlink(),
            lambda entry: (entry / "key.json").write_text("{"),
            lambda entry: (entry / "key.json").write_text("[]"),
        ],
        ids=["truncated", "flipped", "empty", "shape", "no array", "no key", "half a key", "no mapping"],
    )
    def test_damaged_entry_is_rebuilt(self, workspace, tiny_encoder, calls, damage):
        before = np.array(features.images(tiny_encoder, corpus()))
        damage(entries(workspace)[0])
        assert np.array_equal(features.images(tiny_encoder, corpus()), before)
        assert calls == [5, 5] and len(entries(workspace)) == 1
        features.images(tiny_encoder, corpus())
        assert calls == [5, 5]

    def test_interrupted_write_leaves_no_entry(self, workspace, tiny_encoder, monkeypatch):
        monkeypatch.setattr(features, "CHUNK", 2)
        original = tiny_encoder.encode_images

        def interrupted(images, *args, **kwargs):
            if len(images) == 1:
                raise KeyboardInterrupt
            return original(images, *args, **kwargs)

        monkeypatch.setattr(tiny_encoder, "encode_images", interrupted)
        with pytest.raises(KeyboardInterrupt):
            features.images(tiny_encoder, corpus())
        assert entries(workspace) == []

    def test_full_disk_is_one_clear_error(self, workspace, tiny_encoder, monkeypatch):
        def full(*args, **kwargs):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
        with pytest.raises(OSError, match=r"could not write 0\.0 MB .*No space left.*safe to delete.*WORKBOOK_OUT"):
            features.images(tiny_encoder, corpus())
        assert entries(workspace) == []

    def test_another_process_that_was_faster_is_no_error(self, workspace, tiny_encoder, monkeypatch):
        monkeypatch.setattr(features.shutil, "rmtree", lambda *args, **kwargs: None)  # so that its entry stays in place
        rows = np.array(features.images(tiny_encoder, corpus()))
        entry = entries(workspace)[0]
        key, shape = json.loads((entry / "key.json").read_text())["key"], rows.shape
        features._write(entry, key, shape, [rows])
        assert np.array_equal(features._open(entry, key, shape), rows)

    def test_features_that_are_not_finite(self, workspace, tiny_encoder):
        with torch.no_grad():
            tiny_encoder.model.visual.proj[0, 0] = float("nan")
        with pytest.raises(ValueError, match="tiny: 5 feature rows hold NaN.*first at row 0"):
            features.images(tiny_encoder, corpus())
        assert entries(workspace) == []


class TestSources:
    def own(self, rows):
        return datasets.Corpus("features:toys", "test", "f@0", len(rows), {"image_features": lambda: rows})

    def test_features_corpus_gives_its_own_rows_unit_on_request(self):
        rows = np.array([[3.0, 4.0], [0.0, 2.0]], np.float32)
        assert np.allclose(features.images(None, self.own(rows)), [[0.6, 0.8], [0, 1]])
        assert features.images(None, self.own(rows), normalize=False) is rows
        unit = np.array([[0.6, 0.8]], np.float32)
        assert features.images(None, self.own(unit)) is unit

    def test_a_zero_row_has_no_direction(self):
        with pytest.raises(ValueError, match="row 1 is zero"):
            features.images(None, self.own(np.array([[1.0, 0.0], [0.0, 0.0]], np.float32)))

    def test_encoder_and_corpus_must_fit(self, tiny_encoder):
        with pytest.raises(ValueError, match="pass encoder=None, not tiny"):
            features.images(tiny_encoder, self.own(np.ones((1, 2), np.float32)))
        with pytest.raises(ValueError, match="toys holds images: pass the encoder"):
            features.images(None, corpus())

    def test_other_layers_are_named(self, tiny_encoder):
        for layer in ("block", "block:x", "values", "pooled "):
            with pytest.raises(ValueError, match=f"layer '{layer}' is unknown; choose pooled, value or block:k"):
                features.images(tiny_encoder, corpus(), layer=layer)
        with pytest.raises(ValueError, match="block 3 does not exist: there are 2"):
            features.images(tiny_encoder, corpus(), layer="block:3")
        with pytest.raises(ValueError, match="holds pooled features; layer 'value' needs the images"):
            features.images(None, self.own(np.ones((1, 2), np.float32)), layer="value")


class TestTokens:
    @pytest.mark.parametrize("layer", ["block:0", "block:1", "value"])
    def test_layers_of_tokens_are_those_of_hooks_and_dense(self, workspace, tiny_encoder, layer, monkeypatch):
        from lib import dense, hooks

        pixels = tiny_encoder.pixels(corpus().image)
        with torch.no_grad():
            wanted = dense.value_path(tiny_encoder, pixels) if layer == "value" else None
            wanted = hooks.states(tiny_encoder, pixels, int(layer[6:])) if wanted is None else wanted
        found = features.images(tiny_encoder, corpus(), layer)
        assert found.shape == ((5, 4, 32) if layer == "value" else (5, 5, 32)) and isinstance(found, np.memmap)
        assert np.abs(found - wanted.numpy()).max() < 1e-5
        unit = features.images(tiny_encoder, corpus(), layer, normalize=True)
        assert np.abs(np.linalg.norm(unit, axis=-1) - 1).max() < 1e-5 and len(entries(workspace)) == 2
        monkeypatch.setattr(tiny_encoder, "pixels", None)  # nothing is encoded again
        assert np.array_equal(features.images(tiny_encoder, corpus(), layer), found)

    def test_blocks_may_count_from_the_end(self, workspace, tiny_encoder):
        last = features.images(tiny_encoder, corpus(), "block:-1")
        assert np.array_equal(features.images(tiny_encoder, corpus(), "block:1"), last) and len(entries(workspace)) == 1
        tower = tiny_encoder.model.visual
        pooled = (tower.ln_post(torch.tensor(last[:, 0])) @ tower.proj).numpy()
        assert np.abs(pooled - tiny_encoder.encode_images(corpus().image, normalize=False)).max() < 1e-5

    def test_chunks_and_batches_do_not_matter(self, workspace, tiny_encoder, monkeypatch):
        whole = np.array(features.images(tiny_encoder, corpus(), "value"))
        (workspace / ".cache").rename(workspace / "away")
        monkeypatch.setattr(features, "MEMORY", 2 * 4 * 4 * 32)  # two examples
        monkeypatch.setattr(features, "BATCH", 1)
        assert np.abs(features.images(tiny_encoder, corpus(), "value") - whole).max() < 1e-5

    def test_tokens_that_are_not_finite_are_refused(self, workspace, tiny_encoder):
        with torch.no_grad():
            tiny_encoder.model.visual.class_embedding[0] = torch.nan
        with pytest.raises(ValueError, match="5 feature rows hold NaN"):
            features.images(tiny_encoder, corpus(), "block:0")
        assert entries(workspace) == []

    def test_trainable_encoder_leaves_nothing_behind(self, workspace, tiny_encoder):
        rows = features.images(tiny_encoder.copy(), corpus(), "value")
        assert rows.shape == (5, 4, 32) and not (workspace / ".cache").exists()
