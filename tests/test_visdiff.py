"""The method cells of notebooks/captioning/visdiff.ipynb: checks of the card, traps, the benchmark's own files."""

import json

import numpy as np
import pytest
from cells import definitions
from examples import unit
from PIL import Image
from scipy.stats import ttest_ind

from lib.world import grammar, standins


@pytest.fixture(scope="module")
def visdiff():
    return definitions("visdiff")


def columns(*lists):
    """Scores (n, M) of M phrases from one list each."""
    return np.array(lists, float).T


def looped(a, b):
    """AUROC by its definition."""
    return np.mean([(one > two) + 0.5 * (one == two) for one in a for two in b])


def ranked(visdiff, found):
    return list(visdiff.order(found["auroc"], found["mean_difference"]))


# the card's checks


def test_auroc_counted_by_hand(visdiff):
    a, b = columns([3, 2], [5, 7], [1, 3]), columns([1, 0], [5, 7], [2, 0])
    np.testing.assert_array_equal(visdiff.auroc(a, b), [1.0, 0.5, 0.75])


def test_auroc_is_the_share_of_pairs_with_ties_and_unequal_sizes(visdiff):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, (17, 5)).astype(float), rng.integers(0, 5, (9, 5)).astype(float)
    np.testing.assert_allclose(visdiff.auroc(a, b), [looped(a[:, k], b[:, k]) for k in range(5)], atol=1e-12)


def test_swapping_the_sets_turns_both_measures_round(visdiff):
    rng = np.random.default_rng(1)
    x, t = unit(rng.normal(size=(30, 6))), unit(rng.normal(size=(8, 6)))
    one, two = (visdiff.measures(x, *rows, t, 0.1) for rows in ((np.arange(18), np.arange(18, 30)),
                                                                (np.arange(18, 30), np.arange(18))))  # fmt: skip
    np.testing.assert_allclose(two["auroc"], 1 - one["auroc"], atol=1e-12)
    np.testing.assert_allclose(two["mean_difference"], -one["mean_difference"], atol=1e-12)
    np.testing.assert_allclose(two["p"], one["p"], atol=1e-12)
    assert np.ptp(one["auroc"]) > 0.05 and set(np.argsort(one["auroc"])[:3]) != set(np.argsort(two["auroc"])[:3])


def test_constant_scores_give_a_half_and_keep_the_proposers_order(visdiff):
    x, t = np.tile(unit(np.ones(4)), (12, 1)), unit(np.random.default_rng(2).normal(size=(7, 4)))
    found = visdiff.measures(x, np.arange(6), np.arange(6, 12), t, 0.3)
    np.testing.assert_array_equal(found["auroc"], 0.5)
    assert ranked(visdiff, found) == list(range(7))
    assert not visdiff.significant(visdiff.welch(np.ones((6, 3)), np.ones((6, 3))), 0.05).any()
    assert np.isnan(visdiff.welch(np.ones((6, 3)), np.ones((6, 3)))).all()


def test_an_increasing_transform_changes_the_means_alone(visdiff):
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.2, 1, (20, 4)), rng.normal(0, 1, (15, 4))
    np.testing.assert_array_equal(visdiff.auroc(a, b), visdiff.auroc(np.exp(3 * a), np.exp(3 * b)))
    assert not np.allclose(a.mean(0) - b.mean(0), np.exp(3 * a).mean(0) - np.exp(3 * b).mean(0))


@pytest.mark.parametrize(("n", "purity", "swapped"), [(60, 0.5, 30), (100, 0.8, 20), (100, 1.0, 0), (7, 0.5, 4)])
def test_mixing_is_exact_and_no_picture_is_in_both_sets(visdiff, n, purity, swapped):
    a, b = np.arange(n), np.arange(n, 2 * n)
    one, two = visdiff.mix(a, b, purity, np.random.default_rng(4))
    assert (one >= n).sum() == (two < n).sum() == swapped
    assert sorted([*one, *two]) == list(range(2 * n)) and len(one) == len(two) == n
    np.testing.assert_array_equal(np.r_[a, b], np.arange(2 * n))  # the input stays


def test_accuracy_of_scores_in_rank_order(visdiff):
    assert visdiff.accuracy_at([0, 1, 2], 1) == 0 and visdiff.accuracy_at([0, 1, 2], 5) == 1
    assert visdiff.accuracy_at([1, 0, 0], 1) == 0.5 and visdiff.accuracy_at([], 1) == 0
    assert visdiff.accuracy_at([0, 0, 0, 0, 0, 2], 5) == 0


# ranker


def test_the_t_test_is_welchs(visdiff):
    rng = np.random.default_rng(5)
    a, b = rng.normal(0.4, 2, (25, 6)), rng.normal(0, 1, (14, 6))
    np.testing.assert_allclose(visdiff.welch(a, b), ttest_ind(a, b, equal_var=False).pvalue, rtol=1e-9)
    assert visdiff.significant([0.049, 0.05, np.nan], 0.05).tolist() == [True, False, False]
    far = visdiff.welch(np.arange(5.0)[:, None], np.arange(5.0)[:, None] + 99)  # true of B: significant too
    assert far[0] < 1e-3


def test_share_above_the_threshold(visdiff):
    x = unit(np.array([[1, 0], [1, 1], [0, 1], [0, 1.0]]))
    found = visdiff.measures(x, np.array([0, 1]), np.array([2, 3]), np.array([[1.0, 0.0]]), 0.8)
    assert found["share"].tolist() == [0.5]  # one of two cosines of A lies above 0.8, none of B


def test_order_breaks_ties_by_the_next_key_and_then_keeps_places(visdiff):
    assert visdiff.order([1.0, 0.5, 1.0, 1.0], [0.1, 9.0, 0.3, 0.1]).tolist() == [2, 0, 3, 1]


def test_the_ranker_finds_what_separates_the_sets_in_the_right_direction(visdiff):
    rng = np.random.default_rng(6)
    t = np.eye(8)
    x = unit(rng.normal(size=(80, 8)) + np.repeat([t[2], t[5]], 40, axis=0) * 3)
    found = visdiff.measures(x, np.arange(40), np.arange(40, 80), t, 0.3)
    order = ranked(visdiff, found)
    assert order[0] == 2 and order[-1] == 5
    assert visdiff.significant(found["p"], 0.05)[[2, 5]].all()
    blind = visdiff.measures(unit(rng.normal(size=(80, 8))), np.arange(40), np.arange(40, 80), t, 0.3)
    assert abs(blind["auroc"] - 0.5).max() < 0.2 < abs(found["auroc"] - 0.5).max()  # random embeddings know nothing


# proposer


def test_answers_lose_bullets_quotes_blanks_and_repeats(visdiff):
    answer = (
        '- "a red cat"\n\n* dogs at night.\n3. a cup\n• \'sand castle\'\n2 objects\n- the word "stop"\n-  A  red Cat\n'
    )
    lines = visdiff.read_answer(answer)
    assert lines == [
        "a red cat",
        "dogs at night.",
        "a cup",
        "sand castle",
        "2 objects",
        'the word "stop"',
        "A  red Cat",
    ]
    assert visdiff.unique(lines) == lines[:6] and visdiff.unique(["dogs at night.", "dogs at night"]) == lines[1:2]


def test_each_round_draws_anew_without_replacement(visdiff):
    a, b = np.arange(30), np.arange(30, 90)
    drawn = visdiff.draws(a, b, 3, 20, np.random.default_rng(7))
    assert len(drawn) == 3 and all(len(set(one)) == len(set(two)) == 20 for one, two in drawn)
    assert all(set(one) <= set(a) and set(two) <= set(b) for one, two in drawn)
    assert len({tuple(sorted(one)) for one, _ in drawn}) == 3
    assert {tuple(one - a[0]) for one, _ in drawn}.isdisjoint({tuple(two - b[0]) for _, two in drawn})
    assert [len(one) for one in visdiff.draws(a, b, 1, 50, np.random.default_rng(7))[0]] == [30, 50]


def test_rounds_are_joined_in_order_and_the_budget_holds(visdiff):
    asked = []

    def ask(prompt):
        asked.append(prompt)
        return "\n".join(f"- phrase {k}" for k in range(10 * len(asked) - 10, 10 * len(asked) + 5))

    captions = [f"caption {k}" for k in range(40)]
    drawn = visdiff.draws(np.arange(20), np.arange(20, 40), 3, 5, np.random.default_rng(8))
    assert visdiff.propose(captions, drawn, ask, 10) == [f"phrase {k}" for k in range(30)]
    for prompt, (a, b) in zip(asked, drawn):
        assert [line for line in prompt.splitlines() if line.startswith("Group ")] == [
            *(f"Group A: caption {k}" for k in a), *(f"Group B: caption {k}" for k in b)]  # fmt: skip
        assert "10 distinct" in prompt


def test_the_proposer_with_the_stand_in_finds_a_difference_of_captions(visdiff):
    def ask(prompt):
        groups = [[line[9:] for line in prompt.splitlines() if line.startswith(f"Group {side}: ")] for side in "AB"]
        return "\n".join(standins.propose(*groups, seed=0, rounds=1, sample=8, count=5))

    captions = ["a red cat on grass", "a red cup on sand"] * 5 + ["a blue cat on sand", "a blue cup on grass"] * 5
    drawn = visdiff.draws(np.arange(10), np.arange(10, 20), 2, 8, np.random.default_rng(9))
    found = visdiff.propose(captions, drawn, ask, 5)
    assert found[0] == "red" and "blue" not in found


# judge


def test_the_judge_knows_full_partial_and_wrong(visdiff):
    a, b = np.arange(4), np.arange(4, 8)
    true = np.array([1, 1, 1, 1, 0, 0, 0, 0, 1], bool)  # the last picture belongs to another pair
    half = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0], bool)
    quarter = np.array([1, 0, 0, 0, 0, 0, 0, 0, 0], bool)
    chance = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0], bool)  # fits this pair by chance, means something else
    grades = [visdiff.grade(one, true, a, b) for one in (true, half, quarter, chance, ~true, np.ones(9, bool))]
    assert grades == [2, 1, 0, 1, 0, 0]
    assert visdiff.grade(true, true[[4, 5, 6, 7, 0, 1, 2, 3, 8]], b, a) == 0  # a phrase of B does not score


def test_unreadable_scores_count_nothing(visdiff):
    answers = ["2", " 1\n", "Score: 2.", "", "none", "1 or 2", "22"]
    assert [visdiff.read_score(one) for one in answers] == [2, 1, 2, 0, 0, 0, 0]
    assert all(part in visdiff.judge_prompt("dogs", "cats", "puppies") for part in ("dogs", "cats", "puppies"))


def test_facts_agree_with_the_grammar(visdiff):
    from lib.world.presets import sample

    scenes = [sample("scenes/base", np.random.default_rng(k)) for k in range(60)]
    facts = visdiff.Facts([grammar.tuples(scene) for scene in scenes])
    for phrase in ("red", "a red object", "an animal", "two objects", "small", "on grass", "at the top left"):
        expected = [grammar.holds(scene, phrase) for scene in scenes]
        np.testing.assert_array_equal(facts(visdiff.meaning(phrase)), expected)
    assert not facts(visdiff.meaning("a quux")).any() and not facts(frozenset()).any()


def test_captions_imply_what_is_broader_and_not_what_is_narrower(visdiff):
    def implies(caption, phrase):
        return visdiff.meaning(phrase) <= visdiff.implied(grammar.parse(caption).tuples)

    assert implies("two small red cats on grass", "red") and implies("two small red cats on grass", "two objects")
    assert implies("a red cat", "an animal") and implies('a cat with a sign saying "stop"', 'the word "stop"')
    assert implies("a cat left of a cup", "something left of something")
    assert not implies("an animal", "a cat") and not implies("a red cat", "blue") and not implies("a cat", "red cat")


# the benchmark's own files, other encoders, the whole notebook


def test_the_benchmarks_own_files_parse(visdiff, real):
    rows = visdiff.read_bench(real / "annotations" / "visdiffbench")
    assert [sum(row[0] == level for row in rows) for level in visdiff.LEVELS] == [50, 50, 50]
    assert rows[0] == ("easy", "Dogs playing in a park", "Cats playing in a park", "Animal species (Dogs vs Cats)")
    assert all(one and two and one != two and difference for _, one, two, difference in rows)


def bench(folder, per_set=6, size=24):
    """A small benchmark in the published format; colours tell the sets apart. Returns its three rows of names."""
    rng, lines = np.random.default_rng(0), ["group_name,path,difference,difficulty"]
    rows = []
    for level in ("easy", "medium", "hard"):
        one, two, difference = f"{level} red things", f"{level} blue things", f"colour, {level}"
        rows.append((one, two))
        line = json.dumps({"set1": one, "set2": two, "difference": difference})
        (folder / f"{level}.jsonl").write_text(line + "\n")
        for name, shift in ((one, (90, 0, 0)), (two, (0, 0, 90))):
            for k in range(per_set):
                picture = rng.integers(0, 160, (size, size, 3)) + shift
                file = f"{name.replace(' ', '_')}_{k}.png"
                Image.fromarray(picture.astype(np.uint8)).save(folder / file)
                lines.append(f'{name},{file},"{difference}",{level}')
    (folder / "PairedImageSets.csv").write_text("\n".join(lines) + "\n")
    return rows


def test_sets_of_the_benchmark_are_found_by_name(visdiff, tmp_path):
    bench(tmp_path)
    rows = visdiff.read_bench(tmp_path)
    sets, paths = visdiff.bench_sets(tmp_path, [*rows, ("hard", "no such set", "hard blue things", "?")])
    assert [one.level for one in sets] == ["easy", "medium", "hard"]
    assert all(len(one.a) == len(one.b) == 6 and not set(one.a) & set(one.b) for one in sets)
    assert paths[sets[1].b[0]] == "medium_blue_things_0.png" and sets[1].phrase == "medium red things"
    (tmp_path / "easy.jsonl").write_text('{"set1": "a"}\n')
    with pytest.raises(ValueError, match=r"easy.jsonl:1 lacks \['difference', 'set2'\]"):
        visdiff.read_bench(tmp_path)


def test_recorded_answers_and_what_is_missing(visdiff):
    ask = visdiff.Recorded(['{"prompt": "a?", "answer": "- b"}', '{"path": "x.png", "caption": "c"}'])
    assert ask("a?") == "- b" and ask("d?") == "" and ask("d?") == "" and ask.missing == ["d?"]


@pytest.mark.slow
def test_a_real_architecture_takes_the_same_path(visdiff, vit_b16):
    images = np.random.default_rng(0).integers(0, 256, (8, 224, 224, 3)).astype(np.uint8)
    phrases = ["a cat", "a photo of something red", "at night"]
    x, t = vit_b16.encode_images(images), vit_b16.encode_texts(phrases)
    found = visdiff.measures(x, np.arange(4), np.arange(4, 8), t, 0.3)
    v = x.astype(float) @ t.T.astype(float)
    np.testing.assert_allclose(found["auroc"], [looped(v[:4, k], v[4:, k]) for k in range(3)])
    assert sorted(ranked(visdiff, found)) == [0, 1, 2] and all(np.isfinite(found["p"]))


@pytest.mark.slow
def test_the_notebook_runs_on_the_benchmarks_files_and_recorded_answers(tmp_path, workspace, tiny_folder):
    from lib import run

    folder = tmp_path / "bench"
    folder.mkdir()
    rows = bench(folder)
    answers = folder / "answers.jsonl"
    answers.write_text("")
    overrides = {"bench": str(folder), "answers": str(answers), "encoder": str(tiny_folder), "ceiling_least": 0.0}
    asked = tmp_path / ".work" / "visdiff-prompts.jsonl"

    def judged():
        out = run.run("visdiff", "smoke", in_process=True, overrides=overrides, quiet=True)
        document = json.loads((out / "claims.json").read_text())
        return {one["id"]: one for one in document["claims"]}, [json.loads(line) for line in asked.open()]

    verdicts, prompts = judged()
    assert {one["verdict"] for one in verdicts.values()} == {"not tested"} and prompts
    lines = [json.dumps({**one, "answer": "- red things\n- blue things"}) for one in prompts]
    answers.write_text("\n".join(lines))
    _, prompts = judged()
    assert len(prompts) == 3 * 2 and all(any(one in each["prompt"] for one, _ in rows) for each in prompts)
    lines += [json.dumps({**one, "answer": "2" if "Candidate: red" in one["prompt"] else "0"}) for one in prompts]
    answers.write_text("\n".join(lines))
    verdicts, prompts = judged()
    assert prompts == [] and verdicts["ranker_needed"]["ours"] is not None
    assert verdicts["clip_ranker_beats_qa_rankers"]["verdict"] == "not tested"
