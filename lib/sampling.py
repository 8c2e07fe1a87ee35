"""Drawing examples: few-shot subsets, base and new classes, augmented views. Chance is the passed numpy generator's."""

import math

import numpy as np


def fewshot(labels: np.ndarray, shots: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of `shots` examples of each class, class by class, shape [C * shots].

    Fewer shots from an equal generator lie within more: the one shot of a class is the first of its two.
    Raises ValueError that names a class with too few examples.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or shots < 1:
        raise ValueError(f"labels must be one-dimensional and shots at least 1, not {labels.shape} and {shots}")
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < shots:
            raise ValueError(f"class {label} has {len(members)} examples, fewer than the {shots} shots asked for")
        chosen.append(rng.permutation(members)[:shots])
    return np.concatenate(chosen) if chosen else np.zeros(0, np.int64)


def base_new(classnames) -> tuple[np.ndarray, np.ndarray]:
    """Class indices of the base half and the new half, in the given order as in CoOp; an odd class goes to the base."""
    middle = math.ceil(len(classnames) / 2)
    return np.arange(middle), np.arange(middle, len(classnames))


def augment(images: np.ndarray, rng: np.random.Generator, size=None, scale=(0.5, 1.0), ratio=(3 / 4, 4 / 3), flip=True):
    """One random view of each image: RandomResizedCrop (bicubic, antialiased), then a mirror image half of the time.

    images  uint8 [N, H, W, 3];  size: side of the output, default H (then H must equal W);  scale: share of the area;
    ratio: width / height of the crop;  flip: False where left and right carry meaning.
    Returns uint8 [N, S, S, 3]. Crops are drawn as torchvision draws them; each image takes the same count of random
    numbers, so the views of the first images do not depend on how many follow.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(f"images must be uint8 [N,H,W,3], not {images.dtype} {list(images.shape)}")
    if not 0 < scale[0] <= scale[1] <= 1 or not 0 < ratio[0] <= ratio[1]:
        raise ValueError(f"scale {scale} must lie in (0, 1] and ratio {ratio} above 0, each from low to high")
    height, width = images.shape[1:3]
    if size is None and height != width:
        raise ValueError(f"images of {height} x {width} need a size for the square output")
    size = size or height
    views = np.empty((len(images), size, size, 3), np.uint8)
    for index, image in enumerate(images):
        top, left, rows, columns = _crop(height, width, rng.random((10, 2)), rng.random(2), scale, ratio)
        view = _resize(image[top : top + rows, left : left + columns], size)
        views[index] = view[:, ::-1] if rng.random() < 0.5 and flip else view
    return views


def _crop(height, width, tries, place, scale, ratio) -> tuple[int, int, int, int]:
    """Top, left, height and width of a crop: the first of ten tries that fits, else the largest centred one."""
    for share, shape in tries:
        area = height * width * (scale[0] + share * (scale[1] - scale[0]))
        aspect = math.exp(math.log(ratio[0]) + shape * (math.log(ratio[1]) - math.log(ratio[0])))
        columns, rows = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < columns <= width and 0 < rows <= height:
            return int(place[0] * (height - rows + 1)), int(place[1] * (width - columns + 1)), rows, columns
    columns, rows = min(width, round(height * ratio[1])), min(height, round(width / ratio[0]))
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def _resize(image: np.ndarray, size: int) -> np.ndarray:
    """uint8 [h, w, 3] to [size, size, 3], bicubic with antialias."""
    import torch

    if image.shape[:2] == (size, size):
        return image
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(pixels, (size, size), mode="bicubic", antialias=True)
    return resized[0].permute(1, 2, 0).numpy()
