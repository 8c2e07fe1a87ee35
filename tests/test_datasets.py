import copy
import json

import numpy as np
import pytest

from lib import datasets, features
from lib.world.spec import Object, Spec

COUNTS = {"train": 6, "val": 3, "test": 4}


def array(folder, name, value):
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{name}.npy", value)


@pytest.fixture
def rendered(workspace):
    """data/objects/toys, with random pictures in place of rendered ones."""
    folder, rng = workspace / "data" / "objects" / "toys", np.random.default_rng(0)
    for split, count in COUNTS.items():
        array(folder / split, "image", rng.integers(0, 256, (count, 8, 8, 3), np.uint8))
        array(folder / split, "label", np.arange(count) % 2)
        array(folder / split, "attrs.colour", np.arange(count) % 3)
        array(folder / split, "attrs.fill", np.arange(count))
        specs = [Spec(objects=(Object("cup", x=i / 8),)).to_json() for i in range(count)]
        (folder / split / "spec.jsonl").write_text("\n".join(specs) + "\n")
        captions = [json.dumps([f"cup {split} {i}", "a cup"]) for i in range(count)]
        (folder / split / "captions.jsonl").write_text("\n".join(captions) + "\n")
    info = {"name": "objects", "preset": "toys", "profile": "smoke", "version": 1, "digest": "d" * 16}
    info["splits"] = {split: {"n": n, "seed": 0, "digest": f"{split}0123456789"} for split, n in COUNTS.items()}
    (folder / "corpus.json").write_text(json.dumps({**info, "classnames": ["cup", "star"]}))
    return folder


class TestRendered:
    def test_fields(self, rendered):
        corpus = datasets.load("objects/toys", "train", fields=("image", "label", "attrs"))
        assert (corpus.name, corpus.split, len(corpus)) == ("objects/toys", "train", 6)
        assert corpus.classnames == ["cup", "star"]
        assert {"attrs", "captions", "image", "label", "spec"} < set(corpus.fields)  # the others are drawn anew
        assert isinstance(corpus.image, np.memmap) and corpus.image.shape == (6, 8, 8, 3)
        assert corpus.label.tolist() == [0, 1] * 3
        assert {key: value.tolist() for key, value in corpus.attrs.items()} == {
            "colour": [0, 1, 2, 0, 1, 2],
            "fill": [0, 1, 2, 3, 4, 5],
        }
        assert corpus.captions[2] == ["cup train 2", "a cup"]
        assert corpus.image is corpus.image

    def test_specs_are_parsed_when_they_are_read(self, rendered, monkeypatch):
        parsed, original = [], Spec.from_json
        monkeypatch.setattr(Spec, "from_json", lambda line: parsed.append(line) or original(line))
        specs = datasets.load("objects/toys", "train").spec
        assert len(specs) == 6 and parsed == []
        assert specs[3] == Spec(objects=(Object("cup", x=3 / 8),)) and len(parsed) == 1
        assert [spec.objects[0].x for spec in specs[4:]] == [4 / 8, 5 / 8]

    def test_identity_follows_the_data_of_the_split(self, rendered):
        load = datasets.load
        assert load("objects/toys", "test").identity == "objects/toys/test@test01234567"
        assert load("objects/toys", "test").identity != load("objects/toys", "train").identity

    def test_dev_puts_validation_in_the_place_of_test(self, rendered, monkeypatch):
        monkeypatch.setenv("WORKBOOK_DEV", "1")
        corpus = datasets.load("objects/toys", "test")
        assert (corpus.split, len(corpus)) == ("val", 3) and corpus.captions[0][0] == "cup val 0"
        assert len(datasets.load("objects/toys", "train")) == 6

    def test_limit_leaves_the_map_on_the_disk(self, rendered):
        corpus = datasets.load("objects/toys", "train", limit=2)
        assert len(corpus) == 2 and isinstance(corpus.image, np.memmap) and len(corpus.spec) == 2
        assert corpus.identity != datasets.load("objects/toys", "train").identity
        assert len(datasets.load("objects/toys", "train", limit=99)) == 6
        with pytest.raises(ValueError, match="limit must be at least 1"):
            datasets.load("objects/toys", "train", limit=0)

    def test_missing_corpus_names_the_command_and_what_is_there(self, rendered):
        with pytest.raises(FileNotFoundError, match=r"'objects/toy'.*objects/toys.*`dvc repro data@objects-toy`"):
            datasets.load("objects/toy", "train")

    def test_other_profile(self, rendered, monkeypatch):
        monkeypatch.setenv("WORKBOOK_PROFILE", "mini")
        with pytest.raises(
            ValueError, match="made for profile 'smoke', this run is 'mini'.*dvc repro data@objects-toys"
        ):
            datasets.load("objects/toys", "train")

    def test_missing_split_and_field(self, rendered):
        with pytest.raises(ValueError, match="no split 'tests'; splits: train, val, test"):
            datasets.load("objects/toys", "tests")
        with pytest.raises(ValueError, match="no field 'smell'; fields: attrs, .*captions, .*label, .*spec"):
            datasets.load("objects/toys", "test", fields=("image", "smell"))
        with pytest.raises(AttributeError, match="no field 'smell'; fields: attrs, .*captions"):
            _ = datasets.load("objects/toys", "test").smell
        with pytest.raises(ValueError, match="tuple of names"):
            datasets.load("objects/toys", "test", fields="image")

    def test_damaged_files_name_the_cure(self, rendered):
        array(rendered / "test", "label", np.arange(3))
        with pytest.raises(ValueError, match=r"label.npy has 3 entries, not 4; .*dvc repro -f data@objects-toys"):
            _ = datasets.load("objects/toys", "test").label
        file = rendered / "test" / "image.npy"
        file.write_bytes(file.read_bytes()[:-9])
        with pytest.raises(ValueError, match="image.npy is damaged"):
            _ = datasets.load("objects/toys", "test").image
        (rendered / "test" / "captions.jsonl").write_text('["a"\n')
        with pytest.raises(ValueError, match="captions.jsonl is damaged"):
            _ = datasets.load("objects/toys", "test").captions


class TestTake:
    def test_every_kind_of_field_is_cut(self, rendered):
        whole = datasets.load("objects/toys", "train")
        part = whole.take([4, 1, 1])
        assert len(part) == 3 and part.label.tolist() == [0, 1, 1]
        assert np.array_equal(part.image, whole.image[[4, 1, 1]])
        assert [texts[0] for texts in part.captions] == ["cup train 4", "cup train 1", "cup train 1"]
        assert [spec.objects[0].x for spec in part.spec] == [4 / 8, 1 / 8, 1 / 8]
        assert part.attrs["fill"].tolist() == [4, 1, 1] and part.classnames == ["cup", "star"]
        with pytest.raises(AttributeError, match="no field 'smell'"):
            _ = part.smell

    def test_masks_slices_and_subsets_of_subsets(self, rendered):
        whole = datasets.load("objects/toys", "train")
        assert whole.take(whole.label == 1).attrs["fill"].tolist() == [1, 3, 5]
        assert whole.take(slice(1, 5)).take([3, 0]).attrs["fill"].tolist() == [4, 1]
        assert whole.take(np.zeros(6, bool)).image.shape == (0, 8, 8, 3)

    def test_identity_of_a_subset_is_its_own(self, rendered):
        whole = datasets.load("objects/toys", "train")
        identities = [whole.identity, *(whole.take(rows).identity for rows in ([0, 1], [1, 0], [0, 1, 2]))]
        assert len(set(identities)) == 4
        assert whole.take([0, 1]).identity == whole.take(slice(2)).identity

    def test_wrong_indices(self, rendered):
        whole = datasets.load("objects/toys", "train")
        with pytest.raises(IndexError):
            whole.take([6])
        with pytest.raises(ValueError, match="one dimension"):
            whole.take(3)

    def test_copies_and_missing_private_names_do_not_recurse(self, rendered):
        corpus = datasets.load("objects/toys", "train")
        assert copy.copy(corpus).label.tolist() == corpus.label.tolist()
        with pytest.raises(AttributeError, match="_nothing"):
            _ = datasets.Corpus.__new__(datasets.Corpus)._nothing


@pytest.mark.parametrize("name", ["hf:org/set", "torchvision:Food101", "https://x"])
def test_sources_that_do_not_exist_yet(name):
    with pytest.raises(ValueError, match=r"does not exist; sources are 'corpus/preset' \(rendered\), 'features:DIR'"):
        datasets.load(name, "test")


class TestFeatures:
    rows = np.random.default_rng(0).normal(size=(6, 4))

    @pytest.fixture
    def flat(self, workspace):
        folder = workspace / "clip"
        array(folder, "image_features", self.rows.astype(np.float32))
        array(folder, "text_features", self.rows[:2].astype(np.float16))
        array(folder, "labels", np.array([0, 1, 0, 1, 0, 1], np.int32))
        (folder / "classnames.txt").write_text("cup\nstar \n")
        return folder

    def test_flat_folder(self, flat):
        corpus = datasets.load("features:clip", "test", fields=("image", "label"))
        assert corpus.fields == ["image_features", "label", "text_features"]
        assert isinstance(corpus.image_features, np.memmap) and corpus.text_features.dtype == np.float32
        assert corpus.label.dtype == np.int64 and corpus.classnames == ["cup", "star"]
        assert corpus.identity.startswith("features:clip/test@")
        assert np.array_equal(corpus.image_features, self.rows.astype(np.float32))  # as they are, not normalised
        assert np.allclose(np.linalg.norm(features.images(None, corpus), axis=1), 1, atol=1e-6)

    def test_absolute_path_stays_out_of_name_and_identity(self, flat):
        corpus = datasets.load(f"features:{flat}", "test")
        assert corpus.name == "features:clip" and str(flat) not in corpus.identity
        assert corpus.identity == datasets.load("features:clip", "test").identity

    def test_take_cuts_rows_of_images_and_leaves_rows_of_classes(self, flat):
        part = datasets.load("features:clip", "test").take([5, 0])
        assert part.label.tolist() == [1, 0] and part.image_features.shape == (2, 4)
        assert part.text_features.shape == (2, 4) and np.allclose(part.text_features, self.rows[:2], atol=2e-3)
        array(flat, "text_features", self.rows)
        part = datasets.load("features:clip", "test").take([5, 0, 3])
        assert np.allclose(part.text_features, self.rows[[5, 0, 3]])

    def test_identity_follows_the_content(self, flat):
        before = datasets.load("features:clip", "test").identity
        (flat / "classnames.txt").write_text("cup\nmoon\n")
        renamed = datasets.load("features:clip", "test").identity
        array(flat, "labels", np.zeros(6, int))
        assert len({before, renamed, datasets.load("features:clip", "test").identity}) == 3

    @pytest.mark.parametrize("layout", ["{split}_features", "{split}/image_features"])
    def test_splits(self, workspace, monkeypatch, layout):
        for split, count in COUNTS.items():
            array((workspace / "clip" / layout.format(split=split)).parent, layout.format(split=split).split("/")[-1],
                  self.rows[:count].astype(np.float16))  # fmt: skip
            labels = "labels" if "/" in layout else f"{split}_labels"
            array((workspace / "clip" / layout.format(split=split)).parent, labels, np.arange(count))
        assert {split: len(datasets.load("features:clip", split)) for split in COUNTS} == COUNTS
        corpus = datasets.load("features:clip", "test", fields=("label",))
        assert corpus.image_features.dtype == np.float32 and corpus.label.tolist() == [0, 1, 2, 3]
        with pytest.raises(AttributeError, match="no class names"):
            _ = corpus.classnames
        with pytest.raises(ValueError, match="no split 'query'; splits: test, train, val"):
            datasets.load("features:clip", "query")
        monkeypatch.setenv("WORKBOOK_DEV", "1")
        assert len(datasets.load("features:clip", "test")) == 3

    def test_flat_folder_is_no_training_set(self, flat, monkeypatch):
        with pytest.raises(ValueError, match="has no splits and is read as 'test'.*train_features.npy"):
            datasets.load("features:clip", "train")
        (flat / "image_features.npy").rename(flat / "test_features.npy")
        monkeypatch.setenv("WORKBOOK_DEV", "1")
        with pytest.raises(ValueError, match=r"no split 'val' \(--dev reads 'val' in place of 'test'\); splits: test"):
            datasets.load("features:clip", "test")

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("labels", np.arange(5) % 2, "labels.npy has 5 entries, the image features have 6 rows"),
            ("labels", np.array([0, 1, 2, 0, 1, 0]), "label 2 is out of range: there are 2 class names"),
            ("labels", np.array([0, 1, -1, 0, 1, 0]), "label -1 is out of range"),
            ("labels", np.zeros(6), "must be integers"),
            ("labels", np.zeros((6, 1), int), "must be integers"),
            ("image_features", np.ones((6, 4, 1)), r"must be floats \[N, D\], not float64 \[6, 4, 1\]"),
            ("image_features", np.ones((6, 4), int), "must be floats"),
            ("image_features", np.array([["a"] * 4] * 6, object), "no readable array"),
            (
                "image_features",
                np.where(np.eye(6, 4) > 0, np.nan, 1),
                "NaN or infinite values in 4 rows, first in row 0",
            ),
            ("image_features", np.full((6, 4), np.inf, np.float16), "NaN or infinite values in 6 rows"),
            ("text_features", np.ones((6, 5)), "text features have 5 dimensions, image features 4"),
            ("text_features", np.ones((3, 4)), "3 rows of text features fit neither 6 images nor the class names"),
        ],
    )
    def test_each_mistake_is_one_line(self, flat, name, value, message):
        array(flat, name, value)
        with pytest.raises(ValueError, match=message) as caught:
            datasets.load("features:clip", "test")
        assert "\n" not in str(caught.value) and str(caught.value).startswith("features:clip")

    def test_missing_folder_field_and_truncated_file(self, flat):
        with pytest.raises(FileNotFoundError, match="there is no folder"):
            datasets.load("features:clap", "test")
        with pytest.raises(ValueError, match="no field 'domain'; fields: image_features"):
            datasets.load("features:clip", "test", fields=("image", "domain"))
        file = flat / "image_features.npy"
        file.write_bytes(file.read_bytes()[:-3])
        with pytest.raises(ValueError, match="image_features.npy is no readable array"):
            datasets.load("features:clip", "test")


@pytest.mark.real
def test_probes_on_food101(real):
    """OpenAI ViT-B/32 features of 10 Food-101 classes: ridge probe 98.4 %, nearest neighbour 97.2 % (measured once)."""
    folder = real / "features" / "food101-vitb32"
    train, test = (datasets.load(f"features:{folder}", split, fields=("image", "label")) for split in ("train", "test"))
    assert (len(train), len(test)) == (2000, 500) and train.image_features.dtype == np.float32
    known, asked = (features.images(None, corpus).astype(np.float64) for corpus in (train, test))
    nearest = train.label[(asked @ known.T).argmax(axis=1)]
    assert np.mean(nearest == test.label) == pytest.approx(0.972, abs=1e-3)
    targets = np.eye(10)[train.label] - 0.1
    weights = np.linalg.solve(known.T @ known + np.eye(512), known.T @ targets)  # ridge of strength 1
    assert np.mean((asked @ weights).argmax(axis=1) == test.label) == pytest.approx(0.984, abs=2e-3)
