"""The method cells of notebooks/adaptation/description_selection.ipynb: checks of the card, traps, plain loops."""

import json
from itertools import combinations

import numpy as np
import pytest
from cells import definitions
from examples import unit

from lib.metrics import accuracy_each
from lib.world import standins

WEIGHTS = np.arange(0, 40, 0.25)


@pytest.fixture(scope="module")
def selection():
    return definitions("description_selection")


def world(C=6, Q=20, N=80, D=8, seed=0):
    """Captions (N, C), similarities (N, Q), labels, M (Q, C) and the own lists of the classes."""
    rng = np.random.default_rng(seed)
    centres, P = rng.normal(size=(C, D)), unit(rng.normal(size=(Q, D)))
    T, labels = unit(centres + 0.8 * rng.normal(size=(C, D))), rng.integers(C, size=N)
    x, few = unit(centres[labels] + 0.9 * rng.normal(size=(N, D))), np.repeat(np.arange(C), 12)
    y = unit(centres[few] + 0.9 * rng.normal(size=(len(few), D)))
    M = np.stack([(y @ P.T)[few == c].mean(axis=0) for c in range(C)], axis=1)
    return x @ T.T, x @ P.T, labels, M, [sorted(rng.permutation(Q)[:4].tolist()) for _ in range(C)]


# the card's checks


def test_a_large_weight_is_the_caption_for_every_assignment(selection):
    captions, similarity, labels, M, own = world()
    plain = accuracy_each(captions, labels).mean()
    A = selection.candidates(captions, 3)
    everywhere = labels[:, None] == np.arange(6)
    ends = [selection.swept(captions, selection.global_scores(similarity, own), everywhere, [0.0, 1e6])]
    for chosen in (selection.selections(M, own, A, 5), {tuple(sorted(row)): {c: own[c] for c in row} for row in A}):
        scores = selection.local_scores(similarity, A, chosen)
        near = np.take_along_axis(captions, A, axis=1)
        ends.append(selection.swept(near, scores, labels[:, None] == A, [0.0, 1e6]))
    for end in ends:
        assert end[1].mean() == pytest.approx(plain)
    assert len({end[0].mean() for end in ends}) == 3  # without the caption they differ


def test_a_local_method_is_bounded_by_the_top_k_of_the_caption(selection):
    captions, similarity, labels, M, own = world(seed=3)
    for k in (1, 2, 3, 6):
        A = selection.candidates(captions, k)
        scores = selection.local_scores(similarity, A, selection.selections(M, own, A, 5))
        curve = selection.swept(np.take_along_axis(captions, A, axis=1), scores, labels[:, None] == A, WEIGHTS)
        assert (curve <= accuracy_each(captions, labels, k=k)).all()


def test_the_cards_numbers(selection):
    M = np.array([[0.3, 0.2, 0.1], [0.2, 0.3, 0.1], [0.3, 0.25, 0.2]])
    own = [[1], [2], [0, 1, 2]]
    assert selection.select(M, own, (0, 1, 2), 5) == {0: [0, 2], 1: [1], 2: [0, 1, 2]}
    assert selection.select(M, own, (2, 0, 1), 1) == {0: [0], 1: [1], 2: [0]}  # m = 1; the order of A is nothing
    assert selection.separating(M, (0, 1, 2), 2, 5) == []


def test_two_candidates_share_no_description_unless_they_tie(selection):
    _, _, _, M, own = world(Q=40)
    for A in combinations(range(6), 3):
        found = [set(selection.separating(M, A, c, 40)) for c in A]
        assert sum(map(len, found)) == len(set().union(*found)) <= 40
    M[7, :] = 0.25
    assert all(7 in selection.separating(M, (0, 1, 2), c, 40) for c in range(3))


def test_equal_rows_tie_in_spite_of_rounding(selection):
    M = np.array([[0.25, 0.25 + 1e-9], [0.1, 0.2]])
    assert selection.separating(M, (0, 1), 0, 5) == [0]


def test_one_candidate_is_the_caption(selection):
    captions, similarity, labels, M, own = world()
    A = selection.candidates(captions, 1)
    assert sorted(selection.separating(M, (2,), 2, 99)) == list(range(20))
    scores = selection.local_scores(similarity, A, selection.selections(M, own, A, 5))
    curve = selection.swept(np.take_along_axis(captions, A, axis=1), scores, labels[:, None] == A, [0.0])
    np.testing.assert_array_equal(curve[0], accuracy_each(captions, labels))


def test_a_description_similar_to_everything_keeps_its_place(selection):
    _, _, _, M, _ = world(Q=30)
    shifted = M + np.random.default_rng(1).normal(size=(30, 1))
    for A in combinations(range(6), 3):
        for c in A:
            assert selection.separating(M, A, c, 5) == selection.separating(shifted, A, c, 5)


# plain loops


def test_selection_is_a_plain_loop(selection):
    captions, similarity, labels, M, own = world(seed=5)
    A = selection.candidates(captions, 3)
    chosen = selection.selections(M, own, A, 5)
    for i, row in enumerate(A):
        assert set(row) == set(np.argpartition(-captions[i], 3)[:3])
        lists = chosen[tuple(sorted(row))]
        for j, c in enumerate(row):
            kept = [q for q in range(20) if all(M[q, c] >= M[q, other] for other in row)]
            best = sorted(kept, key=lambda q: -np.mean([M[q, c] - M[q, other] for other in row]))[:5] or own[c][:5]
            assert lists[c] == best
            score = selection.local_scores(similarity, A, chosen)[i, j]
            assert score == pytest.approx(np.mean([similarity[i, q] for q in best]))


def test_affinity_is_the_mean_of_each_class_whatever_the_order(selection):
    similarity, labels = np.arange(12.0).reshape(4, 3), np.array([1, 0, 1, 0])
    np.testing.assert_allclose(selection.affinity(similarity, labels, 2), [[6, 3], [7, 4], [8, 5]])
    order = [3, 0, 2, 1]
    np.testing.assert_allclose(
        selection.affinity(similarity[order], labels[order], 2), selection.affinity(similarity, labels, 2)
    )


def test_sweep_is_a_plain_loop_and_the_first_best_wins(selection):
    captions, similarity, labels, _, own = world()
    scores = selection.global_scores(similarity, own)
    right = labels[:, None] == np.arange(6)
    curve = selection.swept(captions, scores, right, [0.0, 0.5, 3.0])
    for w, row in zip([0.0, 0.5, 3.0], curve):
        np.testing.assert_array_equal(row, np.argmax(w * captions + scores, axis=1) == labels)
    assert selection.first_best(np.array([[0, 1], [1, 1], [1, 1.0]])) == 1
    found = selection.weighed(
        [(captions[:40], labels[:40]), (captions[40:], labels[40:])],
        lambda i, c, y: (c, scores[40 * i : 40 * (i + 1)], y[:, None] == np.arange(6)),
        WEIGHTS,
    )
    best = np.argmax([(np.argmax(w * captions[:40] + scores[:40], axis=1) == labels[:40]).mean() for w in WEIGHTS])
    assert found[1] == WEIGHTS[best]
    np.testing.assert_array_equal(found[0], np.argmax(WEIGHTS[best] * captions + scores, axis=1)[40:] == labels[40:])


# pools and names


def test_pool_holds_each_string_once_in_the_official_order(selection):
    lists = [["wings", "a knob"], ["a band", "a knob"], ["a band"]]
    assert selection.pool_of(lists) == ["a band", "a knob", "wings"]
    pool = selection.pooled(lists, lambda texts: np.eye(len(texts)))
    assert pool.own == [[1, 2], [0, 1], [0]] and pool.P.shape == (3, 3)
    noise = selection.scrambled(pool, lambda texts: np.eye(len(texts)), np.random.default_rng(0))
    assert [len(s) for s in noise.texts] == [6, 6, 5] and noise.own == pool.own and noise.texts != pool.texts
    drawn = selection.random_lists([[0, 1], [3], [1, 2, 4]], 9, np.random.default_rng(0))
    assert [len(set(one)) for one in drawn] == [2, 1, 3] and max(map(max, drawn)) < 9


def test_texts_with_names(selection):
    assert selection.named_text("dax disc", "a knob") == "A photo of a dax disc, a knob."
    assert selection.named_text("dax disc", "") == "A photo of a dax disc."
    assert selection.filled(["a", "b"], 5) == ["a", "b", "a", "b", "a"]
    assert selection.filled([], 2) == ["", ""]


def test_fudd_takes_the_sentences_of_all_pairs_of_candidates(selection):
    names = ["dax disc", "wug disc", "fep disc", "zib disc"]
    one = {"attr_type": "band", "prompt_pair": ["a wug disc, its band checked.", "a dax disc, its band striped."]}
    entries = {"0_1": {"classes": [1, 0], "prompt_pairs": [one, one]}, "0_3": {"classes": [0, 3], "prompt_pairs": []}}
    found = selection.fudd_texts(entries, (0, 1), names)
    assert found == {0: ["A dax disc, its band striped."], 1: ["A wug disc, its band checked."]}
    missing = selection.fudd_texts(entries, (1, 2), names)  # default template for both
    assert missing == {1: ["A photo of a wug disc."], 2: ["A photo of a fep disc."]}
    assert selection.fudd_texts(entries, (0, 3), names)[3] == ["A photo of a zib disc."]  # a pair without sentences
    made = standins.contrast(["dax disc", "wug disc", "fep disc"], 0, 0.0)
    three = selection.fudd_texts(made, (0, 1, 2), names)
    assert all(names[c] in s.lower() for c, said in three.items() for s in said)
    assert sum(map(len, three.values())) <= 2 * sum(len(pair["prompt_pairs"]) for pair in made.values())


def test_logistic_regression_takes_the_best_penalty(selection):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 20)
    draw = lambda: np.eye(3)[y] + 0.5 * rng.normal(size=(60, 3))  # noqa: E731
    scores = selection.logistic(draw(), y, draw(), y, draw(), [1e-6, 1.0])
    assert scores.shape == (60, 3) and accuracy_each(scores, y).mean() > 0.6


def test_published_files_load_in_both_layouts(selection, real, tmp_path):
    lists = standins.load_descriptors(real / "descriptions" / "descriptors_eurosat.json")
    pool = selection.pooled(list(lists.values()), lambda texts: np.zeros((len(texts), 2)))
    assert len(pool.texts) == len({s for one in lists.values() for s in one}) and len(pool.own) == 10
    other = {"index_to_descriptions": {"0": lists["forest"]}, "index_to_classname": {"0": "forest"}}
    (tmp_path / "other.json").write_text(json.dumps(other))
    assert standins.load_descriptors(tmp_path / "other.json") == {"forest": lists["forest"]}
    pairs = standins.load_pairs(real / "descriptions" / "fudd_eurosat_prompt_pairs.json")
    said = selection.fudd_texts(pairs, (2, 4), [f"class {c}" for c in range(10)])
    assert all(s.endswith(".") and s[0].isupper() for each in said.values() for s in each)


@pytest.mark.slow
def test_a_real_architecture_takes_the_same_path(selection, vit_b16):
    pictures = np.random.default_rng(0).integers(0, 256, (6, 224, 224, 3)).astype(np.uint8)
    x, y = vit_b16.encode_images(pictures), np.array([0, 1, 2, 0, 1, 2])
    T = vit_b16.encode_texts([f"A photo of a {name}." for name in ("cup", "star", "gear")])
    pool = selection.pooled([["a handle", "round"], ["five points"], ["teeth", "round"]], vit_b16.encode_texts)
    M = selection.affinity(x @ pool.P.T, y, 3)
    A = selection.candidates(x @ T.T, 2)
    scores = selection.local_scores(x @ pool.P.T, A, selection.selections(M, pool.own, A, 2))
    assert M.shape == (4, 3) and scores.shape == (6, 2) and np.isfinite(scores).all()
