"""Class folders and COCO-style sets: made here, and the small real ones in the folder named by WORKBOOK_REAL."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lib
from lib import datasets, features

pytestmark = pytest.mark.usefixtures("workspace")


def photo(path: Path, size=(24, 16), seed=0) -> np.ndarray:
    """Write noise as a picture (width, height) and return it as [H, W, 3]."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def grey(path: Path, values) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)


def load(source: str, path: Path, split="test", **more):
    return datasets.load(f"{source}:{path}", split, **more)


# Class folders


@pytest.fixture
def classes(tmp_path) -> Path:
    """cup/ with two photos of different sizes, ice_cream/ with one."""
    root = tmp_path / "things"
    photo(root / "ice_cream" / "0.png", seed=1)
    photo(root / "cup" / "b.png", (9, 30), seed=2)
    photo(root / "cup" / "a.png", seed=3)
    return root


def test_folder_fields(classes):
    corpus = load("folder", classes)
    assert corpus.fields == ["file", "image", "label"] and corpus.classnames == ["cup", "ice cream"]
    assert corpus.file == ["cup/a.png", "cup/b.png", "ice_cream/0.png"]
    assert corpus.label.tolist() == [0, 0, 1] and corpus.label.dtype == np.int64
    assert [image.shape for image in corpus.image] == [(16, 24, 3), (30, 9, 3), (16, 24, 3)]
    again = np.random.default_rng(2).integers(0, 256, (30, 9, 3), np.uint8)
    assert np.array_equal(corpus.image[1], again) and corpus.image[1].dtype == np.uint8


def test_pictures_are_read_singly_and_in_lists(classes):
    image = load("folder", classes).image
    assert isinstance(image[0:2], list) and len(image[np.array([2, 0])]) == 2
    assert len(image[np.array([False, True, False])]) == 1 and np.array_equal(image[-1], image[2])


def test_take_and_limit(classes):
    corpus = load("folder", classes)
    some = corpus.take([2, 1])
    assert some.label.tolist() == [1, 0] and some.identity != corpus.identity
    assert np.array_equal(some.image[0], corpus.image[2]) and isinstance(some.image[:1], list)
    assert load("folder", classes, limit=1).file == ["cup/a.png"]


def test_features_of_photos_of_all_sizes(classes, tiny_encoder):
    found = features.images(tiny_encoder, load("folder", classes))
    assert found.shape == (3, tiny_encoder.dim) and np.isfinite(found).all()


def test_absent_field_lists_those_there(classes):
    with pytest.raises(AttributeError, match=r"has no field 'captions'; fields: file, image, label"):
        _ = load("folder", classes).captions
    with pytest.raises(ValueError, match="has no field 'boxes'; fields: file, image, label"):
        load("folder", classes, fields=("image", "boxes"))
    with pytest.raises(ValueError, match="has no field 'captions'"):
        load("folder", classes, fields=tuple(["image", "captions"]))


def test_splits_share_the_labels(tmp_path):
    root = tmp_path / "set"
    for part, name in [("train", "ant"), ("train", "bee"), ("val", "bee"), ("test", "cat")]:
        photo(root / part / name / "0.png")
    corpora = [load("folder", root, split) for split in ("train", "val", "test")]
    assert [c.label.tolist() for c in corpora] == [[0, 1], [1], [2]]
    assert all(c.classnames == ["ant", "bee", "cat"] for c in corpora)
    assert len({c.identity for c in corpora}) == 3
    shutil.rmtree(root / "test")
    with pytest.raises(ValueError, match="has no split 'test'; splits: train, val"):
        load("folder", root)


def test_a_class_called_train_is_a_class(tmp_path):
    for name in ("train", "bus"):
        photo(tmp_path / "vehicles" / name / "0.png")
    assert load("folder", tmp_path / "vehicles").classnames == ["bus", "train"]


def test_dev_reads_val(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_DEV", "1")
    photo(tmp_path / "set" / "train" / "ant" / "0.png")
    photo(tmp_path / "set" / "val" / "ant" / "0.png")
    assert load("folder", tmp_path / "set").split == "val"


@pytest.mark.parametrize(
    "text, names",
    [
        ("Ice Cream\ncup\n", ["Ice Cream", "cup"]),
        ("ice_cream gelato\ncup tea cup\n", ["gelato", "tea cup"]),
    ],
)
def test_classnames_give_order_and_names(classes, text, names):
    before = load("folder", classes).identity
    (classes / "classnames.txt").write_text(text)
    corpus = load("folder", classes)
    assert corpus.classnames == names and corpus.file[0].startswith("ice_cream") and corpus.identity != before


@pytest.mark.parametrize(
    "text, message",
    [
        ("cup\n", "leaves out the class folder 'ice_cream'"),
        ("cup\nmug\nice_cream\n", r"classnames.txt:2: 'mug' names no class folder"),
        ("cup\ncup\nice_cream\n", r"classnames.txt:2: class folder 'cup' comes twice"),
    ],
)
def test_classnames_that_do_not_fit(classes, text, message):
    (classes / "classnames.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        load("folder", classes)


def test_photos_without_classes(tmp_path):
    photo(tmp_path / "set" / "0.png")
    corpus = load("folder", tmp_path / "set")
    assert corpus.fields == ["file", "image"]
    with pytest.raises(AttributeError, match="has no class names"):
        _ = corpus.classnames


def test_folders_that_are_not_there_or_empty(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        load("folder", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no photos"):
        load("folder", tmp_path / "empty")
    with pytest.raises(ValueError, match="has no photos at all"):
        load("coco", tmp_path / "empty")
    with pytest.raises(ValueError, match="data source 'imagenet:' does not exist; .*'folder:DIR' and 'coco:DIR'"):
        load("imagenet", tmp_path)


@pytest.mark.parametrize("damage, message", [(b"", "not an image"), (b"hello", "not an image"), (None, "truncated")])
def test_damaged_photo_is_named(classes, damage, message):
    path = classes / "cup" / "a.png"
    photo(path.with_suffix(".jpg"), (64, 64))
    path.unlink()
    path = path.with_suffix(".jpg")
    path.write_bytes(path.read_bytes()[:-900] if damage is None else damage)
    corpus = load("folder", classes)
    with pytest.raises(ValueError, match=f"a.jpg is damaged .*{message}.*: fetch it again, or remove it") as error:
        corpus.image[0]
    assert "\n" not in str(error.value)


def test_pictures_of_other_modes(classes):
    Image.fromarray(np.full((4, 5), 7, np.uint8)).save(classes / "cup" / "a.png")
    assert load("folder", classes).image[0].tolist() == np.full((4, 5, 3), 7).tolist()
    Image.fromarray(np.full((4, 5), 700, np.uint16)).save(classes / "cup" / "a.png")
    with pytest.raises(ValueError, match="a.png has pixels of type I;16: convert it to 8 bits"):
        _ = load("folder", classes).image[0]


def test_masks_beside_jpegs(tmp_path):
    root = tmp_path / "tiles"
    for name in ("crack", "free"):
        photo(root / name / "0.jpg")
        photo(root / name / "1.jpg")
    mask = np.zeros((16, 24))
    mask[2, 3], mask[2, 4] = 255, 100
    grey(root / "crack" / "0.png", mask)
    grey(root / "crack" / "1.png", mask > 200)  # a mask of 0 and 1
    corpus = load("folder", root)
    assert len(corpus) == 4 and corpus.anomalous.tolist() == [True, True, False, False]
    assert [m.sum() for m in corpus.mask] == [1, 1, 0, 0] and corpus.mask[0][2, 3] and corpus.mask[2].shape == (16, 24)
    assert [m.sum() for m in corpus.take([3, 1]).mask] == [0, 1]
    (root / "crack" / "1.png").unlink()
    with pytest.raises(ValueError, match="1 of 2 photos in .*crack have no mask, first 1.jpg"):
        load("folder", root)
    grey(root / "crack" / "1.png", np.zeros((3, 3)))
    with pytest.raises(ValueError, match="1.png is 3 x 3, its photo 1.jpg 24 x 16"):
        _ = load("folder", root).mask[1]


def test_masks_in_the_manner_of_mvtec(tmp_path):
    root = tmp_path / "bottle"
    for part, name in [("train", "good"), ("test", "good"), ("test", "broken")]:
        photo(root / part / name / "000.png")
    grey(root / "ground_truth" / "broken" / "000_mask.png", np.eye(16, 24) * 255)
    corpus = load("folder", root)
    assert corpus.classnames == ["broken", "good"] and corpus.anomalous.tolist() == [True, False]
    assert corpus.mask[0].sum() == 16 and "mask" not in load("folder", root, "train").fields


def test_identity_is_of_names_and_contents(classes, tmp_path):
    first = load("folder", classes).identity
    notes = list((lib.out() / ".cache" / "digests").iterdir())
    assert load("folder", classes).identity == first and len(notes) == 1
    copy = tmp_path / "copy" / "things"
    shutil.copytree(classes, copy)
    assert load("folder", copy).identity == first  # wherever it lies
    photo(classes / "cup" / "a.png", seed=9)
    changed = load("folder", classes).identity
    (copy / "cup" / "a.png").rename(copy / "cup" / "c.png")
    assert len({first, changed, load("folder", copy).identity}) == 3
    for note in (lib.out() / ".cache" / "digests").iterdir():
        note.write_text("cut off")
    assert load("folder", classes).identity == changed


# COCO-style sets


CATEGORIES = [
    {"id": 1, "name": "person", "isthing": 1},
    {"id": 3, "name": "car", "isthing": 1},
    {"id": 90, "name": "grass", "isthing": 0},
]


def coco_json(path: Path, annotations, images=("a.png", "b.png"), **more) -> None:
    listed = [{"id": i + 10, "file_name": name, "width": 24, "height": 16} for i, name in enumerate(images)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": listed, "annotations": annotations, **more}))


def box(image, category, xywh, **more) -> dict:
    x, y, w, h = xywh
    polygon = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    return {"id": 5, "image_id": image, "category_id": category, "bbox": xywh, "segmentation": polygon, **more}


@pytest.fixture
def val(tmp_path) -> Path:
    """The layout of COCO: val2017/ with two photos, and annotations/ with captions and instances."""
    root = tmp_path / "coco"
    photo(root / "val2017" / "a.png", seed=1)
    photo(root / "val2017" / "b.png", seed=2)
    said = [(11, "two"), (10, "one"), (10, "uno")]
    captions = [{"id": i, "image_id": image, "caption": text} for i, (image, text) in enumerate(said)]
    coco_json(root / "annotations" / "captions_val2017.json", captions)
    runs = {"counts": [5, 3, 24 * 16 - 8], "size": [16, 24]}
    found = [
        box(10, 3, [6, 4, 12, 8]),
        box(10, 1, [8, 6, 2, 2]),
        box(10, 1, [0, 0, 24, 16], iscrowd=1),
        box(11, 1, [0, 0, 1, 16], segmentation=runs),
    ]
    coco_json(root / "annotations" / "instances_val2017.json", found, categories=CATEGORIES[1::-1])
    return root


def test_coco_layout(val):
    corpus = load("coco", val, "val")
    assert corpus.fields == ["box_labels", "boxes", "captions", "file", "image", "inst", "phrases", "region"]
    assert corpus.captions == [["one", "uno"], ["two"]] and corpus.classnames == ["person", "car"]
    assert corpus.boxes[0].dtype == np.float32
    np.testing.assert_allclose(corpus.boxes[0], [[0.25, 0.25, 0.75, 0.75], [1 / 3, 0.375, 5 / 12, 0.5]], rtol=1e-6)
    assert corpus.phrases == [["car", "person"], ["person"]] and corpus.box_labels[0].tolist() == [1, 0]
    region, inst = corpus.region[0], corpus.inst[0]
    assert region.shape == (2, 16, 24) and region[0, 4:12, 6:18].all() and region[0].sum() == 96
    assert (inst == 2).sum() == region[1].sum() == 4 and (inst == 1).sum() == 92
    assert np.argwhere(corpus.region[1][0]).tolist() == [[5, 0], [6, 0], [7, 0]]  # run lengths go down the columns
    with pytest.raises(ValueError, match="has no split 'test'; splits: val"):
        load("coco", val)
    with pytest.raises(ValueError, match="has no field 'sem'; fields: box_labels"):
        load("coco", val, "val", fields=("image", "sem"))


RUNS = "Q1;500000000IL2450000000000000000000000o1"  # pycocotools 2.0.11, mask.encode of `expected`


def test_compressed_run_lengths(val):
    path = val / "annotations" / "instances_val2017.json"
    coco_json(path, [box(10, 1, [0, 0, 1, 1], segmentation={"counts": RUNS, "size": [16, 24]})], categories=CATEGORIES)
    expected = np.zeros((16, 24), bool)
    expected[1:12, 2:20] = True
    expected[5, 7] = False
    assert np.array_equal(load("coco", val, "val").region[0][0], expected)


def edit(path: Path, change) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    "file, change, field, message",
    [
        ("captions", lambda v: v.pop("images"), None, "has no list 'images': it is not in the layout of COCO"),
        ("captions", lambda v: v["annotations"][0].pop("caption"), None, "annotation 0 has no 'caption'"),
        ("captions", lambda v: v["annotations"][0].update(image_id=7), None, "is of image 7, which 'images' does not"),
        ("instances", lambda v: v["annotations"][0].pop("bbox"), "boxes", "annotation 5 has no 'bbox'"),
        (
            "instances",
            lambda v: v["annotations"][0].update(bbox=[20, 0, 9, 9]),
            "boxes",
            "annotation 5: box .* is not in",
        ),
        (
            "instances",
            lambda v: v["annotations"][0].update(category_id=44),
            "box_labels",
            "category 44 is not among the 2",
        ),
        (
            "instances",
            lambda v: v["annotations"][0].update(segmentation={"counts": [3]}),
            "region",
            "a damaged segment",
        ),
    ],
)
def test_bad_annotations_are_named(val, file, change, field, message):
    edit(val / "annotations" / f"{file}_val2017.json", change)
    with pytest.raises(ValueError, match=rf"{file}_val2017.json.*{message}"):
        getattr(load("coco", val, "val"), field)[0]


def test_broken_json_is_named(val):
    path = val / "annotations" / "captions_val2017.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match="captions_val2017.json is no readable JSON .*: fetch it again"):
        load("coco", val, "val")


def test_photos_that_are_missing_are_counted(val):
    (val / "val2017" / "a.png").unlink()
    with pytest.warns(UserWarning, match="1 of 2 photos listed in .*_val2017.json are left out"):
        corpus = load("coco", val, "val")
    assert corpus.captions == [["two"]] and corpus.phrases == [["person"]]
    (val / "val2017" / "b.png").rename(val / "val2017" / "c.png")
    with pytest.raises(ValueError, match="has no photos that captions_val2017.json and instances_val2017.json list"):
        load("coco", val, "val")


def panoptic(root: Path) -> np.ndarray:
    """Add panoptic masks to both photos: segment 300 a car, 70000 grass, the last row unlabelled."""
    ids = np.full((16, 24), 70000)
    ids[2:4, 3:9], ids[-1] = 300, 0
    colours = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
    segments = [
        {"id": 70000, "category_id": 90, "bbox": [0, 0, 24, 15]},
        {"id": 300, "category_id": 3, "bbox": [3, 2, 6, 2], "iscrowd": 0},
    ]
    entries = []
    for image, name in [(10, "a.png"), (11, "b.png")]:
        (root / "panoptic").mkdir(exist_ok=True)
        Image.fromarray(colours).save(root / "panoptic" / name)
        entries.append({"image_id": image, "file_name": name, "segments_info": segments})
    coco_json(root / "panoptic_val2017.json", entries, categories=CATEGORIES)
    return ids


def test_panoptic_masks(val):
    shutil.rmtree(val / "annotations")
    ids = panoptic(val)
    corpus = load("coco", val, "val")
    assert corpus.classnames == ["person", "car", "grass"] and corpus.segment_labels[1].tolist() == [2, 1]
    assert np.array_equal(corpus.panoptic[0], np.select([ids == 70000, ids == 300], [1, 2]))
    assert np.array_equal(corpus.sem[0], np.select([ids == 70000, ids == 300], [2, 1], 255))
    assert corpus.phrases == [["car"], ["car"]] and np.array_equal(corpus.inst[0], ids == 300)
    np.testing.assert_allclose(corpus.boxes[0], [[0.125, 0.125, 0.375, 0.25]])
    edit(val / "panoptic_val2017.json", lambda v: v["annotations"][0]["segments_info"].pop())
    with pytest.raises(ValueError, match="a.png has segment 300, which panoptic_val2017.json does not"):
        _ = load("coco", val, "val").panoptic[0]
    (val / "panoptic" / "b.png").unlink()
    with pytest.raises(ValueError, match=r"panoptic lacks b.png \(1 of 2 masks\): add it, or remove its photo"):
        load("coco", val, "val")


def test_semantic_masks_and_yolo_boxes(val):
    shutil.rmtree(val / "annotations")
    panoptic(val)
    for name in ("a", "b"):
        grey(val / "semantic" / f"{name}.png", np.repeat([[0], [1], [3], [90]], 24, 1).repeat(4, 0))
    (val / "labels").mkdir()
    (val / "labels" / "a.txt").write_text("1 0.5 0.5 0.5 0.25\n\n0 0.9 0.5 0.21 1\n")
    corpus = load("coco", val, "val")
    assert corpus.sem[0][::4, 0].tolist() == [255, 0, 1, 2] and "inst" not in corpus.fields
    assert corpus.phrases == [["car", "person"], []] and corpus.boxes[1].shape == (0, 4)
    np.testing.assert_allclose(corpus.boxes[0], [[0.25, 0.375, 0.75, 0.625], [0.795, 0, 1, 1]], rtol=1e-6)
    grey(val / "semantic" / "a.png", np.full((16, 24), 7))
    with pytest.raises(ValueError, match="a.png: category 7 is not among the 3 known"):
        _ = load("coco", val, "val").sem[0]


@pytest.mark.parametrize(
    "text, message",
    [
        ("0 0.5 0.5 0.5\n", r"a.txt:1: '0 0.5 0.5 0.5' is not 'class cx cy width height'"),
        ("0 .5 .5 .1 .1\n2 .5 .5 .1 .1\n", r"a.txt:2: class 2 is not among the 2 known"),
        ("0 1 0.5 0.5 0.5\n", r"a.txt:1: box \[0.75, 0.25, 1.25, 0.75\] \(xyxy\) is not in the photo"),
        ("0 nan 0.5 0.5 0.5\n", r"a.txt:1: box .*nan"),
    ],
)
def test_bad_yolo_lines_are_named(tmp_path, text, message):
    photo(tmp_path / "set" / "images" / "a.png")
    (tmp_path / "set" / "labels").mkdir()
    (tmp_path / "set" / "labels" / "a.txt").write_text(text)
    with pytest.raises(ValueError, match="no file says their names: write .*classnames.txt"):
        load("coco", tmp_path / "set")
    (tmp_path / "set" / "classnames.txt").write_text("dog\ncat\n")
    with pytest.raises(ValueError, match=message):
        _ = load("coco", tmp_path / "set").boxes


@pytest.mark.parametrize(
    "text",
    [
        'image,caption\na.png,a dog\nb.png,"a cat, grey"\na.png,a hound\n',
        "|query_id|query_text|image\n0|a#0|a dog|a.png\n1|b#0|a cat, grey|b.png\n2|a#1|a hound|a.png\n",
        "image_name| comment_number| comment\na.png| 0| a dog\nb.png| 0| a cat, grey\na.png| 1| a hound\n",
    ],
)
def test_caption_tables(tmp_path, text):
    for name in "abc":
        photo(tmp_path / "set" / f"{name}.png")
    (tmp_path / "set" / "captions.csv").write_text(text)
    corpus = load("coco", tmp_path / "set")
    assert corpus.file == ["a.png", "b.png"] and corpus.captions == [["a dog", "a hound"], ["a cat, grey"]]
    (tmp_path / "set" / "captions.csv").rename(tmp_path / "set" / "captions_train.csv")
    assert load("coco", tmp_path / "set", "train").captions == corpus.captions
    (tmp_path / "set" / "captions_train.csv").write_text(text + "c.png\n")
    with pytest.raises(ValueError, match=r"captions_train.csv:5: 1 columns, not \d: mend this line"):
        load("coco", tmp_path / "set", "train")
    (tmp_path / "set" / "captions_train.csv").write_text("image,stars\n")
    with pytest.raises(ValueError, match="no caption column: name it 'caption'"):
        load("coco", tmp_path / "set", "train")


def test_karpathy_splits(tmp_path):
    root, entries = tmp_path / "coco", []
    for i, (split, folder) in enumerate([("train", "train2014"), ("restval", "val2014"), ("test", "val2014")]):
        photo(root / folder / f"{i}.png")
        sentences = [{"raw": f"{split} {k}"} for k in range(2)]
        entries.append({"filename": f"{i}.png", "filepath": folder, "split": split, "sentences": sentences})
    (root / "dataset_coco.json").write_text(json.dumps({"images": entries}))
    train, test = load("coco", root, "train"), load("coco", root)
    assert train.captions == [["train 0", "train 1"], ["restval 0", "restval 1"]]
    assert test.file == ["val2014/2.png"] and test.captions == [["test 0", "test 1"]]
    (root / "captions_test.csv").write_text("image,caption\n2.png,x\n")
    with pytest.raises(ValueError, match="has captions for 'test' in captions_test.csv and dataset_coco.json"):
        load("coco", root)


def test_two_lists_for_one_split(val):
    shutil.copy(val / "annotations" / "captions_val2017.json", val / "annotations" / "captions_val2014.json")
    with pytest.raises(ValueError, match="captions_val2014.json and captions_val2017.json both fit split 'val'"):
        load("coco", val, "val")


# Real data


@pytest.mark.real
def test_real_class_folders(real, tiny_encoder):
    corpus = load("folder", real / "images" / "cifar10_folder")
    assert corpus.classnames[:3] == ["airplane", "automobile", "bird"] and len(corpus.classnames) == 10
    assert np.bincount(corpus.label).tolist() == [11] * 10
    assert {image.shape for image in corpus.image} == {(32, 32, 3)}
    assert features.images(tiny_encoder, corpus).shape == (110, tiny_encoder.dim)


@pytest.mark.real
def test_real_masks(real):
    corpus = load("folder", real / "images" / "magnetic_tile")
    assert corpus.classnames == ["MT Blowhole", "MT Crack", "MT Free"] and len(corpus) == 30
    assert np.array_equal(corpus.anomalous, corpus.label != 2)
    for image, mask in zip(corpus.image, corpus.mask):
        assert image.shape[:2] == mask.shape and mask.mean() < 0.05
    assert [corpus.mask[i].sum() for i in (0, 10, 20)] == [109, 1064, 0]


@pytest.mark.real
def test_real_captions(real):
    with pytest.warns(UserWarning, match="80 of 100 photos listed in test_queries.csv"):
        corpus = load("coco", real / "images" / "flickr20")
    assert len(corpus) == 20 and {len(said) for said in corpus.captions} == {5}
    where = corpus.file.index("1177994172_10d143cb8d.jpg")
    assert corpus.captions[where][2] == "Two boys spraying each other with water"
    assert all(image.ndim == 3 for image in corpus.image)


@pytest.mark.real
def test_real_boxes_and_masks(real, tmp_path):
    root = tmp_path / "coco16"
    shutil.copytree(real / "images" / "coco16", root)
    with pytest.warns(UserWarning, match="84 of 100 photos listed in panoptic_val2017.json"):
        corpus = load("coco", root, "val")
    assert len(corpus) == 16 and len(corpus.classnames) == 133
    semantic, boxes, phrases, shapes = list(corpus.sem), corpus.boxes, corpus.phrases, [i.shape for i in corpus.image]
    shutil.rmtree(root / "semantic")
    shutil.rmtree(root / "boxes_yolo")
    with pytest.warns(UserWarning):
        other = load("coco", root, "val")  # the same from the panoptic masks alone
    near = []
    for i in range(16):
        assert np.array_equal(semantic[i], other.sem[i]) and semantic[i].shape == shapes[i][:2]
        for box_here, phrase in zip(boxes[i], phrases[i]):
            same = [b for b, p in zip(other.boxes[i], other.phrases[i]) if p == phrase]
            near.append(any(np.abs(box_here - b).max() < 0.02 for b in same))
        for mask, b in zip(other.region[i], other.boxes[i]):  # the mask of a thing fills its box
            (y, x), (height, width) = np.nonzero(mask), mask.shape
            extent = [x.min() / width, y.min() / height, (x.max() + 1) / width, (y.max() + 1) / height]
            np.testing.assert_allclose(extent, b, atol=1e-6)
    assert all(near) and len(near) == sum(map(len, other.boxes)) == 111
