"""Zero-shot classification: class names and templates become a linear head over image features."""

import numpy as np

from lib import features, text


def head(encoder, classnames, templates, pool: str = "embeddings") -> np.ndarray:
    """Text classifier of an encoder, float32.

    pool  "embeddings": per class the mean of the unit template embeddings, made unit again, shape [C, D] (CLIP, section
          3.1.4); "scores": the unit embeddings themselves, shape [C, T, D], whose scores `logits` averages.
    Raises ValueError for no classes, no templates, a template without exactly one "{}", or an unknown pool.
    """
    if isinstance(classnames, str) or isinstance(templates, str):
        raise ValueError("classnames and templates are lists of str, not one str")
    classnames, templates = list(classnames), list(templates)
    if not classnames or not templates:
        raise ValueError(f"a head needs classes and templates, not {len(classnames)} and {len(templates)}")
    if pool not in ("embeddings", "scores"):
        raise ValueError(f"pool '{pool}' is unknown; choose embeddings or scores")
    embeddings = features.texts(encoder, text.prompts(classnames, templates))
    embeddings = np.array(embeddings).reshape(len(classnames), len(templates), -1)
    if pool == "scores":
        return embeddings
    mean = embeddings.mean(axis=1)
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)


def logits(image_features: np.ndarray, head: np.ndarray, scale: float = 100.0) -> np.ndarray:
    """scale * cosine [N, C]: image_features [N, D] unit rows, head [C, D], or [C, T, D] (mean over templates)."""
    image_features, head = np.asarray(image_features), np.asarray(head)
    if image_features.ndim != 2 or head.ndim not in (2, 3) or head.shape[-1] != image_features.shape[1]:
        raise ValueError(f"image_features {image_features.shape} and head {head.shape} do not fit: [N,D] and [C,(T,)D]")
    return scale * image_features @ (head if head.ndim == 2 else head.mean(axis=1)).T
