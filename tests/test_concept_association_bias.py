"""The method cells of notebooks/analysis/concept_association_bias.ipynb: checks of the card, controls, other data."""

import json

import numpy as np
import pytest
import torch
from cells import definitions
from examples import noise_pictures

COLOURS = ["red", "orange", "yellow", "green", "teal", "blue", "purple", "pink"]
TYPICAL = {"heart": "red", "sun": "yellow", "anchor": "blue", "shamrock": "green", "flag": "red"}


@pytest.fixture(scope="module")
def cab():
    return definitions("concept_association_bias")


def random_p(count=20, answers=8, seed=0):
    """p [N, 2, C] and two different colours of each picture."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(answers), (count, 2)), np.array([rng.permutation(answers)[:2] for _ in range(count)])


# the card's checks


@pytest.mark.parametrize("a", [0.0, 0.1, 0.5, 1.0, 2.0])
def test_toy_agrees_with_the_closed_form(cab, a):
    found = cab.toy(a)
    assert found["purple"] == pytest.approx((2 + a) / (2 * np.sqrt(2 + a**2)))
    assert found["yellow"] == pytest.approx((2 + a) / (2 * np.sqrt((1 + a) ** 2 + 1)))
    assert (found["purple"] > found["yellow"] + 1e-9) == (a > 0)


def test_toy_ties_without_association_and_errs_with_it(cab):
    assert cab.toy(0) == {"yellow": pytest.approx(0.7071, abs=1e-4), "purple": pytest.approx(0.7071, abs=1e-4)}
    assert cab.toy(1) == {"yellow": pytest.approx(0.6708, abs=1e-4), "purple": pytest.approx(0.8660, abs=1e-4)}


def test_toy_needs_only_one_of_the_two_associations(cab):
    for a in (0.5, 1.0):
        assert cab.toy(0, other=a) == {"yellow": pytest.approx(0.5**0.5), "purple": cab.toy(a)["purple"]}
        assert cab.toy(a, other=0) == {"yellow": cab.toy(a)["yellow"], "purple": pytest.approx(0.5**0.5)}


def test_toy_with_the_lemon_alone_is_right(cab):
    found = cab.toy(0.5, ("lemon", "yellow"))
    assert found == {"yellow": pytest.approx(0.9806, abs=1e-4), "purple": pytest.approx(0.4714, abs=1e-4)}


def test_cab_score_of_always_right_always_the_other_and_uniform(cab):
    _, shown = random_p()
    right = np.eye(8)[shown]
    assert (cab.scores(right, shown)["cab_score"] == 0).all()
    assert (cab.scores(right[:, ::-1], shown)["cab_score"] == 1).all()
    np.testing.assert_allclose(cab.scores(np.full((20, 2, 8), 1 / 8), shown)["cab_score"], 0.5)


def test_exchanging_the_objects_turns_the_score_around(cab):
    p, shown = random_p()
    there, back = cab.scores(p, shown), cab.scores(p, shown[:, ::-1])
    np.testing.assert_allclose(back["cab_score"], 1 - there["cab_score"])
    np.testing.assert_array_equal(back["accuracy"], there["other_colour"])


def test_outcome_rates_add_up_and_a_mirror_image_changes_nothing(cab):
    p, shown = random_p(50)
    found = cab.scores(p, shown)
    np.testing.assert_array_equal(found["accuracy"] + found["other_colour"] + found["neither"], 1)
    assert 0 < found["accuracy"].mean() < 1
    mirrored = cab.scores(p[:, ::-1], shown[:, ::-1])
    for metric, each in found.items():
        np.testing.assert_allclose(mirrored[metric].mean(axis=1), each.mean(axis=1))


def test_a_constant_of_an_image_changes_nothing_a_constant_of_a_text_does(cab):
    rng = np.random.default_rng(1)
    x, T, names = (
        cab.unit(rng.normal(size=(30, 6))),
        cab.unit(rng.normal(size=(4, 8, 6))),
        rng.integers(4, size=(30, 2)),
    )
    l = cab.logits(x, T, names, 10.0)
    np.testing.assert_allclose(l[3, 1], 10 * T[names[3, 1]] @ x[3])
    np.testing.assert_allclose(cab.softmax(l + rng.normal(size=(30, 1, 1))), cab.softmax(l))
    biased = l + rng.normal(size=(4, 8))[names]
    assert np.abs(cab.softmax(biased) - cab.softmax(l)).max() > 0.1
    bare = cab.without_prior(l, names, x, T, 10.0)
    every = 10.0 * np.einsum("nd,kcd->nkc", x, T)
    np.testing.assert_allclose(bare, l - every.mean(axis=0)[names])
    one = np.full_like(names, 2)  # of one class every sentence has mean zero over the pictures
    l = cab.logits(x, T, one, 10.0)
    np.testing.assert_allclose(cab.without_prior(l, one, x, T, 10.0).mean(axis=0), 0, atol=1e-12)


# baselines and the world


def test_counting_colours_has_no_preference(cab):
    rng = np.random.default_rng(2)
    x, words = cab.unit(rng.normal(size=(9, 6))), cab.unit(rng.normal(size=(8, 6)))
    T = np.broadcast_to(words, (5, 8, 6))
    names, shown = rng.integers(5, size=(9, 2)), random_p(9)[1]
    found = cab.scores(cab.softmax(cab.logits(x, T, names, 20.0)), shown)
    np.testing.assert_allclose(found["cab_score"].mean(axis=1), 0.5)
    assert found["cab_score"].std() > 0.01  # of single questions it has


def test_colours_of_a_scene_follow_the_association(cab):
    rng, names = np.random.default_rng(3), ("heart", "anchor")
    found = [cab.drawn(names, TYPICAL, 0.8, COLOURS, rng) for _ in range(3000)]
    assert all(a != b for a, b in found)
    assert np.mean([a == "red" for a, _ in found]) == pytest.approx(0.8, abs=0.03)
    free = [cab.drawn(("cat",), TYPICAL, 0.8, COLOURS, rng)[0] for _ in range(3000)]
    assert max(np.mean([one == colour for one in free]) for colour in COLOURS) < 0.17
    same = [cab.drawn(("heart", "flag"), TYPICAL, 1.0, COLOURS, rng) for _ in range(50)]
    assert all(a == "red" != b for a, b in same)  # never a shared colour


def test_recoloured_pairs_have_colours_that_are_typical_of_nothing(cab):
    rng = np.random.default_rng(4)
    for _ in range(40):
        pair = cab.untypical(("heart", "anchor"), TYPICAL, COLOURS, rng)
        assert len(set(pair)) == 2 and not set(pair) & set(TYPICAL.values())
    few = {cab.untypical(("heart", "anchor"), TYPICAL, ["red", "yellow", "green", "blue"], rng) for _ in range(40)}
    assert few == {("yellow", "green"), ("green", "yellow")}  # where every colour has a class: typical of neither


def test_held_out_pairs_do_not_depend_on_the_order(cab):
    names = [f"class {k}" for k in range(30)]
    pairs = [(a, b) for a in names for b in names if a < b]
    assert all(cab.apart(a, b, 0.5) == cab.apart(b, a, 0.5) for a, b in pairs)
    assert np.mean([cab.apart(a, b, 0.5) for a, b in pairs]) == pytest.approx(0.5, abs=0.08)
    assert not any(cab.apart(a, b, 0.0) for a, b in pairs) and all(cab.apart(a, b, 1.0) for a, b in pairs)


def test_captions_have_reporting_bias(cab):
    rng, prompt = np.random.default_rng(5), "the color of the {} is {}."
    said = [cab.caption(("anchor",), ("blue",), rng, prompt, 0.5, 0.2) for _ in range(2000)]
    assert set(said) == {"an anchor", "a blue anchor", "the color of the anchor is blue."}
    assert np.mean([one == "an anchor" for one in said]) == pytest.approx(0.5, abs=0.04)
    said = [cab.caption(("anchor", "sun"), ("blue", "pink"), rng, prompt, 0.5, 0.2) for _ in range(2000)]
    bare = {"an anchor and a sun", "a sun and an anchor"}
    assert set(said) == bare | {"a blue anchor and a pink sun", "a pink sun and a blue anchor"}
    assert np.mean([one in bare for one in said]) == pytest.approx(0.8, abs=0.04)


def test_probe_sentences_name_one_object_and_vary_the_colour(cab):
    found = cab.sentences(["sun", "cat"], ["red", "blue"], cab.prompt)
    assert found[1] == "in this picture, the color of the sun is blue." and len(found) == 4
    assert all(("sun" in one) + ("cat" in one) == 1 for one in found)


def test_painting_changes_colours_and_nothing_else(cab):
    from lib.world import corpora

    spec = next(
        s for s in (corpora.example("objects/natural", "probe", i, 1)[0] for i in range(9)) if len(s.objects) == 2
    )
    one, two = cab.rendered(spec, ("red", "blue")), cab.rendered(spec, ("red", "teal"))
    changed = np.flatnonzero((one != two).any(axis=(0, 2)))
    assert len(changed) > 0 and (changed.min() > 28) == (spec.objects[1].x > 0.5)  # of the second object's half only
    cutout = np.full((40, 40, 3), 255, np.uint8)
    cutout[10:30, 10:30] = (210, 40, 40)
    found = cab.pasted([cutout, cutout], ("red", "red"), 64, ("red", "blue"))
    assert found.shape == (64, 64, 3) and tuple(found[0, 0]) == (255, 255, 255)
    left, right = found[32, 16].astype(int), found[32, 48].astype(int)
    assert left[0] > left[2] + 100 and right[2] > right[0] + 80  # red as it was, and blue


# training


def test_text_is_trained_and_the_image_tower_is_not(cab, tiny_encoder):
    tower, rng = cab.text_tower(tiny_encoder), np.random.default_rng(0)
    before = {name: one.detach().clone() for name, one in tower.model.named_parameters()}
    x = torch.nn.functional.normalize(torch.randn(12, tiny_encoder.dim, generator=torch.manual_seed(0)), dim=-1)
    texts = [f"a {COLOURS[i % 8]} cup" for i in range(12)]
    batches = [rng.permutation(12)[:8] for _ in range(20)]
    found = cab.continue_text(tower, x, lambda row: texts[row], batches, 20, 1e-2)
    assert np.mean(found[-5:]) < np.mean(found[:5])
    changed = {name for name, one in tower.model.named_parameters() if not torch.equal(one, before[name])}
    assert changed and not any(name.startswith("visual.") for name in changed)
    got = cab.embed(tower, texts[:4]).detach().numpy()
    np.testing.assert_allclose(got, tower.encode_texts(texts[:4]), atol=1e-5)


def test_joint_reads_patches_and_question_but_no_padding(cab):
    torch.manual_seed(0)
    joint = cab.Joint(6, 5, 4, width=16, layers=2, heads=2).eval()
    patches, tokens = torch.randn(3, 9, 6), torch.randn(3, 7, 5)
    used = torch.arange(7) < torch.tensor([[3], [5], [7]])
    with torch.no_grad():
        got = joint(patches, tokens, used)
        padded = torch.where(used[..., None], tokens, torch.full_like(tokens, 9.0))
        torch.testing.assert_close(joint(patches, padded, used), got)
        assert (joint(patches.flip(0), tokens, used) - got).abs().max() > 1e-3
        assert (joint(patches, tokens.flip(1), used) - got)[2].abs().max() < 1e-5  # a set of tokens: all are used
        assert (joint(patches, tokens + 1, used) - got).abs().max() > 1e-3
        assert (joint(patches[:, torch.randperm(9)], tokens, used) - got).abs().max() < 1e-5


def bindings(count, rng):
    """Two patches of (object, colour), a question for one of the objects: solved by those who match them."""
    objects = np.array([rng.permutation(4)[:2] for _ in range(count)])
    hues, asked = np.array([rng.permutation(4)[:2] for _ in range(count)]), rng.integers(2, size=count)
    patches = np.concatenate([np.eye(4)[objects], np.eye(4)[hues]], axis=2)
    rows = np.arange(count)
    parts = patches, np.eye(4)[objects[rows, asked]][:, None], hues[rows, asked], hues[rows, 1 - asked]
    return [torch.from_numpy(one).float() if one.ndim > 1 else torch.from_numpy(one) for one in parts]


def test_joint_learns_to_bind_and_the_pooled_mlp_cannot(cab):
    rng = np.random.default_rng(0)
    patches, tokens, answers, other = bindings(4000, rng)
    torch.manual_seed(0)
    joint = cab.Joint(8, 4, 4, width=32, layers=2, heads=4)
    mlp = cab.pooled_mlp(6, 4, cab.count(joint))
    assert cab.count(joint) <= cab.count(mlp) < 1.05 * cab.count(joint)
    used = torch.ones(4000, 1, dtype=torch.bool)
    pooled = torch.cat([patches.mean(1), tokens[:, 0]], dim=1)
    wide = {"joint": (joint, lambda r: (patches[r], tokens[r], used[r])), "mlp": (mlp, lambda r: (pooled[r],))}
    for module, given in wide.values():
        batches = [rng.integers(3500, size=64) for _ in range(400)]
        cab.fit_answers(module, given, answers, batches, 400, 3e-3)
    held, got = np.arange(3500, 4000), {}
    for name, (module, given) in wide.items():
        with torch.no_grad():
            got[name] = float((module(*given(held)).argmax(dim=1) == answers[held]).float().mean())
    assert got["joint"] > 0.9 and got["mlp"] < 0.65  # two colours and no knowledge of whose: one half


def test_both_questions_of_a_picture_come_together(cab):
    found = list(cab.both([np.array([3, 0]), np.array([1])]))
    assert [list(one) for one in found] == [[6, 7, 0, 1], [2, 3]]


def test_misled_answers(cab):
    rng = np.random.default_rng(0)
    found = cab.misled(np.zeros(4000, int), np.ones(4000, int), 0.25, rng)
    assert (
        found.mean() == pytest.approx(0.25, abs=0.03)
        and (cab.misled(np.zeros(9, int), np.ones(9, int), 0, rng) == 0).all()
    )


# a real architecture, public pictures


@pytest.mark.slow
def test_a_real_architecture_takes_the_same_path(cab, vit_b16):
    from lib import hooks

    images = np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3)).astype(np.uint8)
    x, names = vit_b16.encode_images(images), ["lemon", "eggplant"]
    T = vit_b16.encode_texts(cab.sentences(names, COLOURS, cab.prompt)).reshape(2, 8, -1)
    p = cab.softmax(cab.logits(x, T, np.array([[0, 1]] * 4), vit_b16.scale))
    found = cab.scores(p, np.array([[2, 6]] * 4))
    assert found["cab_score"].shape == (4, 2) and ((found["cab_score"] >= 0) & (found["cab_score"] <= 1)).all()
    tower = cab.text_tower(vit_b16)
    before = tower.model.text_projection.detach().clone()
    told = [f"a {one}" for one in ("lemon", "eggplant", "lemon", "plum")]
    cab.continue_text(tower, torch.from_numpy(x), lambda row: told[row], [np.arange(4)], 1, 1e-4)
    assert not torch.equal(tower.model.text_projection, before)
    with torch.no_grad():
        patches = hooks.tokens(vit_b16, vit_b16.pixels(images), norm=True).tokens
        tokens = hooks.tokens(vit_b16, vit_b16.tokenizer(told), norm=True).tokens
    joint, used = (
        cab.Joint(patches.shape[-1], tokens.shape[-1], 8, 64, 1, 4),
        torch.ones(4, tokens.shape[1], dtype=torch.bool),
    )
    before = joint.answer.weight.detach().clone()
    cab.fit_answers(
        joint, lambda r: (patches[r], tokens[r], used[r]), torch.tensor([0, 1, 2, 3]), [np.arange(4)], 1, 1e-3
    )
    assert not torch.equal(joint.answer.weight, before)


@pytest.mark.slow
def test_the_notebook_runs_on_public_cutouts(tmp_path, workspace, tiny_folder):
    from lib import run

    own = {"lemon": "yellow", "plum": "purple", "tomato": "red", "pea": "green"}
    noise_pictures(tmp_path / "pictures", [f"{split}/{name}" for split in ("train", "test") for name in own], 4)
    overrides = {"corpus": f"folder:{tmp_path / 'pictures'}", "encoder": str(tiny_folder), "typical": own, "steps": 0}
    overrides |= {"colours": ["red", "yellow", "purple", "green"], "prompt": "a {1} {0}", "question": "a {}"}
    overrides |= {"single_least": 0.0, "scenes": 40, "wrong_answers": []}
    out = run.run("concept_association_bias", "smoke", in_process=True, overrides=overrides, quiet=True)
    verdicts = {claim["id"]: claim for claim in json.loads((out / "claims.json").read_text())["claims"]}
    assert all(verdict["ours"] for verdict in verdicts.values())
    counted = verdicts["wrong_object_colour"]["ours"]["baseline"]["value"]
    assert counted == pytest.approx(0.5)
