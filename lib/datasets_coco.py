"""Public data sets in the manner of COCO and Flickr: photos with captions, boxes, semantic and panoptic masks."""

import csv
import json
import re
import warnings
from pathlib import Path

from lib.datasets import Corpus
from lib.datasets_coco_fields import Classes, add_boxes, add_panoptic, add_semantic, first, values_of
from lib.datasets_public import SPLITS, Arrays, check_split, identify, known, photos_in, read_photo, subfolders

JSON_KINDS = ("captions", "instances", "panoptic")  # starts of file names, with the COCO layout
CAPTIONS = ("captions", "table", "dataset")  # kinds of lists that hold captions
IMAGE_COLUMNS = ("image", "image_name", "file_name", "filename", "file")
CAPTION_COLUMNS = ("caption", "caption_text", "sentence", "text", "query_text", "comment")


def coco(path: Path, split: str) -> Corpus:
    """A split of a set whose files are found by name, in DIR and DIR/annotations:

    photos    DIR/images/<split>*, DIR/<split>*, DIR/images or DIR (<split>*: val, val2017, ...)
    captions  captions_<split>*.json, or a table <split>*.csv, captions*.txt, ... with a column of images and one of
              captions, one caption a row, or dataset*.json (Karpathy's splits; "restval" belongs to train)
    boxes     instances_<split>*.json, else YOLO lines "class cx cy w h" in labels/ or boxes_yolo/NAME.txt (no file: no
              box), else the things of the panoptic masks
    masks     semantic/NAME.png (values are category ids, 0 and 255 unlabelled); panoptic_<split>*.json with NAME.png in
              panoptic_<split>*/ or panoptic/
    Splits are those that file and folder names tell; where none does, the set is read as "test". A split has the photos
    that each of its lists names; a warning counts listed photos that are left out, as they are not there.

    Fields, each where there is what it comes from; pictures are Arrays, the rest lists with an entry per photo:
    image u8 [H,W,3]; file str; captions list of str; boxes f32 [n,4] xyxy in [0,1], without crowds; phrases n class
    names and box_labels i64 [n] of the boxes; inst u16 [H,W] (0 ground, i+1 = boxes[i], small over large) and region
    bool [n,H,W], both not with YOLO boxes; sem u8 [H,W] (index into classnames, 255 unlabelled); panoptic u16 [H,W] (0
    unlabelled, i+1 = segment_labels[i]) and segment_labels i64 [n].
    `classnames` are the categories of the JSON files in the order of their ids, else the lines of DIR/classnames.txt
    (YOLO class 0 and mask value 1 come first). YOLO classes count the lines of classnames.txt, else the categories that
    are things.
    """
    name = known(path, "coco")
    lists, place = _lists(path), _image_folders(path)
    there = set(place) | {s for part in lists.values() for file in part for s in _named(file)}
    if karpathy := lists["dataset"]:
        there |= _karpathy(karpathy[0])[0]
    check_split(name, split, there)
    chosen = {kind: _choose(name, files, split) for kind, files in lists.items()}
    if len(several := [file.name for kind in CAPTIONS if (file := chosen[kind])]) > 1:
        raise ValueError(f"{name} has captions for '{split}' in {' and '.join(several)}: leave one of them")
    pool, captions = photos_in(place.get(split) or first(path / "images", path)), None
    read = {kind: _coco_list(chosen[kind]) for kind in JSON_KINDS if chosen[kind]}
    listed = {chosen[kind]: set(entries) for kind, (entries, _) in read.items()}
    if "captions" in read:
        entries = read.pop("captions")[0]
        captions = {file: values_of(chosen["captions"], found, "caption") for file, (_, found) in entries.items()}
    elif chosen["table"]:
        captions = _table(chosen["table"])
        listed[chosen["table"]] = set(captions)
    elif chosen["dataset"]:
        captions, folders = _karpathy(chosen["dataset"], split)[1:]
        listed[chosen["dataset"]] = set(captions)
        pool += [p for f in sorted(folders) for where in (path / f, path / "images" / f) for p in photos_in(where)]
    photos = {photo.name: photo for photo in pool}
    if listed:
        photos = {file: photos[file] for file in sorted(set(photos).intersection(*listed.values()))}
    if not photos:
        told = f"that {' and '.join(file.name for file in listed)} list" if listed else "at all"
        raise ValueError(f"{name} ({split}) has no photos {told}: put them into {path / 'images'}")
    for file, names in listed.items():
        if left := len(names - set(photos)):
            warnings.warn(
                f"{name} ({split}): {left} of {len(names)} photos listed in {file.name} are left out", stacklevel=3
            )

    lines = path / "classnames.txt"
    classes = Classes(read, lines if lines.is_file() else None)
    fields = {
        "image": lambda: Arrays(list(photos.values()), read_photo),
        "file": lambda: [_below(p, path) for p in photos.values()],
    }
    if captions is not None:
        fields["captions"] = lambda: [captions[file] for file in photos]
    sources = [file for file in chosen.values() if file] + [lines] * lines.is_file() + list(photos.values())
    sources += add_panoptic(fields, path, split, photos, read.get("panoptic"), chosen["panoptic"], classes)
    sources += add_semantic(fields, path, split, photos, classes)
    sources += add_boxes(fields, path, split, photos, read.get("instances"), chosen["instances"], classes)
    identity = identify(f"{name}/{split}", path, sources, classes.names)
    return Corpus(name, split, identity, len(photos), fields, classes.names or None)


# What is there: lists and folders by name


def _named(path: Path) -> list[str]:
    """Splits that a file or folder name tells: "captions_val2017" is val."""
    return re.findall(r"(?<![a-z])(train|val|test)(?![a-z])", path.stem.lower())


def _lists(path: Path) -> dict[str, list[Path]]:
    places, found = (path, path / "annotations"), {}
    for kind in (*JSON_KINDS, "dataset"):
        found[kind] = sorted(file for place in places for file in place.glob(f"{kind}*.json"))
    found["table"] = sorted(f for place in places for end in ("*.csv", "captions*.txt") for f in place.glob(end))
    return found


def _choose(name: str, files: list[Path], split: str) -> Path | None:
    """The list that names the split, else the one that names none."""
    fitting = [f for f in files if split in _named(f)] or [f for f in files if not _named(f)]
    if len(fitting) > 1:
        raise ValueError(f"{name}: {' and '.join(f.name for f in fitting)} both fit split '{split}': leave one of them")
    return fitting[0] if fitting else None


def _image_folders(path: Path) -> dict[str, Path]:
    """Split -> its folder of photos."""
    found = {}
    for base in (path / "images", path):
        for folder in subfolders(base) if base.is_dir() else ():
            if (split := re.fullmatch(r"(train|val|test)\d*", folder)) and photos_in(base / folder):
                found.setdefault(split[1], base / folder)
    return found


def _below(file: Path, path: Path) -> str:
    return file.relative_to(path).as_posix()


# Lists


def _json(path: Path) -> dict:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no readable JSON ({error}): fetch it again") from None
    if not isinstance(value, dict) or not isinstance(value.get("images"), list):
        raise ValueError(f"{path} has no list 'images': it is not in the layout of COCO")
    return value


def _coco_list(path: Path) -> tuple[dict, list[dict]]:
    """Photo name -> (its entry, its annotations), and the categories."""
    value = _json(path)
    values_of(path, value["images"], "id")
    files = [Path(file).name for file in values_of(path, value["images"], "file_name")]
    by_id = {entry["id"]: (entry, []) for entry in value["images"]}
    annotations = value.get("annotations", [])
    for annotation, image in zip(annotations, values_of(path, annotations, "image_id")):
        if image not in by_id:
            raise ValueError(
                f"{path}: annotation {annotation.get('id')} is of image {image}, which 'images' does not list"
            )
        by_id[image][1].append(annotation)
    return {file: by_id[entry["id"]] for file, entry in zip(files, value["images"])}, value.get("categories", [])


def _karpathy(path: Path, split: str = "") -> tuple[set, dict, set]:
    """Splits there; photo name -> captions of one split, and the folders of its photos."""
    entries = _json(path)["images"]
    splits = [{"restval": "train"}.get(s, s) for s in values_of(path, entries, "split")]
    own = [entry for entry, s in zip(entries, splits) if s == split]
    names, sentences = values_of(path, own, "filename"), values_of(path, own, "sentences")
    captions = {name: values_of(path, said, "raw") for name, said in zip(names, sentences)}
    return set(splits) & set(SPLITS), captions, {entry["filepath"] for entry in own if "filepath" in entry}


def _table(path: Path) -> dict[str, list[str]]:
    """Photo name -> captions, of a table with a line of column names, separated by | , ; or tab."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        header = stream.readline()
        separator = max("|\t,;", key=header.count)
        columns = [column.strip() for column in next(csv.reader([header], delimiter=separator), [])]
        image = next((columns.index(c) for c in IMAGE_COLUMNS if c in columns), None)
        caption = next((columns.index(c) for c in CAPTION_COLUMNS if c in columns), None)
        if image is None or caption is None:
            raise ValueError(
                f"{path} has columns {columns}, but no {'image' if image is None else 'caption'} column: name it "
                f"'{'image' if image is None else 'caption'}', or move a table that holds no captions elsewhere"
            )
        found, rows = {}, csv.reader(stream, delimiter=separator)
        for row in rows:
            if len(row) != len(columns) and row:
                raise ValueError(f"{path}:{rows.line_num + 1}: {len(row)} columns, not {len(columns)}: mend this line")
            if row:
                found.setdefault(Path(row[image].strip()).name, []).append(row[caption].strip())
    return found
