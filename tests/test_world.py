"""Scenes, renderer, edits and corpora: exact truth, determinism, no leaks."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

import lib
from lib.world import atlas, corpora, presets
from lib.world.edit import Op, edit
from lib.world.render import FILLS, GROUND, STYLES, render, semantic
from lib.world.spec import Background, Light, Object, Spec
from lib.world.textures import BACKGROUNDS, colours


def specs(name="scenes/base", count=60, **overrides):
    return [presets.sample(name, np.random.default_rng([5, i]), **overrides) for i in range(count)]


def one(**changes):
    return Spec((Object("cat", radius=16.0, noise=3, **changes),), Background("plain", "blue", noise=1), noise_seed=2)


def grown(mask):
    """A mask with the rim that is drawn around a silhouette: at most three pixels."""
    return binary_dilation(mask, np.ones((3, 3)), iterations=3)


def test_class_table_has_the_promised_roles():
    rows = atlas.rows()
    assert len(rows) == 107 and len({row["name"] for row in rows}) == 107
    assert len(presets.base_classes()) == 95 and len(presets.solid_classes()) == 66
    assert sum("N" in row["roles"] for row in rows) == 8
    for row in rows:
        assert bool(row["natural_colour"]) == ("N" in row["roles"])
        assert not ("S" in row["roles"] and atlas.glyph(row["name"]).solidity < 0.45)


def test_spec_survives_json():
    for spec in specs(count=200):
        assert Spec.from_json(spec.to_json()) == spec
    assert Spec().to_json() == "{}" or Spec.from_json(Spec().to_json()) == Spec()
    with pytest.raises(ValueError, match="colur"):
        Spec.from_json('{"objects":[{"name":"cat","colur":"red"}]}')


def test_another_process_draws_the_same_bytes():
    program = (
        "import hashlib; from lib.world import corpora; d = hashlib.sha256();"
        "[d.update(i.tobytes()) for i, _, _ in corpora.stream('scenes/base', 'golden', 0, 12)]; print(d.hexdigest())"
    )
    here = hashlib.sha256(
        b"".join(i.tobytes() for i, _, _ in corpora.stream("scenes/base", "golden", 0, 12))
    ).hexdigest()
    there = subprocess.run([sys.executable, "-c", program], cwd=lib.ROOT, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


@pytest.mark.parametrize("style", STYLES)
def test_masks_cover_what_an_object_changes(style):
    """Beyond its mask, a rim's width and the grain, an object leaves the ground as it is.

    (Strands thinner than half a pixel, such as whiskers, are drawn but too thin for the mask.)
    """
    for name in ("gear", "spade", "anchor", "cloud"):
        spec = one().replace(style=style)
        spec = spec.replace(objects=(replace(spec.objects[0], name=name),))
        with_it, without = render(spec), render(spec.replace(objects=()))
        changed = np.abs(with_it.image.astype(int) - without.image.astype(int)).max(-1) > 40
        mask = with_it.inst == 1
        near = grown(mask)
        assert mask.sum() > 60
        assert not (changed & ~near).any()
        assert changed[mask].mean() > 0.15  # an outline of a hollow glyph changes little of its inside


def test_boxes_enclose_their_masks_exactly():
    for spec in specs(count=80):
        drawn = render(spec)
        assert drawn.boxes.shape == (len(spec.objects), 4)
        for i, box in enumerate(drawn.boxes):
            ys, xs = np.nonzero(drawn.inst == i + 1)
            want = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) if len(xs) else (0, 0, 0, 0)
            np.testing.assert_allclose(box * 64, want)


def test_semantic_and_depth_follow_instances():
    spec = specs(count=1, num_objects={3: 1.0}, same_class=0.0)[0]
    drawn = render(spec, ("sem", "depth"))
    for i, thing in enumerate(spec.objects):
        mask = drawn.inst == i + 1
        assert (drawn.sem[mask] == atlas.class_index(thing.name)).all()
        assert np.allclose(drawn.depth[mask], thing.z / 12)
    assert (drawn.sem[drawn.inst == 0] == GROUND + BACKGROUNDS.index(spec.background.name)).all()
    assert (semantic(drawn.inst, spec) == drawn.sem).all()


def test_nearer_objects_cover_farther_ones():
    near = Object("circle", "red", radius=12.0, z=1)
    far = Object("square", "blue", radius=12.0, z=9)
    for objects, front in (((near, far), 1), ((far, near), 2)):
        assert render(Spec(objects)).inst[32, 32] == front


def test_colours_show():
    for colour, value in colours().items():
        pixels = render(
            one(colour=colour, fill="plain").replace(objects=(Object("square", colour, radius=16.0),))
        ).image[26:38, 26:38]
        assert np.abs(pixels.reshape(-1, 3).mean(0) - value).max() < 30


def test_fills_and_classes_vary_within_and_between():
    images = [render(one(fill=fill, fill_colour="white")).image.astype(int) for fill in FILLS]
    for i, first in enumerate(images):
        for second in images[:i]:
            assert np.abs(first - second).mean() > 2
    a, b = render(Spec((Object("cat", noise=1),))), render(Spec((Object("cat", noise=2),)))
    assert 0 < (a.inst != b.inst).mean() < 0.1


@pytest.mark.parametrize(
    "change, message",
    [
        ({"style": "cubist"}, "cubist"),
        ({"background": Background("lava")}, "lava"),
        ({"objects": (Object("cat", fill="furry"),)}, "furry"),
        ({"objects": (Object("cat", radius=-1.0),)}, "-1"),
        ({"objects": (Object("cat", state="scratched"),)}, "state"),
        ({"clutter": -3}, "clutter"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        render(Spec().replace(**change))
    with pytest.raises(KeyError, match="unicorn"):
        render(Spec((Object("unicorn"),)))
    with pytest.raises(ValueError, match="layer"):
        render(Spec(), ("x-ray",))


def test_neutral_light_changes_nothing_and_darkness_darkens():
    spec = one()
    dark = edit(spec, Op("light", value=Light(gain=0.4, word="dark")))
    assert (render(spec).image == render(spec.replace(light=Light())).image).all()
    assert render(dark).image.mean() < 0.6 * render(spec).image.mean()
    assert (render(dark).inst == render(spec).inst).all()


def test_impossible_edits_are_refused():
    spec = one(colour="red")
    for op, message in [
        (Op("melt", 0), "melt"), (Op("remove", 3), "target"), (Op("recolour", 0, "red"), "changes nothing"),
        (Op("light", None, "dark"), "Light"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            edit(spec, op)
    assert edit(spec, Op("none")) == spec


def test_base_scenes_keep_the_contract():
    drawn = specs(count=4000)
    share = lambda test: np.mean([test(spec) for spec in drawn])  # noqa: E731
    single = share(lambda s: len(s.objects) == 1)
    assert abs(single - 0.54) < 0.03  # 60 % of the nine scenes in ten that are not of one repeated class
    assert abs(share(lambda s: s.style == "sticker") - 0.55) < 0.03
    assert abs(share(lambda s: s.background.name == "plain") - 0.1) < 0.02
    assert abs(share(lambda s: bool(s.light.word)) - 0.15) < 0.02
    natural = [o for s in drawn for o in s.objects if presets.natural_colour(o.name)]
    assert abs(np.mean([o.colour == presets.natural_colour(o.name) for o in natural]) - 0.91) < 0.03


def test_in_perspective_nearer_objects_are_larger():
    for spec in specs(count=40, perspective=True, num_objects={4: 1.0}, same_class=0.0):
        order = sorted(spec.objects, key=lambda thing: thing.z)
        assert [o.radius for o in order] == sorted((o.radius for o in order), reverse=True)
    plain, large = (
        presets.sample("scenes/signs", np.random.default_rng(3), **rules) for rules in ({}, {"letters": 14.0})
    )
    assert large.words and large == plain.replace(words=tuple(replace(word, height=14.0) for word in plain.words))


def test_base_never_shows_what_is_held_out():
    for spec in specs(count=3000):
        assert spec.style not in presets.HELD_OUT_STYLES
        for thing in spec.objects:
            assert thing.name in presets.base_classes()
            assert not presets.held_out_pair(thing.name, thing.colour)
            assert not presets.held_out_pair(thing.name, thing.fill)
    pairs = [presets.held_out_pair(n, c) for n in presets.base_classes() for c in colours()]
    assert abs(np.mean(pairs) - 1 / 7) < 0.03


def test_splits_share_no_scene_and_texts_do_not_steer_pictures():
    seen = {
        corpora.example("scenes/base", split, i)[0].to_json()
        for split in ("pretrain", "train", "test")
        for i in range(300)
    }
    assert len(seen) == 900
    spec, rng = corpora.example("scenes/base", "train", 3)
    rng.random(1000)
    assert corpora.example("scenes/base", "train", 3)[0] == spec


def test_object_corpora_are_balanced():
    drawn = [corpora.example("objects/styles", "train", i)[0] for i in range(160)]
    count = {}
    for spec in drawn:
        key = (spec.objects[0].name, spec.style)
        count[key] = count.get(key, 0) + 1
    assert set(count.values()) == {2} and len(count) == 80


def test_a_corpus_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    folder = tmp_path / "objects" / "plain"
    monkeypatch.setattr(corpora, "sizes", lambda name, profile: {"train": 24, "test": 8})
    info = corpora.write("objects/plain", "smoke", folder, progress=False)
    again = corpora.write("objects/plain", "smoke", tmp_path / "twice", progress=False)
    assert info["digest"] == again["digest"] and json.loads((folder / "corpus.json").read_text())["profile"] == "smoke"
    image, label = np.load(folder / "train" / "image.npy"), np.load(folder / "train" / "label.npy")
    assert image.shape == (24, 64, 64, 3) and image.dtype == np.uint8 and label.tolist() == [i % 20 for i in range(24)]
    assert len((folder / "train" / "captions.jsonl").read_text().splitlines()) == 24
    assert np.load(folder / "test" / "attrs.style.npy").shape == (8,)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(corpora, "_write_split", fail)
    with pytest.raises(OSError):
        corpora.write("objects/plain", "smoke", folder, progress=False)
    assert (folder / "corpus.json").exists() and len(np.load(folder / "train" / "image.npy")) == 24


def test_unknown_names_say_what_there_is():
    with pytest.raises(ValueError, match="scenes/base"):
        corpora.sizes("scenes/bas", "mini")
    with pytest.raises(ValueError, match="objects/plain"):
        presets.sample("objects/plian", np.random.default_rng(0))
    with pytest.raises(ValueError, match="clases"):
        presets.sample("objects/plain", np.random.default_rng(0), clases=("cat",))
