"""Damage: exact masks, what it leaves alone, where it is placed."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from lib.world import atlas, damage
from lib.world.edit import Op, edit
from lib.world.render import LAYERS, STYLES, render
from lib.world.spec import Background, Damage, Object, Spec
from lib.world.textures import BACKGROUNDS

GOLDEN = "a22b1012995a9568"
SOME = ("gear", "spade", "envelope", "cat", "skull", "telephone", "urn", "die with two", "dax disc")


def hurt(kind, seed=0, name=None, style="sticker", **changes):
    """A scene with one damaged object."""
    rng = np.random.default_rng([3, seed])
    name = name or SOME[seed % len(SOME)]
    thing = Object(name, ("red", "blue", "white", "teal")[seed % 4], **({"radius": 18.0, "noise": seed} | changes))
    ground = Background(BACKGROUNDS[seed % len(BACKGROUNDS)], "grey", noise=seed)
    spec = Spec((thing,), ground, style=style, noise_seed=seed)
    return spec.replace(damage=(damage.place(kind, rng, spec, 0),))


def grown(mask, pixels=1):
    return binary_dilation(mask, np.ones((3, 3)), iterations=pixels)


def change(one, other):
    return np.abs(one.image.astype(int) - other.image).max(-1)


@pytest.mark.parametrize("style", ["sticker", "ink", "outline", "photo"])
@pytest.mark.parametrize("kind", damage.KINDS)
def test_masks_cover_what_a_damage_changes(kind, style):
    shares = []
    for seed in range(18):
        spec = hurt(kind, seed, style=style)
        sound, drawn = render(spec.replace(damage=()), LAYERS), render(spec, LAYERS)
        changed = change(sound, drawn)
        assert drawn.damage.any() and not sound.damage.any()
        assert not (changed > 24)[~grown(drawn.damage)].any()
        near = grown(sound.inst == 1, 2) if kind == "chunk" else sound.inst == 1  # a chunk takes the rim with it
        assert not drawn.damage[~near].any()
        shares.append((changed > 16)[drawn.damage].mean())
        ys, xs = np.nonzero(drawn.damage)
        longest = max(np.ptp(xs), np.ptp(ys)) + 1
        assert 2 <= longest <= 1.5 * spec.damage[0].size + 4
    assert np.mean(shares) > (0.55 if kind == "chunk" else 0.7)  # ink of the object may equal what lies behind it


@pytest.mark.parametrize("kind", damage.KINDS)
def test_only_a_chunk_leaves_the_object(kind):
    for seed in range(18):
        spec = hurt(kind, seed)
        sound, drawn = render(spec.replace(damage=()), LAYERS), render(spec, LAYERS)
        gone = (sound.inst == 1) & (drawn.inst == 0)
        assert not ((sound.inst == 0) & (drawn.inst == 1)).any()
        if kind == "chunk":
            assert gone.sum() >= 3 and not (gone & ~drawn.damage).any()
            assert (drawn.sem[gone] >= 160).all() and (drawn.parts[gone] == 0).all() and not drawn.region[0][gone].any()
        else:
            for layer in ("inst", "sem", "parts", "depth", "region", "boxes"):
                assert (getattr(sound, layer) == getattr(drawn, layer)).all()


def test_a_chunk_shows_what_lies_behind():
    far = Object("square", "yellow", radius=26.0, z=9)
    near = Object("circle", "blue", radius=16.0, z=2)
    bite = Damage("chunk", 1, x=0.9, y=0.0, size=12.0)
    spec = Spec((far, near), damage=(bite,))
    whole, drawn = render(spec.replace(damage=()), LAYERS), render(spec, LAYERS)
    gone = (whole.inst == 2) & (drawn.inst == 1)
    assert gone.sum() > 20 and drawn.damage[gone].all()
    behind = render(spec.replace(objects=(far,), damage=()))
    inner = gone & ~grown(drawn.inst == 2, 2)
    assert (change(drawn, behind)[inner] < 3).all()


def test_what_is_covered_is_in_no_mask():
    spec = Spec(
        (Object("square", radius=20.0, z=8), Object("circle", "blue", radius=14.0, z=1)), damage=(Damage("hole", 0),)
    )
    assert not render(spec, ("damage",)).damage.any()
    ahead = spec.replace(objects=(spec.objects[0], replace(spec.objects[1], z=9)))
    assert render(ahead, ("damage",)).damage.any()
    ground = Spec((Object("square", radius=20.0),), damage=(Damage("stain", -1),))
    assert not render(ground, ("damage",)).damage.any()


@pytest.mark.parametrize("kind", damage.KINDS)
def test_textures_can_be_damaged(kind):
    for index, name in enumerate(BACKGROUNDS):
        one = damage.place(kind, np.random.default_rng(index))
        spec = Spec((), Background(name, "teal", noise=index), damage=(one,))
        sound, drawn = render(spec.replace(damage=()), LAYERS), render(spec, LAYERS)
        changed = change(sound, drawn)
        assert one.target == -1 and not (changed > 24)[~grown(drawn.damage)].any()
        assert (changed > 16)[drawn.damage].mean() > 0.6 and (drawn.inst == 0).all()


def test_a_damage_moves_and_turns_with_its_object():
    for kind in damage.KINDS:
        spec = hurt(kind, 4, "envelope", radius=20.0)
        still = render(spec, ("damage",)).damage
        moved = edit(spec, Op("move", 0, (0.5 + 5 / 64, 0.5 - 3 / 64)))
        assert (np.roll(still, (-3, 5), (0, 1)) == render(moved, ("damage",)).damage).all()
        turned = edit(spec, Op("turn", 0, 180.0))
        there = np.argwhere(render(turned, ("damage",)).damage).mean(0)
        np.testing.assert_allclose(there, 63 - np.argwhere(still).mean(0), atol=2.5)
        mirrored = spec.replace(objects=(replace(spec.objects[0], mirrored=True),))
        x = np.argwhere(render(mirrored, ("damage",)).damage).mean(0)[1]
        assert abs(x - (63 - np.argwhere(still).mean(0)[1])) < 2.5


def test_places_are_on_the_object_and_in_the_picture():
    for seed in range(150):
        kind = damage.KINDS[seed % 5]
        spec = hurt(kind, seed, x=0.15 + 0.007 * (seed % 100), y=0.3, angle=float(7 * seed), radius=9.0 + seed % 14)
        one = spec.damage[0]
        assert 4 <= one.size <= 10 and min(damage.centre(spec, one)) >= 0 and max(damage.centre(spec, one)) <= 64
        assert render(spec, ("damage",)).damage.sum() >= 3
    spec = hurt("hole", 1, radius=24.0)
    assert damage.place("hole", np.random.default_rng(0), spec, 0, (8.0, 9.0)).size >= 8


def test_states_agree_with_the_damage():
    spec = hurt("stain", 2)
    said = lambda state, harm=spec.damage: spec.replace(  # noqa: E731
        objects=(replace(spec.objects[0], state=state),), damage=harm
    )
    for state in ("", "damaged", "stain"):
        assert (render(said(state)).image == render(spec).image).all()
    assert (render(said("flawless", ())).image == render(spec.replace(damage=())).image).all()
    for wrong in (said("flawless"), said("hole"), said("damaged", ()), said("shiny")):
        with pytest.raises(ValueError, match="state"):
            render(wrong)


@pytest.mark.parametrize(
    "one, message",
    [(Damage("rust"), "rust"), (Damage("hole", 1), "target 1"), (Damage("hole", 0, size=0.0), "size 0.0")],
)
def test_what_cannot_be_drawn_is_refused(one, message):
    with pytest.raises(ValueError, match=message):
        render(Spec((Object("cat"),), damage=(one,)))
    with pytest.raises(ValueError, match="rust"):
        damage.place("rust", np.random.default_rng(0))


def test_specs_with_damage_survive_json():
    for seed in range(20):
        spec = hurt(damage.KINDS[seed % 5], seed)
        assert Spec.from_json(spec.to_json()) == spec


def test_damage_families_are_in_the_class_table():
    roles = [set(row["roles"]) & {"A", "B"} for row in atlas.rows()]
    assert sum(one == {"A"} for one in roles) >= 20 and sum(one == {"B"} for one in roles) >= 20


def test_pictures_have_the_golden_bytes():
    digest = hashlib.sha256()
    for seed in range(35):
        drawn = render(hurt(damage.KINDS[seed % 5], seed, style=STYLES[seed % 7]), ("damage",))
        digest.update(drawn.image.tobytes())
        digest.update(drawn.damage.tobytes())
    assert digest.hexdigest()[:16] == GOLDEN
