"""The method cells of notebooks/adaptation/classify_by_description.ipynb: checks, traps, published files."""

import json

import numpy as np
import pytest
from cells import definitions
from examples import noise_pictures, unit

from lib import datasets
from lib.world import standins


@pytest.fixture(scope="module")
def cbd():
    return definitions("classify_by_description")


def embeddings(counts, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    return [unit(rng.normal(size=(count, dim))) for count in counts], unit(rng.normal(size=(7, dim)))


# the card's checks


def test_mean_of_similarities_is_similarity_to_the_mean_not_made_unit(cbd):
    E, x = embeddings([3, 1, 5])
    plain = np.array([[np.mean([row @ s for s in e]) for e in E] for row in x])
    np.testing.assert_allclose(cbd.class_scores(x, E), plain, atol=1e-12)
    np.testing.assert_allclose(plain, x @ np.stack([e.mean(axis=0) for e in E]).T, atol=1e-12)
    np.testing.assert_allclose(cbd.class_scores(x, E, "max")[:, 2], (x @ E[2].T).max(axis=1), atol=1e-12)


def test_it_differs_from_making_the_mean_unit(cbd):
    A, B, x = np.eye(2), np.array([[0.8, 0.6]]), np.array([[0.6, 0.8]])
    np.testing.assert_allclose(cbd.class_scores(x, [A, B]), [[0.70, 0.96]])
    np.testing.assert_allclose(
        cbd.class_scores(x, [unit(A.mean(axis=0, keepdims=True)), B]), [[0.98995, 0.96]], atol=1e-5
    )


def test_without_descriptors_it_is_the_baseline(cbd):
    names = ["dax disc", "mez_arch"]
    plan = cbd.plan(names, [[], [""]], np.random.default_rng(0), ["an image of a {}"], ".")
    assert plan["description"] == plan["class_name"] == [["dax disc."], ["mez arch."]]
    assert [len(each) for each in plan["prompt_ensemble"]] == [1, 1]


def test_duplicates_change_the_sum_and_not_the_mean(cbd):
    E, x = embeddings([3, 2])
    doubled = [np.concatenate([E[0], E[0]]), E[1]]
    np.testing.assert_allclose(cbd.class_scores(x, doubled), cbd.class_scores(x, E), atol=1e-12)
    total, twice = cbd.class_scores(x, E, "sum"), cbd.class_scores(x, doubled, "sum")
    np.testing.assert_allclose(twice[:, 0], 2 * total[:, 0])
    np.testing.assert_allclose(twice[:, 1], total[:, 1])


@pytest.mark.parametrize(
    ("descriptor", "said"),
    [
        ("striped fur", "which has striped fur"),
        ("a long tail", "which is a long tail"),
        ("often seen at night", "which often seen at night"),
        ("antlers", "which is antlers"),
        ("used for cutting", "which is used for cutting"),
        ("have two pairs of wings", "which has have two pairs of wings"),
        ("hasty steps", "which hasty steps"),
        ("Antlers", "which has Antlers"),
    ],
)
def test_clause(cbd, descriptor, said):
    assert cbd.clause(descriptor) == said == standins.clause(descriptor)


def test_the_sum_favours_classes_with_many_descriptors(cbd):
    e = np.array([[1.0, 0.0]])
    E, x = [np.repeat(e, count, axis=0) for count in (2, 5, 3)], np.array([[0.3, 0.9], [0.6, 0.8]])
    assert (cbd.class_scores(x, E, "sum").argmax(axis=1) == 1).all()
    assert np.ptp(cbd.class_scores(x, E), axis=1) == pytest.approx([0, 0])


# texts and arms


def test_texts(cbd):
    assert cbd.texts("dax_disc", ["a knob", "", "has horns"], ".") == [
        "dax disc, which is a knob.",
        "dax disc, which has horns.",
    ]
    assert cbd.edited(["red colouring", "two lobes"], {"red colouring"}, ["blue colouring"]) == [
        "two lobes",
        "blue colouring",
    ]


def test_arms_differ_in_their_strings_alone(cbd):
    names = [f"thing {k}" for k in range(5)]
    D = [[f"a part {k}{j}" for j in range(1 + k)] for k in range(5)]
    frames = [f"frame {j} of a {{}}" for j in range(6)]
    plan = cbd.plan(names, D, np.random.default_rng(3), frames)
    for arm in ("prompt_ensemble", "description", "random_strings", "descriptors_alone"):
        assert [len(each) for each in plan[arm]] == [1, 2, 3, 4, 5], arm
    assert plan["photo_prompt"][0] == ["a photo of a thing 0."]
    assert plan["description"][1] == ["thing 1, which is a part 10", "thing 1, which is a part 11"]
    others = [{one.split("part ")[1][0] for one in each} for each in plan["shuffled_descriptors"]]
    assert all(len(each) == 1 for each in others)
    assert sorted(each.pop() for each in others) == list("01234")
    shared = [one.split(", which ")[1] for one in plan["random_strings"][4]]
    for name, each in zip(names, plan["random_strings"]):
        assert each == [f"{name}, which {one}" for one in shared[: len(each)]]
    assert all(len(one.removeprefix("is ").removeprefix("has ")) == len("a part 10") for one in shared)
    again = cbd.plan(names, D, np.random.default_rng(3), frames)
    assert again == plan != cbd.plan(names, D, np.random.default_rng(4), frames)


@pytest.mark.parametrize("count", [2, 3, 12])
def test_no_class_keeps_its_own_descriptors(cbd, count):
    for seed in range(20):
        moved = cbd.derangement(count, np.random.default_rng(seed))
        assert sorted(moved) == list(range(count)) and (moved != np.arange(count)).all()


def test_letters_keep_length_and_spaces(cbd):
    noise = cbd.letters("a two-dot mark, 3 px", np.random.default_rng(0))
    assert len(noise) == 20 and [noise[k] for k in (1, 5, 9, 14, 16)] == [" ", "-", " ", ",", "3"]


def test_explanation_is_sorted(cbd):
    found = cbd.explain(np.array([0.6, 0.8]), np.eye(2), ["first", "second"])
    assert found == [("second", pytest.approx(0.8)), ("first", pytest.approx(0.6))]


# descriptor files


def test_classes_are_matched_by_name_not_by_place(cbd):
    found = {"Mez Arch": ["a spade"], "dax_disc": ["a heart"]}
    assert cbd.lists_of(found, ["dax disc", "mez arch"]) == [["a heart"], ["a spade"]]
    with pytest.raises(ValueError, match="1 classes have no entry in the descriptors, first 'cup'"):
        cbd.lists_of(found, ["dax disc", "cup"])


def test_published_files_load(cbd, real):
    counts = {}
    for path in sorted((real / "descriptions").glob("descriptors_*.json")):
        found = standins.load_descriptors(path)
        lists = cbd.lists_of(found, [name.replace("_", " ") for name in reversed(found)])
        assert lists == list(found.values())[::-1]
        for name, D in found.items():
            made = cbd.texts(name, D)
            assert len(made) == max(1, len([s for s in D if s])) and all(text for text in made)
        counts[path.stem.removeprefix("descriptors_")] = [len(D) for D in found.values()]
    assert (min(counts["imagenet"]), max(counts["imagenet"])) == (2, 11)
    assert np.mean(counts["imagenet"]) == pytest.approx(5.8, abs=0.05)
    assert min(counts["food101"]) in (0, 1)  # an empty list, or one empty string: the bare name is used


# encoders and the whole notebook


@pytest.mark.slow
def test_a_real_architecture_takes_the_same_path(cbd, vit_b16, workspace):
    images = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3)).astype(np.uint8)
    fields = {"image": lambda: images, "label": lambda: np.array([0, 1, 0])}
    x = cbd.store.images(vit_b16, datasets.Corpus("pictures", "test", "pictures@0", 3, fields, ["cup", "star"]))
    lists = [cbd.texts("cup", ["a handle", "used for drinking"]), cbd.texts("star", ["five points"])]
    book = cbd.embedded(vit_b16, lists)
    scores = cbd.scored(x, book, lists)
    assert scores.shape == (3, 2)
    direct = vit_b16.encode_texts(lists[0])
    np.testing.assert_allclose(scores[:, 0], (x @ direct.T).mean(axis=1), atol=1e-5)


@pytest.mark.slow
def test_the_notebook_runs_on_public_data_and_a_descriptor_file(tmp_path, workspace, tiny_folder):
    from lib import run

    published = {"Star": ["five points", "a sharp edge"], "cup": ["a handle"], "tea_pot": []}
    (tmp_path / "published.json").write_text(json.dumps(published))
    corpus = f"folder:{noise_pictures(tmp_path / 'pictures', ['cup', 'star', 'tea_pot'], 4)}"
    overrides = {"corpus": corpus, "bias_corpus": "", "shift_corpus": "", "encoder": str(tiny_folder)}
    overrides |= {"descriptors": str(tmp_path / "published.json"), "ending": "."}
    out = run.run("classify_by_description", "smoke", in_process=True, overrides=overrides, quiet=True)
    document = json.loads((out / "claims.json").read_text())
    verdicts = {claim["id"]: claim["verdict"] for claim in document["claims"]}
    assert verdicts["new_concepts_and_bias_editing"] == "not tested"
    rows = (out / "measurements.csv").read_text()
    assert "description" in rows and "unknown_names" not in rows
