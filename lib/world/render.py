"""Draw a `Spec` as a 64 x 64 picture with exact masks, in integer arithmetic: every machine gives the same bytes.

Order: background and its damage, clutter, objects from back to front with their damage, clutter on them, words; then
the camera's view, the style of the whole picture, light, backlight, camera grain, corruptions.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import find_objects

from lib.world import atlas, badges, damage
from lib.world.draw import PARTS, SOLID, draw
from lib.world.expose import expose
from lib.world.spec import SIDE, Camera, Spec
from lib.world.textures import BACKGROUNDS, planar

STYLES = ("sticker", "ink", "outline", "photo", "sketch", "halftone", "inverted")  # the last three are held out
FILLS = ("plain", "striped", "dotted", "checked", "gridded", "speckled")
LAYERS = ("sem", "depth", "parts", "region", "damage", "words")
GROUND = 160  # semantic ids below are class indices, GROUND + k is background k


class Rendered(NamedTuple):
    """A picture and its truth.

    `image` u8 [64, 64, 3] RGB; `inst` u8 [64, 64], 0 ground, i + 1 where `objects[i]` is the front-most silhouette;
    `boxes` f32 [n, 4] xyxy in [0, 1] of the visible silhouettes (zeros where hidden).

    On request (None otherwise): `sem` u8 [64, 64], class index, or GROUND + background index; `depth` f32 [64, 64] in
    [0, 1], 0 nearest; `parts` u8 [64, 64], 0 on the ground, else k + 1 for PARTS[k] of the object there (a plain object
    is all body, an identity mark is part "mark"); `region` bool [n, 64, 64], whole silhouettes, also where others
    cover them; `damage` bool [64, 64]; `words`: `word_boxes` f32 [w, 4] of the plates and `word_mask` bool [64, 64].
    Words and clutter are prints: they change no other layer.
    """

    image: np.ndarray
    inst: np.ndarray
    boxes: np.ndarray
    sem: np.ndarray | None = None
    depth: np.ndarray | None = None
    parts: np.ndarray | None = None
    region: np.ndarray | None = None
    damage: np.ndarray | None = None
    word_boxes: np.ndarray | None = None
    word_mask: np.ndarray | None = None


def render(spec: Spec, layers: tuple = ()) -> Rendered:
    """Draw a scene. Raises ValueError for a field value or layer that cannot be drawn."""
    _check(spec, layers)
    scene = _scene(spec, layers)
    corrupt_depth = any(one.kind.startswith("depth") and one.strength for one in spec.corruptions)
    if "depth" in layers or corrupt_depth:
        scene["depth"] = depth(scene["inst"], spec)
    if spec.camera != Camera():
        scene = _viewed(scene, spec.camera)
    inst = scene["inst"]
    image = expose(scene["image"], inst, spec)
    if spec.corruptions:
        from lib.world import optics

        for corruption in spec.corruptions:
            image = optics.corrupt(image, corruption, scene.get("depth"))
    asked = {name: scene[name] for name in ("depth", "parts", "region", "damage") if name in layers}
    if "sem" in layers:
        asked["sem"] = semantic(inst, spec)
    if "words" in layers:
        prints = scene["words"]
        asked["word_boxes"] = mask_boxes(prints)
        asked["word_mask"] = prints.any(0)
    return Rendered(image, inst, boxes(inst, len(spec.objects)), **asked)


def _check(spec: Spec, layers: tuple) -> None:
    if spec.style not in STYLES:
        raise ValueError(f"style '{spec.style}' is unknown; choose one of {', '.join(STYLES)}")
    for layer in layers:
        if layer not in LAYERS:
            raise ValueError(f"layer '{layer}' is unknown; choose from {', '.join(LAYERS)}")
    if spec.clutter < 0:
        raise ValueError(f"clutter {spec.clutter} is negative; it is a number of things")
    for thing in spec.objects:
        if thing.fill not in FILLS:
            raise ValueError(f"fill '{thing.fill}' of {thing.name} is unknown; choose one of {', '.join(FILLS)}")
        if not 2 <= thing.radius <= SIDE:
            raise ValueError(f"radius {thing.radius} px of {thing.name} is outside 2..{SIDE}")
        if thing.parts or thing.mark:
            _check_parts(thing)
    if spec.damage or any(thing.state for thing in spec.objects):
        damage.check(spec)


def _check_parts(thing) -> None:
    badge = thing.name in badges.names()
    if thing.parts and not badge:
        raise ValueError(f"parts of {thing.name} cannot be changed: only badges have parts; leave the field empty")
    if thing.mark and badge:
        raise ValueError(f"mark of {thing.name}: a badge has a mark of its own; change parts=(('mark', ...),) instead")
    if badge:
        badges.parts(thing.name, thing.parts)
    else:
        badges.split_mark(thing.mark)


# ---- the scene


def _scene(spec: Spec, layers: tuple) -> dict[str, np.ndarray]:
    """What stands before the camera: image int32 [3, 64, 64], inst, and the layers asked for."""
    image = planar(spec.background)
    inst = np.zeros((SIDE, SIDE), np.uint8)
    parts = np.zeros((SIDE, SIDE), np.uint8) if "parts" in layers else None
    region = np.zeros((len(spec.objects), SIDE, SIDE), bool) if "region" in layers else None
    hurt = []  # (mask, inst just after the damage was drawn)
    for one in spec.damage:
        if one.target < 0:
            hurt.append((damage.draw(image, spec, one, np.ones((SIDE, SIDE), bool), None)[0], inst.copy()))
    if spec.clutter:
        from lib.world import clutter

        noise = np.random.Generator(np.random.PCG64([spec.noise_seed, 1]))
        clutter.draw(image.transpose(1, 2, 0), spec.clutter, noise)
    for i in sorted(range(len(spec.objects)), key=lambda i: -spec.objects[i].z):
        if spec.damage and any(one.target == i for one in spec.damage):
            seen = _draw_damaged(image, inst, parts, spec, i, hurt)
        else:
            drawn = draw(image, inst, i + 1, spec.objects[i], spec.style, parts)
            seen = None
            if region is not None and drawn is not None:
                region[i][drawn.rows, drawn.columns] = drawn.body >= SOLID
        if region is not None and seen is not None:
            region[i] = seen
    if spec.clutter > 1:
        clutter.draw(image.transpose(1, 2, 0), spec.clutter // 2, noise, inst > 0)
    scene = {"image": image, "inst": inst, "parts": parts, "region": region}
    if "damage" in layers:
        scene["damage"] = np.zeros((SIDE, SIDE), bool)
        for mask, then in hurt:
            scene["damage"] |= mask & (inst == then)
    if spec.words or "words" in layers:
        scene["words"] = _print_words(image, spec)
    return {key: value for key, value in scene.items() if value is not None}


def _draw_damaged(image, inst, parts, spec: Spec, i: int, hurt: list) -> np.ndarray:
    """Draw object i with its damage, in place; appends to `hurt`. -> its whole silhouette, bool [64, 64]"""
    before, inst_before = image.copy(), inst.copy()
    parts_before = None if parts is None else parts.copy()
    drawn = draw(image, inst, i + 1, spec.objects[i], spec.style, parts)
    silhouette = np.zeros((SIDE, SIDE), bool)
    if drawn is None:
        return silhouette
    silhouette[drawn.rows, drawn.columns] = drawn.body >= SOLID
    masks = []
    for one in spec.damage:
        if one.target == i:
            mask, gone = damage.draw(image, spec, one, silhouette, before)
            masks.append(mask)
            silhouette &= ~gone
            inst[gone] = inst_before[gone]
            if parts is not None:
                parts[gone] = parts_before[gone]
    then = inst.copy()
    hurt.extend((mask, then) for mask in masks)
    return silhouette


def _print_words(image: np.ndarray, spec: Spec) -> np.ndarray:
    """Print the words over everything, in place. -> masks of their plates, bool [w, 64, 64]"""
    prints = np.zeros((len(spec.words), SIDE, SIDE), bool)
    if spec.words:
        from lib.world import lettering

        for k, word in enumerate(spec.words):
            prints[k] = lettering.draw(image.transpose(1, 2, 0), word)[1]
    return prints


def _viewed(scene: dict, camera: Camera) -> dict:
    """The scene under a camera; stacks of masks keep their first axis."""
    from lib.world import optics

    stacks = {key: scene.pop(key) for key in ("region", "words") if key in scene}
    image = np.minimum(np.maximum(scene["image"], 0), 255).transpose(1, 2, 0)
    turned = {key: stack.transpose(1, 2, 0) for key, stack in stacks.items()}
    seen = optics.view({**scene, "image": image, **turned}, camera)
    seen["image"] = np.ascontiguousarray(seen["image"].transpose(2, 0, 1), np.int32)
    return seen | {key: np.ascontiguousarray(seen[key].transpose(2, 0, 1)) for key in stacks}


# ---- layers


def mask_boxes(masks: np.ndarray) -> np.ndarray:
    """Boxes of masks. bool [n, H, W] -> f32 [n, 4], xyxy in [0, 1], zeros for an empty mask."""
    found = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(found, masks):
        rows, columns = mask.any(1), mask.any(0)
        if rows.any():
            top, left = rows.argmax(), columns.argmax()
            bottom, right = len(rows) - rows[::-1].argmax(), len(columns) - columns[::-1].argmax()
            box[:] = (left / SIDE, top / SIDE, right / SIDE, bottom / SIDE)
    return found


def boxes(inst: np.ndarray, num_objects: int) -> np.ndarray:
    """Boxes of the visible instances. inst u8 [H, W] -> f32 [num_objects, 4], xyxy in [0, 1]."""
    found = np.zeros((num_objects, 4), np.float32)
    for box, place in zip(found, find_objects(inst, num_objects)):
        if place is not None:
            rows, columns = place
            box[:] = (columns.start / SIDE, rows.start / SIDE, columns.stop / SIDE, rows.stop / SIDE)
    return found


def part_boxes(inst: np.ndarray, parts: np.ndarray, num_objects: int) -> np.ndarray:
    """Boxes of the visible parts. inst, parts u8 [H, W] -> f32 [num_objects, 5, 4], xyxy in [0, 1], by PARTS."""
    masks = [(inst == i + 1) & (parts == k + 1) for i in range(num_objects) for k in range(len(PARTS))]
    return mask_boxes(masks).reshape(num_objects, len(PARTS), 4)


def semantic(inst: np.ndarray, spec: Spec) -> np.ndarray:
    """Class index of the front-most object of each pixel, GROUND + background index on the ground. u8 [H, W]."""
    names = [GROUND + BACKGROUNDS.index(spec.background.name)]
    names += [atlas.class_index(thing.name) for thing in spec.objects]
    return np.array(names, np.uint8)[inst]


def depth(inst: np.ndarray, spec: Spec) -> np.ndarray:
    """Depth in [0, 1], f32 [H, W]: layer z of an object is z / 12; the ground recedes from 11/12 below to 1 above."""
    ground = np.linspace(1.0, 11 / 12, SIDE, dtype=np.float32)[:, None].repeat(SIDE, 1)
    layer = np.array([0.0] + [thing.z / 12 for thing in spec.objects], np.float32)[inst]
    return np.where(inst == 0, ground, layer)
