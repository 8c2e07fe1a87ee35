"""Badges, their parts, identity marks, latent vectors and the layers of a picture."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from lib.world import atlas, badges, latent, presets
from lib.world.draw import PARTS
from lib.world.expose import Grain
from lib.world.render import FILLS, LAYERS, STYLES, part_boxes, render
from lib.world.spec import Background, Camera, Corruption, Light, Object, Spec, Word
from lib.world.textures import BACKGROUNDS, colours

GOLDEN = {
    "badges": "5b295b47cd9f4f4d",
    "marks": "8720b5b56be0fe46",
    "latent": "ed2b463adb54fe48",
    "layers": "f9b852f46a44c409",
}


def badge(name="dax disc", style="sticker", **changes):
    thing = Object(name, **({"colour": "red", "radius": 22.0, "noise": 3} | changes))
    return Spec((thing,), Background("plain", "blue", noise=1), style=style, noise_seed=2)


def grown(mask, pixels=1):
    return binary_dilation(mask, np.ones((3, 3)), iterations=pixels)


def golden(specs, layers=()):
    digest = hashlib.sha256()
    for spec in specs:
        for layer in render(spec, layers):
            digest.update(b"" if layer is None else np.ascontiguousarray(layer).tobytes())
    return digest.hexdigest()[:16]


def test_table_has_the_promised_groups():
    rows = badges.rows()
    assert len(rows) == 24 and [len(badges.group(k)) for k in range(1, 7)] == [4] * 6
    nouns = [{rows[name]["noun"] for name in badges.group(k)} for k in range(1, 7)]
    assert all(len(one) == 1 for one in nouns) and len(set.union(*nouns)) == 6
    words = [w for row in rows.values() for w in (row["word"], *row["aliases"].split(";"))]
    assert len(set(words)) == 72
    known = {word for name in atlas.class_names()[:107] for word in name.split()} | set(colours())
    assert not known & set(words)
    for name, row in rows.items():
        assert name == f"{row['word']} {row['noun']}"
        assert float(row["captioned"]) == (0.1 if int(row["group"]) <= 3 else 0)


def test_classes_of_a_group_differ_in_one_or_two_parts_and_groups_in_more():
    for one in badges.names():
        for other in badges.names():
            found = badges.differences(one, other)
            if one != other and badges.rows()[one]["group"] == badges.rows()[other]["group"]:
                assert 1 <= len(found) <= 2 and "body" not in found
            elif one != other:
                assert len(found) >= 3 and "body" in found


def test_glyph_classes_keep_their_indices():
    for index, row in enumerate(atlas.rows()):
        assert atlas.class_index(row["name"]) == index
    assert [atlas.class_index(name) for name in badges.names()] == list(range(107, 131))
    assert len(atlas.class_names()) == 131
    with pytest.raises(KeyError, match="badge"):
        atlas.glyph("dax disc")


@pytest.mark.parametrize("name", badges.names())
def test_every_part_shows_and_its_box_encloses_it(name):
    spec = badge(name)
    drawn = render(spec, ("parts",))
    assert ((drawn.parts > 0) == (drawn.inst > 0)).all()
    boxes = part_boxes(drawn.inst, drawn.parts, 1)
    assert boxes.shape == (1, 5, 4) and boxes.dtype == np.float32
    for k, part in enumerate(PARTS):
        ys, xs = np.nonzero(drawn.parts == k + 1)
        assert len(xs) >= {"body": 250, "emblem": 30, "band": 60, "cap": 25, "mark": 14}[part], part
        np.testing.assert_allclose(boxes[0, k] * 64, (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
    box = drawn.boxes[0] * 64
    assert (drawn.inst == 1).sum() > 0.45 * (box[2] - box[0]) * (box[3] - box[1])  # solid
    assert boxes[0, PARTS.index("cap"), 1] == boxes[0, :, 1].min()  # the cap is on top


@pytest.mark.parametrize("style", ["sticker", "ink", "photo"])
@pytest.mark.parametrize("group", range(1, 7))
def test_badges_of_a_group_differ_where_their_parts_differ(group, style):
    names = badges.group(group)
    drawn = {name: render(badge(name, style), ("parts",)) for name in names}
    for i, one in enumerate(names):
        for other in names[:i]:
            change = np.abs(drawn[one].image.astype(int) - drawn[other].image).max(-1)
            there = np.zeros((64, 64), bool)
            for part in badges.differences(one, other):
                k = PARTS.index(part) + 1
                there |= (drawn[one].parts == k) | (drawn[other].parts == k)
            if "band" in badges.differences(one, other):  # the mark lies on the band
                there |= drawn[one].parts == PARTS.index("mark") + 1
            assert not (change > 12)[~grown(there, 3)].any()
            assert (change > 60).sum() >= 12  # visible


def test_parts_can_be_replaced_and_left_out():
    plain = render(badge(), ("parts",))
    for part, value in (("emblem", "arrow"), ("band", "dotted"), ("cap", "crown"), ("mark", "plus")):
        k = PARTS.index(part) + 1
        changed = render(badge(parts=((part, value),)), ("parts",))
        gone = render(badge(parts=((part, "none"),)), ("parts",))
        there = (plain.parts == k) | (changed.parts == k)
        if part == "band":
            there |= plain.parts == PARTS.index("mark") + 1
        near = grown(there, 3)
        for other in (changed, gone):
            assert (plain.image == other.image)[~near].all() and (plain.image != other.image)[near].any()
        assert (changed.parts == k).any() and not (gone.parts == k).any()
    assert badges.parts("dax disc", (("cap", "none"), ("emblem", "star"))) == {
        "body": "disc", "emblem": "star", "band": "striped", "mark": "dot"
    }  # fmt: skip


def test_a_fill_stays_on_the_body():
    plain, striped = (render(badge(fill=fill), ("parts",)) for fill in ("plain", "striped"))
    assert (plain.parts == striped.parts).all()
    changed = np.abs(plain.image.astype(int) - striped.image).max(-1) > 20
    assert changed.sum() > 60 and not changed[~grown(plain.parts == 1)].any()


def test_phrases_name_the_colours_that_show():
    thing = Object("wug disc", "teal", fill_colour="yellow", parts=(("cap", "horns"),))
    assert badges.phrases(thing) == {
        "body": "teal disc", "emblem": "heart", "band": "yellow checked band", "cap": "yellow pair of horns",
        "mark": "dot",
    }  # fmt: skip
    drawn = render(badge("hoxi arch", colour="blue", fill_colour="yellow", radius=26.0), ("parts",))
    for part, colour in (("band", "yellow"), ("body", "blue")):
        middle = np.median(drawn.image[drawn.parts == PARTS.index(part) + 1], 0)
        assert np.abs(middle - colours()[colour]).max() < 40


def test_parts_turn_with_their_badge():
    upright, turned = (render(badge("yib gem", angle=angle), ("parts",)) for angle in (0.0, 180.0))
    for k in (2, 3, 4):
        rows = [np.nonzero(drawn.parts == k)[0].mean() for drawn in (upright, turned)]
        assert abs(rows[0] + rows[1] - 63) < 4


@pytest.mark.parametrize("style", STYLES)
def test_identity_marks_lie_at_one_place_of_their_class(style):
    for name in ("gear", "cat", "spade", "envelope"):
        bare = badge(name, style, radius=18.0)
        for mark in ("dot", "large ring", "small two dots"):
            marked = badge(name, style, radius=18.0, mark=mark)
            without, drawn = render(bare, ("parts",)), render(marked, ("parts",))
            assert (without.inst == drawn.inst).all() and (without.parts <= 1).all()
            place = drawn.parts == PARTS.index("mark") + 1
            assert 8 <= place.sum() <= 180
            assert (without.image == drawn.image)[~grown(place, 2)].all()
            changed = np.abs(without.image.astype(int) - drawn.image).max(-1) > 25
            assert changed[place].mean() > 0.3
            again = render(marked.replace(objects=(replace(marked.objects[0], x=0.53125),)), ("parts",))
            assert (np.roll(place, 2, 1) == (again.parts == PARTS.index("mark") + 1)).mean() > 0.99


def test_every_solid_class_has_room_for_a_mark():
    marks = list(badges.values("mark"))
    for index, name in enumerate(presets.solid_classes()):
        drawn = render(badge(name, radius=18.0, mark=marks[index % len(marks)]), ("parts",))
        assert (drawn.parts == PARTS.index("mark") + 1).sum() >= 10, name


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"parts": (("tail", "long"),)}, "tail"),
        ({"parts": (("cap", "feather"),)}, "feather"),
        ({"parts": (("body", "tile"),)}, "body"),
        ({"mark": "dot"}, "mark of its own"),
        ({"name": "cat", "parts": (("cap", "crown"),)}, "only badges"),
        ({"name": "cat", "mark": "tattoo"}, "tattoo"),
        ({"name": "cat", "mark": "huge dot"}, "huge"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        render(badge(**changes))
    with pytest.raises(ValueError, match="tail"):
        badges.values("tail")


# ---- layers


def crowd(count=3, index=0):
    """A scene of `count` objects, some of which cover each other."""
    rng = np.random.default_rng([8, index])
    names = ("cat", "gear", "anchor", "toma shield", "cup", "spade", "cloud", "circle")
    things = [
        Object(names[(index + k) % len(names)], tuple(colours())[int(rng.integers(11))], FILLS[int(rng.integers(6))],
               radius=round(float(rng.uniform(7, 16)), 1), x=round(float(rng.uniform(0.15, 0.85)), 3),
               y=round(float(rng.uniform(0.15, 0.85)), 3), angle=round(float(rng.uniform(-25, 25)), 1),
               z=1 + (3 * k + index) % 10, noise=int(rng.integers(1 << 31)))
        for k in range(count)
    ]  # fmt: skip
    ground = Background(BACKGROUNDS[index % len(BACKGROUNDS)], "teal", "grey", noise=index)
    return Spec(tuple(things), ground, style=STYLES[index % 4], noise_seed=index)


def test_regions_are_whole_silhouettes():
    for index in range(12):
        spec = crowd(3, index)
        drawn = render(spec, ("region",))
        assert drawn.region.shape == (3, 64, 64) and drawn.region.dtype == bool
        for i, thing in enumerate(spec.objects):
            alone = render(spec.replace(objects=(thing,))).inst == 1
            assert (drawn.region[i] == alone).all()
            assert not ((drawn.inst == i + 1) & ~drawn.region[i]).any()
    near, far = Object("circle", radius=14.0, z=1), Object("square", radius=12.0, z=9)
    drawn = render(Spec((near, far)), ("region",))
    assert drawn.region[1].sum() > (drawn.inst == 2).sum()


def test_layers_come_only_on_request_and_change_no_pixel():
    spec = crowd()
    bare, full = render(spec), render(spec, LAYERS)
    assert (bare.image == full.image).all() and (bare.inst == full.inst).all() and all(a is None for a in bare[3:])
    assert full.parts.dtype == np.uint8 and full.word_boxes.shape == (0, 4) and not full.word_mask.any()
    assert not full.damage.any()
    empty = render(Spec((), Background("wood")), LAYERS)
    assert empty.region.shape == (0, 64, 64) and empty.boxes.shape == (0, 4)


def test_words_and_clutter_are_prints():
    spec = crowd()
    bare = render(spec, LAYERS)
    words = spec.replace(words=(Word("stop", 0.3, 0.2), Word("sale", 0.6, 0.8, "blue", "")))
    drawn = render(words, LAYERS)
    assert drawn.word_boxes.shape == (2, 4) and (drawn.word_boxes[:, 2] > drawn.word_boxes[:, 0]).all()
    assert (drawn.image != bare.image).any(-1)[~grown(drawn.word_mask, 2)].sum() == 0
    assert (drawn.image != bare.image).any(-1)[drawn.word_mask].mean() > 0.8
    cluttered = render(spec.replace(clutter=4), LAYERS)
    assert (cluttered.image != bare.image).any()
    for other in (drawn, cluttered):
        for layer in ("inst", "sem", "depth", "parts", "region"):
            assert (getattr(other, layer) == getattr(bare, layer)).all()


def test_the_camera_moves_every_layer():
    spec = badge().replace(words=(Word("stop", 0.5, 0.7),), camera=Camera(6.0, -4.0))
    still, moved = render(spec.replace(camera=Camera()), LAYERS), render(spec, LAYERS)
    for layer in ("inst", "parts", "sem", "word_mask"):
        a, b = getattr(still, layer), getattr(moved, layer)
        assert (np.roll(a, (4, -6), (0, 1)) == b)[4:, :-6].all()
    assert (np.roll(still.region[0], (4, -6), (0, 1)) == moved.region[0])[4:, :-6].all()
    np.testing.assert_allclose(moved.boxes[0] - still.boxes[0], np.array((-6, 4, -6, 4)) / 64, atol=1e-6)
    np.testing.assert_allclose(moved.word_boxes[0] - still.word_boxes[0], np.array((-6, 4, -6, 4)) / 64, atol=1e-6)
    nearer = render(spec.replace(camera=Camera(zoom=1.4)), LAYERS)
    assert (nearer.inst == 1).sum() > 1.6 * (still.inst == 1).sum()


def test_backlight_and_corruptions_keep_the_truth():
    spec = crowd()
    bare = render(spec, LAYERS)
    twin = render(spec.replace(light=Light(backlit=0.7, noise=3)), LAYERS)
    mask = bare.inst > 0
    assert twin.image[mask].mean() < 0.45 * bare.image[mask].mean()
    far = ~grown(mask, 14)
    assert twin.image[far].mean() > 0.8 * bare.image[far].mean()
    for kind in ("noise", "depth_fog"):
        spoilt = render(spec.replace(corruptions=(Corruption(kind, 0.6, 1),)), LAYERS)
        assert (spoilt.image != bare.image).mean() > 0.5 and (spoilt.inst == bare.inst).all()
        assert (render(spec.replace(corruptions=(Corruption(kind, 0.0, 1),))).image == bare.image).all()


def test_grain_draws_what_numpy_draws():
    for seed in range(40):
        want, got = np.random.Generator(np.random.PCG64(seed)), Grain(seed)
        for low, high, shape, dtype in [(-8, 9, (64, 64, 3), np.int8), (-9, 10, (64, 64), np.int32),
                                        (-4, 5, (64, 64, 3), np.int8), (0, 3, (5,), np.int8)]:  # fmt: skip
            numbers = got.integers(low, high, shape, dtype)
            assert numbers.dtype == dtype and (numbers == want.integers(low, high, shape, dtype)).all()


# ---- latent vectors


def test_a_vector_is_a_scene_that_follows_it_smoothly():
    vectors = latent.sample(np.random.default_rng(0), 16)
    assert vectors.shape == (16, 28) and vectors.dtype == np.float32 and len(latent.NAMES) == 28
    assert sorted(k for group in latent.GROUPS.values() for k in range(28)[group]) == list(range(28))
    for vector in vectors:
        spec = Spec.from_vector(vector)
        assert spec == latent.to_spec(vector) == Spec.from_json(spec.to_json())
        image = render(spec).image.astype(int)
        for k in (0, 1, 2, 3, 16, 18, 19, 22, 23, 24, 25, 26, 27):
            step = vector.copy()
            step[k] += 0.02
            assert np.abs(render(Spec.from_vector(step)).image - image).mean() < 4, latent.NAMES[k]
    for k, name in enumerate(latent.NAMES):  # every entry does something
        low, high = (np.full(28, 0.3, np.float32) for _ in range(2))
        low[[4, 10]], high[[4, 10]] = 1.0, 1.0
        low[11] = high[11] = 1.5 if k not in range(10, 16) else 0.3
        low[k], high[k] = -1.9, 1.9
        assert latent.to_spec(low) != latent.to_spec(high), name


def test_latent_scenes_have_names_for_captions():
    for vector in latent.sample(np.random.default_rng(1), 50):
        spec = latent.named(Spec.from_vector(vector))
        assert spec.objects[0].colour in colours() and spec.background.colour in colours()
    assert [latent.colour_name("#{:02x}{:02x}{:02x}".format(*rgb)) for rgb in colours().values()] == list(colours())
    for wrong in (np.zeros(27), np.full(28, np.nan)):
        with pytest.raises(ValueError, match="28"):
            Spec.from_vector(wrong)
    with pytest.raises(KeyError, match="#12345"):
        render(badge(colour="#12345"))


def test_pictures_have_the_golden_bytes():
    names, tones = badges.names(), list(colours())
    found = {
        "badges": golden(
            (badge(name, STYLES[i % 7], colour=tones[i % 11], noise=i) for i, name in enumerate(names)), ("parts",)
        ),
        "marks": golden(
            badge("gear", mark=f"{size} {mark}".strip()) for mark in badges.values("mark") for size in ("", "small")
        ),
        "latent": golden(Spec.from_vector(vector) for vector in latent.sample(np.random.default_rng(2), 12)),
        "layers": golden((crowd(2 + i % 4, i) for i in range(8)), LAYERS),
    }
    assert found == GOLDEN
