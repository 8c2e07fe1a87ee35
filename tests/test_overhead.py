"""Pictures from above: exact truth, locality, no canonical up, no shortcut through colours."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from lib.world import overhead

GOLDEN = "c613aa10a20c7407"


def scenes(count, tag=1):
    return [overhead.sample(np.random.default_rng([tag, i]), overhead.LANDS[i % 8]) for i in range(count)]


def test_truth_is_what_the_items_say():
    for scene in scenes(80):
        facts = overhead.truth(scene)
        assert ("scene", scene.land) in facts and ("ground", scene.ground) in facts
        for kind in {item.kind for item in scene.items}:
            number = sum(item.kind == kind for item in scene.items)
            assert (
                ("count", kind, number) in facts and ("object", kind) in facts and overhead.count(scene, kind) == number
            )
        for fact in facts:
            if fact[0] == "attribute":
                assert {item.colour for item in scene.items if item.kind == fact[1]} == {fact[2]}
            if fact[0] == "layout":
                assert fact[2] in overhead.LAYOUTS and overhead.count(scene, fact[1]) >= 3
        assert overhead.Overhead.from_json(scene.to_json()) == scene


def test_things_lie_inside_and_apart():
    for scene in scenes(160, 2):
        small = [item for item in scene.items if item.kind in overhead.THINGS]
        for item in small:
            assert item.size / 2 <= min(item.x, item.y, 1 - item.x, 1 - item.y) * 64 + 0.1
        for k, a in enumerate(small):
            for b in small[:k]:
                assert np.hypot(a.x - b.x, a.y - b.y) * 64 > 2.9


def test_rows_are_straight():
    seen = 0
    for scene in scenes(240, 3):
        for kind, how in scene.layout:
            points = np.array([(item.x, item.y) for item in scene.items if item.kind == kind])
            if how == "in a row" and len(points) >= 3:
                points -= points.mean(0)
                assert np.linalg.svd(points)[1][1] < 0.002
                seen += 1
    assert seen > 20


def test_removing_a_thing_changes_its_neighbourhood_only():
    y, x = np.mgrid[:64, :64] + 0.5
    for scene in scenes(40, 4):
        whole = overhead.render(scene)
        for k, item in enumerate(scene.items[:6]):
            rest = overhead.render(replace(scene, items=scene.items[:k] + scene.items[k + 1 :]))
            changed = (rest != whole).any(-1)
            if item.kind in overhead.THINGS:
                far = np.hypot(x - item.x * 64, y - item.y * 64) > item.size * 0.72 + 5
                assert changed.sum() > 4 and not (changed & far).any()


def test_every_land_has_every_ground_and_no_favourite_direction():
    drawn = scenes(400, 5)
    assert len({(scene.land, scene.ground) for scene in drawn}) == 8 * len(overhead.grounds())
    angles = np.radians([scene.angle for scene in drawn])
    assert np.hypot(np.cos(angles).mean(), np.sin(angles).mean()) < 0.12


def test_counts_vary_within_a_land_and_kinds_occur_in_several_lands():
    drawn = scenes(240, 6)
    lands = {
        kind: {s.land for s in drawn if overhead.count(s, kind)} for kind in ("house", "tree", "car", "pond", "rock")
    }
    assert all(len(found) >= 3 for found in lands.values())
    for land, kind in (
        ("harbour", "ship"),
        ("airport", "plane"),
        ("car park", "car"),
        ("town", "house"),
        ("farm", "field"),
    ):
        assert len({overhead.count(s, kind) for s in drawn if s.land == land}) >= 4


def test_colours_alone_do_not_tell_the_land():
    """A logistic model on colour histograms stays below .5 with 240 training pictures (chance .125)."""
    from sklearn.linear_model import LogisticRegression

    def histogram(scene):
        bins = overhead.render(scene).astype(int) >> 6
        index = (bins[..., 0] * 4 + bins[..., 1]) * 4 + bins[..., 2]
        return np.sqrt(np.bincount(index.ravel(), minlength=64) / 4096)

    train, test = scenes(240, 7), scenes(160, 8)
    model = LogisticRegression(C=10, max_iter=300)
    model.fit(np.stack([histogram(s) for s in train]), [s.land for s in train])
    assert model.score(np.stack([histogram(s) for s in test]), [s.land for s in test]) < 0.5


def test_count_words():
    assert [overhead.count_word(n) for n in (0, 1, 6, 7, 10, 11)] == ["no", "one", "six", "several", "several", "many"]


def test_refused_scenes_say_why():
    with pytest.raises(ValueError, match="'moon'.*harbour"):
        overhead.sample(np.random.default_rng(0), "moon")
    with pytest.raises(ValueError, match="'moon'.*harbour"):
        overhead.render(overhead.Overhead("moon"))
    with pytest.raises(ValueError, match="'pink'.*green"):
        overhead.render(overhead.Overhead(ground="pink"))
    with pytest.raises(ValueError, match="'whale'.*ship"):
        overhead.render(overhead.Overhead(items=(overhead.Item("whale", 0.5, 0.5),)))
    with pytest.raises(ValueError, match="'mauve'.*white"):
        overhead.render(overhead.Overhead(items=(overhead.Item("car", 0.5, 0.5, colour="mauve"),)))


def test_overhead_has_the_golden_bytes():
    digest = hashlib.sha256()
    for scene in scenes(24, 9):
        image = overhead.render(scene)
        assert image.shape == (64, 64, 3) and image.dtype == np.uint8
        digest.update(image.tobytes() + scene.to_json().encode())
    assert digest.hexdigest()[:16] == GOLDEN
