"""Exact truth, for any scene: an edit changes what it says and nothing else, masks cover what is drawn, and what holds
of a scene is seen in its masks and boxes."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, binary_erosion

from lib.world import damage, grammar, grammar_change, grammar_truth, kb, lettering, presets
from lib.world.edit import KINDS, Op, edit
from lib.world.grammar_noun import nouns, words
from lib.world.render import GROUND, render
from lib.world.spec import Background, Camera, Light, Object, Spec, Word
from lib.world.textures import BACKGROUNDS, colours

SEEDS = st.integers(0, 2**31)
_SCENE = {"styles": {"sticker": 1.0}, "light": 0.0, "same_class": 0.0, "held_out_pairs": True}


def scene(rng, count=3, **overrides):
    """A scene of `count` solid objects of different classes; the first is of role A, perhaps hurt, or a badge."""
    rules = {"classes": presets.solid_classes(), "num_objects": {count: 1.0}, "words": {0: 0.5, 1: 0.5}}
    spec = presets.sample("scenes/full", rng, **_SCENE | rules | {"badges": 0.2, "damage": 0.0} | overrides)
    able = [k for k, thing in enumerate(spec.objects) if thing.name in presets.role("A")]
    if able and rng.random() < 0.5:
        spec = spec.replace(damage=(damage.place(damage.KINDS[rng.integers(5)], rng, spec, able[0]),))
    return spec


def grown(mask, by=6):
    """A mask with the rim that is drawn around a silhouette: six pixels at a tip or a whisker, mostly two."""
    return binary_dilation(mask, np.ones((3, 3)), iterations=by)


def whole(spec):
    """Silhouettes of a scene, bool [n, 64, 64], as if nothing were broken off."""
    things = tuple(replace(thing, state="") for thing in spec.objects)
    return render(spec.replace(objects=things, damage=()), ("region",)).region


# ---- edits


def one_of(rng, options, *taken):
    left = [option for option in options if option not in taken]
    return left[int(rng.integers(len(left)))]


def operation(kind, spec, rng):
    """An op of a kind that applies to a scene, the objects it is about, and the named differences that it makes."""
    k = int(rng.integers(len(spec.objects)))
    thing, shown = spec.objects[k], {other.name for other in spec.objects}
    pair = (k, (k + 1) % len(spec.objects))
    fresh = one_of(rng, presets.solid_classes(), *shown)
    x, y = round(rng.uniform(0.2, 0.8), 3), round(rng.uniform(0.2, 0.8), 3)
    if kind == "word" and spec.words:
        kind, value = "word", one_of(rng, ("stop", "exit", "cup", None), spec.words[0].text)
        return Op(kind, 0, value), (), {"word"}
    values = {
        "add": (Op("add", None, Object(fresh, "teal", radius=8.0, x=x, y=y, noise=7)), (), {"add"}),
        "remove": (Op("remove", k), (k,), {"remove"}),
        "replace": (Op("replace", k, fresh), (k,), {"replace"}),
        "recolour": (Op("recolour", k, one_of(rng, list(colours()), thing.colour)), (k,), {"recolour"}),
        "refill": (Op("refill", k, (one_of(rng, ("plain", "dotted", "checked"), thing.fill), "grey")), (k,),
                   {"refill"}),
        "resize": (Op("resize", k, thing.radius + 6.0), (k,), {"resize"}),
        "move": (Op("move", k, (x, y)), (k,), {"move"}),
        "count": (Op("count", k, 2 + int(rng.integers(3))), (k,), {"count"}),
        "turn": (Op("turn", k, thing.angle + 90.0 * int(rng.integers(1, 4))), (k,), {"turn"}),
        "mirror": (Op("mirror", k), (k,), {"mirror"}),
        "state": (Op("state", k, damage.place("hole", rng, spec, k)), (k,), {"state"}),
        "word": (Op("word", None, Word("open", 0.5, 0.9, noise=3)), (), {"word"}),
        "light": (Op("light", None, Light(0.4, word="dark")), (), {"light"}),
        "background": (Op("background", None, Background(one_of(rng, BACKGROUNDS, spec.background.name))), (),
                       {"background"}),
        "viewpoint": (Op("viewpoint", None, Camera(3.0, -4.0, 1.1)), (), {"viewpoint"}),
        "swap subject": (Op(kind, pair, fresh), pair[:1], {"replace"}),
        "swap object": (Op(kind, pair, fresh), pair[1:], {"replace"}),
        "swap attribute": (Op(kind, pair), pair, {"recolour", "refill"}),
        "swap relation": (Op(kind, pair), pair, {"swap"}),
        "none": (Op("none"), (), set()),
    }  # fmt: skip
    return values[kind]


FIELDS = {  # what may change of an object
    "replace": {"name"}, "recolour": {"colour"}, "refill": {"fill", "fill_colour"}, "resize": {"radius"},
    "move": {"x", "y"}, "turn": {"angle"}, "mirror": {"mirrored"}, "state": {"state"}, "swap subject": {"name"},
    "swap object": {"name"}, "swap attribute": {"colour", "fill", "fill_colour"}, "swap relation": {"x", "y"},
}  # fmt: skip
SCENE_FIELDS = {
    "word": {"words"}, "light": {"light"}, "background": {"background"}, "viewpoint": {"camera"},
    "state": {"objects", "damage"}, "remove": {"objects", "damage"}, "none": set(),
}  # fmt: skip


def changed_fields(one, other):
    return {f.name for f in dataclasses.fields(one) if getattr(one, f.name) != getattr(other, f.name)}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_an_edit_changes_what_it_says_and_nothing_else(kind, seed):
    rng = np.random.default_rng(seed)
    spec = scene(rng, badges=0.0) if kind in ("replace", "swap subject", "swap object") else scene(rng)
    if kind == "state":  # on a whole object
        spec = spec.replace(damage=())
    op, about, said = operation(kind, spec, rng)
    if kind == "swap attribute" and (spec.objects[about[0]].colour, spec.objects[about[0]].fill) == (
        spec.objects[about[1]].colour, spec.objects[about[1]].fill):  # fmt: skip
        return
    after = edit(spec, op)

    # the scene
    assert changed_fields(spec, after) <= SCENE_FIELDS.get(kind, {"objects"})
    before_left = [o for i, o in enumerate(spec.objects) if i not in about]
    after_left = [o for i, o in enumerate(after.objects) if i not in about]
    if kind == "count":
        others = [o for o in spec.objects if o.name != spec.objects[op.target].name]
        assert [o for o in after.objects if o.name != spec.objects[op.target].name] == others
        assert sum(o.name == spec.objects[op.target].name for o in after.objects) == op.value
        about = tuple(i for i, o in enumerate(after.objects) if o.name == spec.objects[op.target].name)
    elif kind == "remove":
        assert list(after.objects) == before_left
        assert len(after.damage) == sum(one.target != op.target for one in spec.damage)
    elif kind == "add":
        assert after.objects == (*spec.objects, op.value)
        about = (len(spec.objects),)
    else:
        assert after_left == before_left
        for i in about:
            assert changed_fields(spec.objects[i], after.objects[i]) <= FIELDS[kind]

    # the picture: beyond the objects it is about and a rim, every pixel stays
    first, second = (render(one, ("words",)) for one in (spec, after))
    if kind in ("light", "background"):
        assert (first.inst == second.inst).all() and (first.boxes == second.boxes).all()
    if kind == "background":
        inside = binary_erosion(first.inst > 0, np.ones((3, 3)), iterations=3) & ~grown(first.word_mask)
        kept = (first.image == second.image).all(-1)[inside]
        assert not kept.size or kept.mean() >= 0.95  # but for notches in a silhouette
    elif kind not in ("light", "viewpoint"):
        touched = np.zeros((64, 64), bool)
        for one, drawn in ((spec, first), (after, second)):
            for i in about:
                if i < len(one.objects) and not (kind == "remove" and one is after):
                    touched |= whole(one)[i]
            if kind == "word":
                touched |= drawn.word_mask
        assert (first.image == second.image)[~grown(touched)].all()

    # what is said of it
    found = {one.kind for one in grammar_change.differences(spec, after)}
    assert found <= said and (found or kind == "none"), (found, said)
    if kind in FIELDS or kind in ("remove", "add"):
        named = {spec.objects[i].name for i in about if i < len(spec.objects)} | {
            after.objects[i].name for i in about if i < len(after.objects)
        }
        names = {name for one in named for name in kb.called(one)}
        kept = [{item for item in grammar.tuples(one) if item[0] in ("object", "attribute", "count", "scene", "word")
                 and item[1] not in names} for one in (spec, after)]  # fmt: skip
        assert kept[0] == kept[1]


# ---- masks


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, style=st.sampled_from(("sticker", "ink", "outline", "photo", "sketch", "halftone", "inverted")))
def test_masks_cover_what_is_drawn(seed, style):
    """Without an object the picture differs in its silhouette and a rim, and nowhere else."""
    rng = np.random.default_rng(seed)
    spec = scene(rng, 2, badges=0.3).replace(style=style)
    k = int(rng.integers(2))
    drawn, without = render(spec, ("region",)), render(edit(spec, Op("remove", k)))
    region = whole(spec)[k]
    for i in range(2):
        assert not (drawn.inst == i + 1)[~drawn.region[i]].any()  # what is seen of it is part of it
    change = np.abs(drawn.image.astype(int) - without.image.astype(int)).max(-1)
    assert not (change[~grown(region)] > 0).any()
    strong = change > 40
    assert strong[grown(region, 2)].sum() >= 0.95 * strong.sum()  # all but thin strands lie in its rim
    shown = region & (drawn.inst == k + 1)
    if shown.sum() > 60 and not spec.words:
        assert change[shown].max() > 40  # an outline by night is faint


@settings(max_examples=80, deadline=None)
@given(seed=SEEDS)
def test_boxes_regions_and_layers_agree(seed):
    spec = scene(np.random.default_rng(seed), 4)
    drawn = render(spec, ("region", "sem", "depth", "damage", "words"))
    order = sorted(range(4), key=lambda i: -spec.objects[i].z)
    front = np.zeros((64, 64), int)
    for i in order:
        front[drawn.region[i]] = i + 1
    assert (front == drawn.inst).mean() > 0.995  # a missing chunk shows what lies behind
    for i, box in enumerate(drawn.boxes):
        ys, xs = np.nonzero(drawn.inst == i + 1)
        want = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) if len(xs) else (0, 0, 0, 0)
        np.testing.assert_allclose(box * 64, want)
    assert (drawn.sem[drawn.inst == 0] == GROUND + BACKGROUNDS.index(spec.background.name)).all()
    if spec.damage and (drawn.inst == spec.damage[0].target + 1).sum() > 40:
        i = spec.damage[0].target
        assert not (drawn.damage & ~grown(whole(spec)[i])).any()
        name = nouns(spec.objects[i].name)[0][0]
        assert grammar.holds(spec, f"{kb.article(name)} {name} with damage")


# ---- what holds


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS)
def test_what_holds_is_seen_in_masks_and_boxes(seed):
    """Places, sizes, sides, layers and numbers, read off the pictures, against the judge."""
    spec = scene(np.random.default_rng(seed), 3, badges=0.0)
    drawn = render(spec, ("region", "words"))
    masks = whole(spec)
    centres, extents = [], []
    for mask in masks:
        ys, xs = np.nonzero(mask)
        centres.append(((xs.min() + xs.max() + 1) / 128, (ys.min() + ys.max() + 1) / 128))
        extents.append(max(xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()) / 2)
    inside = [m[0].sum() + m[-1].sum() + m[:, 0].sum() + m[:, -1].sum() == 0 for m in masks]  # not cut by the border
    for i, thing in enumerate(spec.objects):
        if not inside[i]:
            continue
        noun = nouns(thing.name)[0][0]
        said = f"{kb.article(noun)} {noun}"
        assert grammar.holds(spec, f"one {noun}")
        for word in kb.values("position"):
            near = [abs(c - b) < 0.09 for c in centres[i] for b in (1 / 3, 2 / 3)]
            if not any(near):
                seen = grammar_truth.PLACES[int(3 * centres[i][1])][int(3 * centres[i][0])]
                assert grammar.holds(spec, f"{said} {words('position', word)[0]}") == (word == seen)
        if grammar.holds(spec, f"a small {noun}"):
            assert extents[i] < 15
        if grammar.holds(spec, f"a large {noun}"):
            assert extents[i] > 9
        assert 0.45 * thing.radius < extents[i] < 1.45 * thing.radius  # a square reaches beyond its circle
        for j, other in enumerate(spec.objects):
            if i == j or not inside[j]:
                continue
            mate = nouns(other.name)[0][0]

            def holds(relation, said=said, mate=mate):
                return grammar.holds(spec, f"{said} {relation} {kb.article(mate)} {mate}")

            (x, y), (u, v) = centres[i], centres[j]
            for relation, gap, across in (("left of", u - x, v - y), ("right of", x - u, v - y),
                                          ("above", v - y, u - x), ("below", y - v, u - x)):  # fmt: skip
                if holds(relation):
                    assert gap > 0
                elif gap > 0.3:
                    assert abs(across) > gap - 0.2
            shared = masks[i] & masks[j]
            if holds("in front of"):
                assert not holds("behind") and not (drawn.inst[shared] == j + 1).any()
            apart = np.hypot(thing.x - other.x, thing.y - other.y) * 64 > 1.45 * (thing.radius + other.radius)
            if apart:
                assert not shared.any() and not holds("touching") and not holds("inside")
            if shared.sum() > 30 and not apart:
                assert any(holds(r) for r in ("touching", "inside", "in front of", "behind", *grammar_truth.SIDES))
    visible = {int(v) - 1 for v in np.unique(drawn.inst)} - {-1}
    assert len(visible) <= len(spec.objects)
    if len(visible) == len(spec.objects):
        assert grammar.holds(spec, f"{kb.NUMBERS[len(visible)]} objects")


def test_written_words_stand_where_they_are_said_to():
    """Words of the lexicon are moved into the picture; few are moved into another third of it."""
    moved, shown = 0, 0
    for row in lettering.lexicon():
        for seed in range(5):
            rng = np.random.default_rng([seed, len(row["word"])])
            word = Word(row["word"], round(rng.uniform(0.25, 0.75), 3), round(rng.uniform(0.1, 0.9), 3), noise=seed)
            spec = Spec(words=(word,))
            left, top, right, bottom = render(spec, ("words",)).word_boxes[0]
            x, y = (left + right) / 2, (top + bottom) / 2
            place = grammar_truth.PLACES[int(3 * y)][int(3 * x)]
            shown += 1
            moved += not grammar.holds(spec, f'the word "{row["word"]}" is written {words("position", place)[0]}')
    assert moved / shown < 0.12
