"""Public data sets in class folders, with the typed fields of lib.datasets, and what their adapters share.

`lib.datasets.load("folder:DIR", split)` comes here, "coco:DIR" goes to lib.datasets_coco. Photos keep their own sizes:
fields of pictures are `Arrays`, read from the disk item by item. Stored pixels count, without EXIF rotation, as in the
COCO tools. A damaged file is reported when it is read, with its path.
"""

import concurrent.futures
import contextlib
import hashlib
import os
import struct
from pathlib import Path

import numpy as np

import lib
from lib.datasets import Corpus, Lazy

SPLITS = ("train", "val", "test")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp")


class Arrays(Lazy):
    """A sequence of arrays, each read when it is asked for; a slice or an index array gives a list of arrays."""

    def __getitem__(self, index):
        if isinstance(index, (int, np.integer)):
            return self.parse(self.lines[index])
        return [self.parse(self.lines[row]) for row in np.arange(len(self))[index]]


def folder(path: Path, split: str) -> Corpus:
    """Photos in class folders: DIR/<split>/<class>/*, or DIR/<class>/* without splits, which is read as "test".

    image   u8 [H,W,3] each (Arrays), in the order of classes, then of file names
    file    list of str: paths below DIR
    label   i64 [N], absent where DIR or DIR/<split> holds photos and no class folders
    mask    bool [H,W] each, and anomalous bool [N] (a mask with any pixel set), where there are masks: NAME.png beside
            NAME.jpg, NAME_mask.png beside NAME.*, or DIR/ground_truth/<class>/NAME_mask.png (the layout of MVTec AD).
            A class has masks for all of its photos or for none; then they are empty.
    Class names are the folder names of all splits, sorted, with spaces for underscores. A DIR/classnames.txt gives
    order and names instead: lines "FOLDER" (underscores, spaces and case are one) or "FOLDER class name".
    """
    name = known(path, "folder")
    below = subfolders(path)
    parts = [s for s in SPLITS if s in below and (set(below) <= set(SPLITS) or _holds_classes(path / s))]
    check_split(name, split, parts)
    root = path / split if parts else path
    roots = [path / part for part in parts] or [path]
    folders, classnames = _class_order(path, sorted({c for r in roots for c in subfolders(r)} - {"ground_truth"}))
    masks, labels = {}, []  # masks: photo -> mask or None
    for label, place in enumerate(folders or ["."]):
        pairs = _pair(photos_in(root / place, deep=bool(folders)), path / "ground_truth" / place)
        without = [photo for photo, mask in pairs.items() if mask is None]
        if len(without) not in (0, len(pairs)):
            raise ValueError(
                f"{name}: {len(without)} of {len(pairs)} photos in {root / place} have no mask, first "
                f"{without[0].name}: add its mask, or remove it (a mask needs a photo of the same name)"
            )
        masks |= pairs
        labels += [label] * len(pairs)
    photos = list(masks)
    if not photos:
        raise ValueError(f"{name} has no photos in {root}: put them into {root}/CLASS/ ({' '.join(SUFFIXES)})")
    fields = {
        "image": lambda: Arrays(photos, read_photo),
        "file": lambda: [photo.relative_to(path).as_posix() for photo in photos],
    }
    if folders:
        fields["label"] = lambda: np.array(labels, np.int64)
    there = [mask for mask in masks.values() if mask]
    if there:
        read = Arrays([(photo, masks[photo]) for photo in photos], lambda pair: _mask(*pair))
        fields["mask"] = lambda: read
        fields["anomalous"] = lambda: np.array(
            [mask is not None and _mask(p, mask).any() for p, mask in read.lines], bool
        )
    extra = [path / "classnames.txt"] if (path / "classnames.txt").is_file() else []
    identity = identify(f"{name}/{split}", path, photos + there + extra, classnames)
    return Corpus(name, split, identity, len(photos), fields, classnames if folders else None)


def _holds_classes(path: Path) -> bool:
    return bool(subfolders(path)) and not photos_in(path)


def _class_order(path: Path, folders: list[str]) -> tuple[list[str], list[str]]:
    """Class folders and class names in the order of the labels."""
    listing = path / "classnames.txt"
    if not folders or not listing.is_file():
        return folders, [c.replace("_", " ") for c in folders]

    def plain(text):
        return text.replace("_", " ").casefold()

    known, order = {plain(c): c for c in folders}, {}
    for number, line in enumerate(listing.read_text().strip().splitlines(), 1):
        first, _, rest = line.strip().partition(" ")
        key, spoken = (
            (plain(line.strip()), line.strip()) if plain(line.strip()) in known else (plain(first), rest.strip())
        )
        if key not in known:
            raise ValueError(f"{listing}:{number}: '{line}' names no class folder; folders: {', '.join(folders[:10])}")
        if known[key] in order:
            raise ValueError(f"{listing}:{number}: class folder '{known[key]}' comes twice")
        order[known[key]] = spoken.replace("_", " ")
    if missing := set(folders) - set(order):
        raise ValueError(f"{listing} leaves out the class folder '{min(missing)}': add a line for it")
    return list(order), list(order.values())


def _pair(files: list[Path], truth: Path) -> dict[Path, Path | None]:
    """Photo -> mask or None, of the image files below one class folder; `truth` is a folder of further masks."""
    photos = {file.with_suffix(""): file for file in sorted(files, key=lambda file: file.suffix.lower() != ".png")}
    masks = {}
    for file in files:
        stem = file.with_suffix("")
        if file.suffix.lower() == ".png" and photos[stem] != file:  # a JPEG has the same name
            masks[photos[stem]] = file
        elif stem.name.endswith("_mask") and (photo := photos.get(stem.with_name(stem.name[:-5]))):
            masks[photo] = file
    pairs = {file: masks.get(file) for file in files if file not in set(masks.values())}
    for photo in [photo for photo, mask in pairs.items() if mask is None and truth.is_dir()]:
        found = [truth / f"{photo.stem}{end}.png" for end in ("_mask", "")]
        pairs[photo] = next((mask for mask in found if mask.is_file()), None)
    return pairs


def known(path: Path, source: str) -> str:
    """Name of the data set in identities and messages; FileNotFoundError where there is no such folder."""
    if not path.is_dir():
        raise FileNotFoundError(f"'{source}:{path.name}': there is no folder {path}")
    return f"{source}:{path.name}"


def check_split(name: str, split: str, there) -> None:
    """ValueError unless `split` is one of those there; a set without splits is read as "test"."""
    if there and split not in there:
        hint = " (--dev reads 'val' in place of 'test')" if lib.dev() and split == "val" else ""
        raise ValueError(f"{name} has no split '{split}'{hint}; splits: {', '.join(s for s in SPLITS if s in there)}")
    if not there and split != "test":
        raise ValueError(f"{name} has no splits and is read as 'test': '{split}' needs train, val or test in its names")


def subfolders(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))


def photos_in(path: Path, deep: bool = False) -> list[Path]:
    """Image files of a folder, or with `deep` of all folders below it, sorted by path."""
    if not path.is_dir():
        return []
    found = path.rglob("*") if deep else path.iterdir()
    return sorted(p for p in found if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def read_photo(path: Path) -> np.ndarray:
    """A photo, u8 [H,W,3] RGB. ValueError names the file where it cannot be read in full."""
    return _read(path, "RGB")


def read_labels(path: Path, photo: Path) -> np.ndarray:
    """A picture of labels or colours as stored, integers [H,W] or [H,W,3], of the size of its photo."""
    from PIL import Image

    values = _read(path, None)
    with _reported(photo), Image.open(photo) as picture:
        width, height = picture.size
    if values.shape[:2] != (height, width):
        raise ValueError(f"{path} is {values.shape[1]} x {values.shape[0]}, its photo {photo.name} {width} x {height}")
    return values


def _mask(photo: Path, path: Path | None) -> np.ndarray:
    """bool [H,W]: over half of 255, or any value above 0 where no value reaches 128; empty without a path."""
    if path is None:
        return np.zeros(read_photo(photo).shape[:2], bool)
    values = read_labels(path, photo)
    values = values if values.ndim == 2 else values[..., :3].max(axis=2)
    return values > (127 if values.max() > 127 else 0)


def _read(path: Path, mode: str | None) -> np.ndarray:
    from PIL import Image

    with _reported(path), Image.open(path) as picture:
        if mode and picture.mode[0] in "IF":
            raise ValueError(f"{path} has pixels of type {picture.mode}: convert it to 8 bits")
        return np.array(picture.convert(mode) if mode else picture)


@contextlib.contextmanager
def _reported(path: Path):
    """Errors of a damaged image file as one line."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is gone: load the data set anew") from None
    except (OSError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else str(error)
        raise ValueError(f"{path} is damaged ({reason}): fetch it again, or remove it") from None


def identify(name: str, root: Path, files: list[Path], classnames: list[str]) -> str:
    """name@digest of class names and of the names, sizes and contents of the files (below `root`).

    The digest is kept in .cache/digests/ under what the file system tells (paths, sizes, times of change): contents are
    read anew only when that differs.
    """
    stats = [(file.relative_to(root).as_posix(), file.stat()) for file in sorted(set(files))]
    lines = [f"{file} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}" for file, stat in stats]
    key = hashlib.sha256("\n".join([str(root.resolve()), *classnames, "", *lines]).encode()).hexdigest()
    note = lib.out() / ".cache" / "digests" / key[:32]
    if note.is_file() and len(kept := note.read_text()) == 64:
        return f"{name}@{kept[:12]}"

    def content(entry):
        with (root / entry[0]).open("rb") as stream:
            return f"{entry[0]} {entry[1].st_size} {hashlib.file_digest(stream, 'sha256').hexdigest()}"

    with concurrent.futures.ThreadPoolExecutor(8) as pool:  # waits for disks, mostly
        contents = list(pool.map(content, stats))
    digest = hashlib.sha256("\n".join([*classnames, "", *contents]).encode()).hexdigest()
    with contextlib.suppress(OSError):  # nothing but time is lost where the note cannot be kept
        note.parent.mkdir(parents=True, exist_ok=True)
        partial = note.with_suffix(f".{os.getpid()}")
        partial.write_text(digest)
        partial.replace(note)
    return f"{name}@{digest[:12]}"
