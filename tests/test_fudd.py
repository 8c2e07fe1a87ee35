"""The method cells of notebooks/adaptation/fudd.ipynb: checks of the card, traps, published files."""

import json

import numpy as np
import pytest
from cells import definitions
from examples import noise_pictures, unit

from lib.metrics import accuracy_each
from lib.world import standins

NAMES = ["dax disc", "wug disc", "fep disc", "zib disc", "toma shield", "quom gem"]


@pytest.fixture(scope="module")
def fudd():
    return definitions("fudd")


@pytest.fixture(scope="module")
def pairs():
    return standins.contrast(NAMES, 0, 0.0)


class Embedding:
    """A fixed random unit vector for every text."""

    def __init__(self, dim=16):
        self.dim, self.known = dim, {}

    def __call__(self, texts):
        for one in texts:
            rng = np.random.default_rng(list(one.encode()))
            self.known.setdefault(one, unit(rng.normal(size=self.dim)))
        return np.stack([self.known[one] for one in texts])


def pictures(fudd, embed, count=60, seed=0):
    """Unit features near the templates of random classes, their labels, and the cosines of step 1."""
    rng = np.random.default_rng(seed)
    T, labels = embed([fudd.template(name) for name in NAMES]), rng.integers(len(NAMES), size=count)
    x = unit(T[labels] + 0.35 * rng.normal(size=(count, embed.dim)))
    return x, labels, x @ T.T


def entry(a, b, said_a, said_b, attribute="band"):
    return {f"{min(a, b)}_{max(a, b)}": {"classes": [a, b], "prompt_pairs": [
        {"attr_type": attribute, "prompt_pair": [said_a, said_b]}]}}  # fmt: skip


# the card's checks


def test_all_pairs_of_candidates_are_used_and_no_other(fudd, pairs):
    class Counting(dict):
        asked = ()

        def get(self, key, default=None):
            self.asked += (key,)
            return super().get(key, default)

    found = Counting(pairs)
    A = (0, 2, 3, 5)
    fudd.differential(found, A, NAMES)
    assert len(set(found.asked)) == 4 * 3 / 2 and len(found.asked) == 4 * 3  # each from both sides
    for c in A:
        assert sum(str(c) in key.split("_") for key in set(found.asked)) == 3


def test_candidates_are_topk_and_bound_the_accuracy(fudd, pairs):
    import torch

    embed = Embedding()
    x, labels, captions = pictures(fudd, embed)
    for K in (2, 3, 4):
        A = fudd.candidates(captions, K)
        np.testing.assert_array_equal(A, torch.topk(torch.from_numpy(captions), K).indices.numpy())
        guess = fudd.predict(x, A, lambda key: fudd.differential(pairs, key, NAMES), embed)
        assert ((guess == labels) <= accuracy_each(captions, labels, k=K)).all()
        assert all(c in row for c, row in zip(guess, A))


@pytest.mark.parametrize("K", [1, 2, 4, 6])
def test_without_any_pair_it_is_step_1(fudd, K):
    embed = Embedding()
    x, _, captions = pictures(fudd, embed)
    guess = fudd.predict(x, fudd.candidates(captions, K), lambda key: fudd.differential({}, key, NAMES), embed)
    np.testing.assert_array_equal(guess, captions.argmax(axis=1))


def test_all_classes_as_candidates_is_the_global_classifier(fudd, pairs):
    embed = Embedding()
    x, _, captions = pictures(fudd, embed)
    guess = fudd.predict(x, fudd.candidates(captions, 6), lambda key: fudd.differential(pairs, key, NAMES), embed)
    vectors = []
    for c in range(6):
        said = {s for pair in pairs.values() if c in pair["classes"] for one in pair["prompt_pairs"]
                for k, s in zip(pair["classes"], one["prompt_pair"]) if k == c}  # fmt: skip
        vectors.append(unit(embed(sorted(s.capitalize() for s in said)).sum(axis=0)))
    np.testing.assert_array_equal(guess, (x @ np.stack(vectors).T).argmax(axis=1))
    assert (guess != captions.argmax(axis=1)).any()


def test_repeated_sentences_count_once(fudd, pairs):
    twice = json.loads(json.dumps(pairs))
    for pair in twice.values():
        pair["prompt_pairs"] += pair["prompt_pairs"][:1]
    for A in ((0, 1, 2), (1, 4, 5)):
        assert fudd.differential(twice, A, NAMES) == fudd.differential(pairs, A, NAMES)


def test_order_of_candidates_is_nothing_and_sides_follow_classes(fudd):
    found = entry(3, 1, "a zib disc, a star.", "a WUG disc, a heart.")
    assert fudd.differential(found, (1, 3), NAMES) == {1: ["A wug disc, a heart."], 3: ["A zib disc, a star."]}
    assert fudd.entries_of(found, 3, 1) == fudd.entries_of(found, 1, 3)
    embed = Embedding()
    x, _, captions = pictures(fudd, embed)
    A = fudd.candidates(captions, 4)
    pairs = standins.contrast(NAMES, 1, 0.3)
    made = [fudd.predict(x, rows, lambda key: fudd.differential(pairs, key, NAMES), embed) for rows in (A, A[:, ::-1])]
    np.testing.assert_array_equal(*made)


# traps


def test_missing_and_empty_pairs(fudd):
    found = entry(0, 1, "a dax disc, a heart.", "a wug disc, a star.") | {
        "0_2": {"classes": [0, 2], "prompt_pairs": []}
    }
    said = fudd.differential(found, (0, 1, 3), NAMES)  # 0_3 and 1_3 are missing: the template joins
    assert said[0] == ["A dax disc, a heart.", "A photo of a dax disc."] and said[3] == ["A photo of a zib disc."]
    assert fudd.differential(found, (0, 2), NAMES)[2] == ["A photo of a fep disc."]  # present but empty


def test_one_candidate_returns_step_1(fudd, pairs):
    embed = Embedding()
    x, _, captions = pictures(fudd, embed)
    A = fudd.candidates(captions, 1)
    guess = fudd.predict(x, A, lambda key: fudd.differential(pairs, key, NAMES), embed)
    np.testing.assert_array_equal(guess, captions.argmax(axis=1))


def test_the_mean_is_made_unit(fudd):
    table = {"a": [1.0, 0.0], "b": [0.0, 1.0]}
    u = fudd.class_vector(["b", "a"], lambda texts: np.array([table[one] for one in texts]))
    np.testing.assert_allclose(u, [0.5**0.5, 0.5**0.5])


# controls


def test_the_control_draws_other_sentences_of_the_same_class(fudd, pairs):
    A = (0, 1, 2)
    used = fudd.differential(pairs, A, NAMES)
    for exclude in ("prompts", "attr_types"):
        control = fudd.non_differential(pairs, A, NAMES, np.random.default_rng(0), exclude)
        for c in A:
            everything = fudd.collected(pairs, c, range(6), NAMES)
            assert not set(control[c]) & set(used[c]) and set(control[c]) <= {*everything, fudd.template(NAMES[c])}
            barred = set(fudd.collected(pairs, c, A, NAMES).values()) if exclude == "attr_types" else set()
            spare = [s for s, attribute in everything.items() if s not in used[c] and attribute not in barred]
            assert len(control[c]) == max(1, min(len(used[c]), len(spare)))
            assert all(NAMES[c] in s.lower() for s in control[c])
    whole = tuple(range(6))
    control = fudd.non_differential(pairs, whole, NAMES, np.random.default_rng(0))
    assert control == {c: [fudd.template(NAMES[c])] for c in whole}  # K = C: nothing is left


def test_swapping(fudd):
    found = entry(0, 1, "a dax disc, its top, a knob.", "a wug disc, its top, horns.")
    assert fudd.differential(fudd.swapped(found), (0, 1), NAMES)[0] == ["A wug disc, its top, horns."]
    values = fudd.differential(fudd.swapped(found, values_only=True), (0, 1), NAMES)
    assert values == {0: ["A dax disc, its top, horns."], 1: ["A wug disc, its top, a knob."]}
    assert found["0_1"]["prompt_pairs"][0]["prompt_pair"][0] == "a dax disc, its top, a knob."  # the input stays
    assert fudd.swapped(fudd.swapped(found)) == found


def test_random_letters_keep_the_name_and_the_length(fudd):
    s = "A dax disc, its band striped."
    noise = fudd.letters(s, 0)
    assert noise.startswith("A dax disc, ") and noise.endswith(".") and len(noise) == len(s) and noise != s
    assert fudd.letters(s, 0) == noise != fudd.letters(s, 1)
    assert len(fudd.letters("no comma", 0)) == 8 and fudd.letters("no comma", 0) != "no comma"


# files, encoders, the whole notebook


@pytest.mark.parametrize(("name", "classes", "entries"), [("eurosat", 10, 3.96), ("pets", 37, 3.95)])
def test_published_pairs_load(fudd, real, name, classes, entries):
    found = standins.load_pairs(real / "descriptions" / f"fudd_{name}_prompt_pairs.json")
    assert len(found) == classes * (classes - 1) // 2
    assert np.mean([len(pair["prompt_pairs"]) for pair in found.values()]) == pytest.approx(entries, abs=0.01)
    names = [f"class {c}" for c in range(classes)]
    said = fudd.differential(found, (1, 4, 7), names)
    for c, each in said.items():
        rows = sum(len(fudd.entries_of(found, c, other)) for other in said if other != c)
        assert 0 < len(each) <= rows and all(s == s.capitalize() for s in each)
    shared = {c: set.intersection(*(set(s.lower().split()) for s in each)) for c, each in said.items()}
    assert all(shared.values())  # the sentences of a class share the words of its name: sides are not mixed up


@pytest.mark.slow
def test_a_real_architecture_takes_the_same_path(fudd, vit_b16, pairs):
    images = np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3)).astype(np.uint8)
    x = vit_b16.encode_images(images)
    captions = x @ vit_b16.encode_texts([fudd.template(name) for name in NAMES]).T
    A = fudd.candidates(captions, 3)
    guess = fudd.predict(x, A, lambda key: fudd.differential(pairs, key, NAMES), vit_b16.encode_texts)
    assert all(c in row for c, row in zip(guess, A))


@pytest.mark.slow
def test_the_notebook_runs_on_public_data_and_a_file_of_pairs(tmp_path, workspace, tiny_folder):
    from lib import run

    names = ["cup", "gear", "star", "tea_pot"]
    noise_pictures(tmp_path / "pictures", names, 5)
    found = {}
    for b in range(4):
        for a in range(b):
            found |= entry(a, b, f"a photo of a {names[a]}, red.", f"a photo of a {names[b]}, blue.")
    (tmp_path / "pairs.json").write_text(json.dumps(found))
    overrides = {"corpus": f"folder:{tmp_path / 'pictures'}", "pairs": str(tmp_path / "pairs.json"), "K": 2}
    overrides |= {"encoder": str(tiny_folder), "sizes": [1, 2, 3], "top1_range": [0.0, 1.0], "top_k_least": 0.0}
    out = run.run("fudd", "smoke", in_process=True, overrides=overrides, quiet=True)
    verdicts = {claim["id"]: claim for claim in json.loads((out / "claims.json").read_text())["claims"]}
    assert verdicts["near_few_shot"]["verdict"] == verdicts["beats_generic_and_naive"]["verdict"] == "not tested"
    assert verdicts["differential_not_just_more"]["verdict"] != "not tested"
