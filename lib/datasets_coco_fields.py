"""Boxes, semantic and panoptic masks of lib.datasets_coco: what the annotations say, as fields.

Each of `add_boxes`, `add_semantic` and `add_panoptic` adds to `fields` (name -> function that reads it) and returns the
files read. `photos` is name -> path, in the order of the examples.
"""

import re
from pathlib import Path

import numpy as np

from lib.datasets_public import Arrays, read_labels, subfolders

UNLABELLED = 255  # in `sem`


class Classes:
    """Category ids in order, their names, `index` id -> position, ids of things, and ids as YOLO counts them."""

    def __init__(self, read: dict, lines: Path | None):
        entries = {}
        for _, categories in read.values():
            for entry in categories:
                if entries.setdefault(entry["id"], entry)["name"] != entry["name"]:
                    raise ValueError(
                        f"category {entry['id']} is both '{entries[entry['id']]['name']}' and '{entry['name']}'"
                    )
                entries[entry["id"]] = {**entries[entry["id"]], **entry}
        given = lines.read_text().strip().splitlines() if lines else []
        if not entries:
            entries = {i + 1: {"name": line.strip()} for i, line in enumerate(given)}
        self.ids = sorted(entries)
        self.names = [entries[i]["name"] for i in self.ids]
        self.index = {category: i for i, category in enumerate(self.ids)}
        self.things = [i for i in self.ids if entries[i].get("isthing", 1)]
        self.counted = self.things
        if given:
            by_name = {entries[i]["name"]: i for i in self.ids}
            if unknown := [line for line in given if line.strip() not in by_name]:
                raise ValueError(f"{lines}: '{unknown[0]}' is no category of the JSON files")
            self.counted = [by_name[line.strip()] for line in given]

    def at(self, category, where) -> int:
        if category not in self.index:
            raise ValueError(
                f"{where}: category {category} is not among the {len(self.ids)} known: add it, or its name"
            )
        return self.index[category]


def first(*folders: Path) -> Path | None:
    return next((folder for folder in folders if folder.is_dir()), None)


def _companions(path: Path, split: str, *kinds: str) -> Path | None:
    """Folder of files that go with the photos: KIND/<split>*, else KIND."""
    for kind in kinds:
        inner = subfolders(path / kind) if (path / kind).is_dir() else []
        if found := first(*(path / kind / f for f in inner if re.fullmatch(rf"{split}\d*", f)), path / kind):
            return found
    return None


def values_of(path: Path, annotations: list[dict], key: str) -> list:
    """The value of `key` of each annotation; ValueError names the file and the annotation without it."""
    for annotation in annotations:
        if key not in annotation:
            raise ValueError(f"{path}: annotation {annotation.get('id', annotation)} has no '{key}'")
    return [annotation[key] for annotation in annotations]


def add_boxes(fields, path, split, photos, read, source, classes) -> list[Path]:
    folder, yolo = _companions(path, split, "labels", "boxes_yolo"), {}
    if read:
        objects = {file: [a for a in read[0][file][1] if not a.get("iscrowd")] for file in photos}

        def found(file):
            ids = values_of(source, objects[file], "category_id")
            labels = np.array([classes.at(i, source) for i in ids], np.int64)
            return _xyxy(source, read[0][file][0], objects[file]), labels

        fields["region"] = lambda: Arrays(list(photos), lambda f: _regions(source, read[0][f][0], objects[f]))
        fields["inst"] = lambda: Arrays(list(photos), lambda f: _stack(_regions(source, read[0][f][0], objects[f])))
    elif folder:
        texts = {file: folder / f"{Path(file).stem}.txt" for file in photos}
        yolo = {file: text for file, text in texts.items() if text.is_file()}
        if not yolo:
            raise ValueError(f"{folder} has no file for any photo: expected {next(iter(texts.values())).name}, ...")
        if not classes.names:
            raise ValueError(f"{folder} holds class numbers, and no file says their names: write {path}/classnames.txt")

        def found(file):
            return _yolo(yolo.get(file), classes)

        for field in ("region", "inst"):  # of the panoptic things, which are not in the order of these boxes
            fields.pop(field, None)
    else:
        return []
    fields["boxes"] = lambda: [found(file)[0] for file in photos]
    fields["box_labels"] = lambda: [found(file)[1] for file in photos]
    fields["phrases"] = lambda: [[classes.names[i] for i in found(file)[1]] for file in photos]
    return list(yolo.values())


def _xyxy(source: Path, image: dict, annotations: list[dict]) -> np.ndarray:
    """COCO boxes (x, y, width, height in pixels) as f32 [n,4] in [0,1]."""
    width, height = values_of(source, [image], "width")[0], values_of(source, [image], "height")[0]
    boxes = np.array(values_of(source, annotations, "bbox"), np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    boxes /= (width, height) * 2
    return _checked(boxes, [f"{source}: annotation {a.get('id')}" for a in annotations])


def _yolo(path: Path | None, classes: Classes) -> tuple[np.ndarray, np.ndarray]:
    """Boxes f32 [n,4] xyxy and class indices i64 [n] of one file of lines "class cx cy w h"."""
    boxes, labels, where = [], [], []
    for number, line in enumerate(path.read_text().splitlines() if path else (), 1):
        if not line.strip():
            continue
        where.append(f"{path}:{number}")
        try:
            label, x, y, width, height = (float(part) for part in line.split())
        except ValueError:
            raise ValueError(f"{where[-1]}: '{line[:60]}' is not 'class cx cy width height': mend this line") from None
        if label not in range(len(classes.counted)):
            raise ValueError(
                f"{where[-1]}: class {label:g} is not among the {len(classes.counted)} known: add its name"
            )
        boxes.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
        labels.append(classes.index[classes.counted[int(label)]])
    return _checked(np.array(boxes, np.float64).reshape(-1, 4), where), np.array(labels, np.int64)


def _checked(boxes: np.ndarray, where: list[str]) -> np.ndarray:
    """Boxes clipped to [0,1]; ValueError for one that is 2 % and more outside of the photo, or turned inside out."""
    inside = (boxes > -0.02).all(axis=1) & (boxes < 1.02).all(axis=1) & (boxes[:, :2] <= boxes[:, 2:]).all(axis=1)
    if not inside.all():
        bad = int(np.argmin(inside))
        raise ValueError(
            f"{where[bad]}: box {boxes[bad].round(3).tolist()} (xyxy) is not in the photo: mend or remove it"
        )
    return boxes.clip(0, 1).astype(np.float32)


def _regions(source: Path, image: dict, annotations: list[dict]) -> np.ndarray:
    """Masks bool [n,H,W] of polygons or run lengths."""
    from PIL import Image, ImageDraw

    width, height = image["width"], image["height"]
    masks = np.zeros((len(annotations), height, width), bool)
    for mask, annotation, shape in zip(masks, annotations, values_of(source, annotations, "segmentation")):
        try:
            if isinstance(shape, dict):
                counts = shape["counts"]
                counts = _runs(counts) if isinstance(counts, str) else counts
                mask[:] = np.repeat(np.arange(len(counts)) % 2 > 0, counts).reshape(width, height).T
            else:
                canvas = Image.new("1", (5 * width, 5 * height))  # Pillow fills what an outline touches: draw it finer
                for polygon in shape:
                    ImageDraw.Draw(canvas).polygon([5 * c - 0.5 for c in polygon], fill=1)
                mask[:] = np.array(canvas)[2::5, 2::5]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{source}: annotation {annotation.get('id')} has a damaged segmentation ({error})"
            ) from None
    return masks


def _runs(text: str) -> list[int]:
    """Run lengths of COCO's compressed text: six bits a character from "0" on, differences to the run before last."""
    counts, value, shift = [], 0, 0
    for code in (ord(character) - 48 for character in text):
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            value -= (1 << shift) if code & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value, shift = 0, 0
    return counts


def _stack(regions: np.ndarray) -> np.ndarray:
    """u16 [H,W]: 0 ground, i+1 on regions[i], small ones over large ones."""
    inst = np.zeros(regions.shape[1:], np.uint16)
    for i in np.argsort(-regions.sum(axis=(1, 2)), kind="stable"):
        inst[regions[i]] = i + 1
    return inst


def add_semantic(fields, path, split, photos, classes) -> list[Path]:
    folder = _companions(path, split, "semantic")
    if not folder:
        return []
    files = _masks_of(folder, {file: f"{Path(file).stem}.png" for file in photos})

    def semantic(file):
        values = read_labels(files[file], photos[file])
        if values.ndim != 2:
            raise ValueError(f"{files[file]} is in colour: save it as category ids (8 bit grey or palette)")
        return _indices(values, classes, files[file])

    if not classes.names:
        raise ValueError(f"{folder} holds class numbers, and no file says their names: write {path}/classnames.txt")
    fields["sem"] = lambda: Arrays(list(photos), semantic)
    return list(files.values())


def _indices(values: np.ndarray, classes: Classes, where) -> np.ndarray:
    """Category ids as indices into the class names, u8, UNLABELLED for ids 0 and 255 that are no category."""
    if len(classes.ids) > UNLABELLED:
        raise ValueError(f"{where}: `sem` has room for {UNLABELLED} classes, there are {len(classes.ids)}")
    found, inverse = np.unique(values, return_inverse=True)
    unlabelled = {0, 255} - set(classes.ids)
    table = [UNLABELLED if v in unlabelled else classes.at(v, where) for v in found.tolist()]
    return np.array(table, np.uint8)[inverse].reshape(values.shape)


def add_panoptic(fields, path, split, photos, read, source, classes) -> list[Path]:
    if not read:
        return []
    for file in photos:
        if len(read[0][file][1]) != 1:
            raise ValueError(f"{source} has {len(read[0][file][1])} annotations of {file}, not one: fetch it again")
    folder = first(source.with_suffix("")) or _companions(path, split, "panoptic")
    if not folder:
        raise ValueError(f"{source} needs its masks: put NAME.png into {source.with_suffix('')}/ or {path}/panoptic/")
    annotations = {file: read[0][file][1][0] for file in photos}
    segments = {file: values_of(source, [a], "segments_info")[0] for file, a in annotations.items()}
    files = _masks_of(folder, {file: values_of(source, [a], "file_name")[0] for file, a in annotations.items()})

    def panoptic(file, wanted=None):
        values = read_labels(files[file], photos[file]).astype(np.int64)
        if values.ndim != 3:
            raise ValueError(f"{files[file]} is not in colour: segment ids are red + 256 green + 65536 blue")
        found, inverse = np.unique(values[..., :3] @ (1, 256, 65536), return_inverse=True)
        rows = {0: 0} | {segment["id"]: i + 1 for i, segment in enumerate(segments[file])}
        if unknown := set(found.tolist()) - set(rows):
            raise ValueError(
                f"{files[file]} has segment {min(unknown)}, which {source.name} does not: fetch both again"
            )
        return np.array([rows[v] for v in found.tolist()], np.uint16)[inverse].reshape(values.shape[:2])

    def ids(file):
        return [0] + [segment["category_id"] for segment in segments[file]]

    def labels():
        return [np.array([classes.at(i, source) for i in ids(file)[1:]], np.int64) for file in photos]

    def objects(file):  # rows of `segments` that are things
        return [i for i, s in enumerate(segments[file]) if s["category_id"] in things and not s.get("iscrowd")]

    def regions(file):
        rows = np.array(objects(file), int).reshape(-1, 1, 1)
        return panoptic(file)[None] == rows + 1

    things = set(classes.things)
    fields["panoptic"] = lambda: Arrays(list(photos), panoptic)
    fields["segment_labels"] = labels
    fields["sem"] = lambda: Arrays(list(photos), lambda f: _indices(np.array(ids(f))[panoptic(f)], classes, files[f]))
    things_of = {file: [segments[file][i] for i in objects(file)] for file in photos}
    fields["boxes"] = lambda: [_xyxy(source, read[0][file][0], things_of[file]) for file in photos]
    fields["box_labels"] = lambda: [
        np.array([row[i] for i in objects(f)], np.int64) for f, row in zip(photos, labels())
    ]
    fields["phrases"] = lambda: [[classes.names[row[i]] for i in objects(f)] for f, row in zip(photos, labels())]
    fields["region"] = lambda: Arrays(list(photos), regions)
    fields["inst"] = lambda: Arrays(list(photos), lambda f: _stack(regions(f)))
    return list(files.values())


def _masks_of(folder: Path, names: dict[str, str]) -> dict[str, Path]:
    there = {file.name for file in folder.iterdir()}
    if missing := [name for name in names.values() if name not in there]:
        raise ValueError(
            f"{folder} lacks {missing[0]} ({len(missing)} of {len(names)} masks): add it, or remove its photo"
        )
    return {file: folder / name for file, name in names.items()}
