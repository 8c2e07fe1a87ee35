"""Every corpus in smoke: it loads with its fields and types, splits share nothing, truth agrees with the pictures."""

import json
from collections import Counter

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

import lib
from lib import datasets
from lib.world import (
    badges,
    corpora,
    corpora_scenes,
    corpora_sets,
    grammar,
    grammar_ask,
    grammar_change,
    grammar_truth,
    grammar_video,
    kb,
    optics,
    pairs,
    presets,
    render,
    store,
    videos,
)
from lib.world.presets_table import TEXTURES

NAMES = list(corpora.SIZES)
IMAGES = [name for name in NAMES if name.startswith(("scenes/", "objects/"))]
SCENE_FIELDS = {"image", "inst", "captions", "kinds", "label", "coarse", "domain", "attrs", "spec", "boxes", "phrases",
                "region", "sem", "depth", "parts", "words", "word_boxes", "values", "index"}  # fmt: skip
PAIR_FIELDS = {"image", "image2", "spec", "spec2", "text", "text2", "ops", "aligned", "neg_type", "boxes2"}
FIELDS = {
    **dict.fromkeys(IMAGES, SCENE_FIELDS),
    "objects/identity": SCENE_FIELDS | {"individual"},
    "objects/latent": SCENE_FIELDS | {"latent"},
    "objects/badges": SCENE_FIELDS | {"part_boxes", "part_phrases"},
    **{name: SCENE_FIELDS | {"qa", "hyp"} for name in IMAGES if name.startswith("scenes/")},
    "scenes/long": SCENE_FIELDS | {"group", "by_lang", "qa", "hyp"},
    **dict.fromkeys(("pairs/minimal", "pairs/change", "pairs/compose"), PAIR_FIELDS),
    "damage": {"image", "label", "mask", "anomalous", "captions", "attrs"},
    "backlit": {"image", "target", "dark", "captions"},
    "overhead": {"image", "label", "by_lang", "captions", "spec"},
    "setpairs": {"a", "b", "factor", "phrase", "level", "purity", "spec_a", "spec_b"},
    "videos": {"frames", "query", "moment", "bounds", "steps", "transcript", "spec"},
    "words/words": {"image", "text", "entity", "font"},
    "words/firms": {"image", "text", "ocr", "entity", "font"},
    "wires": {"text", "headline", "article", "paper", "decade", "photo"},
    "authors": {"text", "author", "source", "topic"},
    "text": {"text", "pair"},
}
TYPES = {
    "image": ("u1", 4), "image2": ("u1", 4), "photo": ("u1", 4), "target": ("u1", 4), "inst": ("u1", 3),
    "sem": ("u1", 3), "parts": ("u1", 3), "depth": ("f4", 3), "mask": ("?", 3), "dark": ("?", 3), "anomalous": ("?", 1),
    "aligned": ("?", 1), "label": ("i8", 1), "coarse": ("i8", 1), "domain": ("i8", 1), "individual": ("i8", 1),
    "latent": ("f4", 2), "a": ("u1", 5), "b": ("u1", 5), "purity": ("f4", 1), "moment": ("i8", 2), "entity": ("i8", 1),
    "font": ("i8", 1), "article": ("i8", 1), "author": ("i8", 1), "pair": ("i8", 1), "index": ("i8", 1),
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder with every corpus in smoke, and what was written."""
    folder = tmp_path_factory.mktemp("world")
    info = {name: corpora.write(name, "smoke", folder / "data" / name, progress=False) for name in NAMES}
    return folder, info


@pytest.fixture
def load(drawn, monkeypatch):
    monkeypatch.setenv("WORKBOOK_OUT", str(drawn[0]))
    monkeypatch.setenv("WORKBOOK_PROFILE", "smoke")
    monkeypatch.delenv("WORKBOOK_DEV", raising=False)
    return lambda name, split, **options: datasets.load(name, split, fields=(), **options)


@pytest.mark.parametrize("name", NAMES)
def test_corpora_load_with_typed_fields(name, drawn, load):
    for split, entry in drawn[1][name]["splits"].items():
        corpus = load(name, split)
        assert len(corpus) == entry["n"] > 0
        missing = FIELDS[name] - set(corpus.fields)
        assert not missing or (name, split) == ("words/words", "text")  # words that are never rendered
        if split in ("test", list(drawn[1][name]["splits"])[0]):
            few = corpus.take(slice(0, 6))
            for field in few.fields:
                value = getattr(few, field)
                assert isinstance(value, dict) or len(value) == min(6, len(corpus)), field
                if field in TYPES:
                    assert (value.dtype, value.ndim) == (np.dtype(TYPES[field][0]), TYPES[field][1]), field
    if name not in ("scenes/web", "backlit") and "train" in drawn[1][name]["splits"]:
        assert datasets.load(name, "train", fields=tuple(FIELDS[name]), limit=2)


def test_every_corpus_has_a_stage_and_a_split_for_development():
    graph = (lib.ROOT / "dvc.yaml").read_text()
    for name in NAMES:
        assert f"{name.replace('/', '-')}: {name}\n" in graph
        assert {"val", "test"} <= set(corpora.sizes(name, "smoke"))


@pytest.mark.parametrize("name", ["scenes/crowd", "objects/identity", "pairs/change", "videos", "setpairs", "backlit"])
def test_examples_are_drawn_alone_and_alike(name):
    for index in (0, 3):
        first, second = corpora.row(name, "test", index), corpora.row(name, "test", index)
        assert first.keys() == second.keys()
        for key in first:
            assert (
                np.array_equal(first[key], second[key])
                if isinstance(first[key], np.ndarray)
                else first[key] == second[key]
            )


def test_two_processes_write_what_one_does(tmp_path, monkeypatch):
    calls = [("scenes/attr", "val", index) for index in range(70)]
    store.write(store.in_order(corpora.row, calls), tmp_path / "one", 70)
    monkeypatch.setattr(store, "PARALLEL", 10)
    store.write(store.in_order(corpora.row, calls), tmp_path / "two", 70)
    assert store.digest(tmp_path / "one") == store.digest(tmp_path / "two")


@pytest.mark.parametrize("name", NAMES)
def test_splits_share_nothing(name, drawn):
    lines = {}
    field = "text" if name in ("authors", "text", "words/firms") else "entity" if name == "words/words" else "spec"
    if field == "entity":
        field = "text"
    for split in drawn[1][name]["splits"]:
        if split == "background":
            continue
        path = drawn[0] / "data" / name / split / ("spec_a.jsonl" if name == "setpairs" else f"{field}.jsonl")
        lines[split] = set(path.read_text().splitlines())
    for split, own in lines.items():
        for other in lines:
            assert split == other or not own & lines[other], (split, other)


def test_identities_words_and_classes_are_split_by_entity():
    splits = [{corpora_scenes.identity(split, k) for k in range(12)} for split in ("train", "val", "test")]
    assert sum(map(len, splits)) == 36 == len(set.union(*splits))
    assert not set(corpora_sets.SEEN_CLASSES) & set(corpora_sets.UNSEEN_CLASSES)
    assert set(corpora_sets.SEEN_CLASSES) <= set(presets.role("A")) and set(corpora_sets.UNSEEN_CLASSES) <= set(
        presets.role("B")
    )
    known = [
        name for split in ("val", "test") for names in corpora_scenes.ood_classes(split).values() for name in names
    ]
    assert len(known) == len(set(known)) == 60
    assert set(corpora_scenes.ood_classes("test")["far"]) <= set(presets.role("Z"))


@pytest.mark.parametrize("name", ["objects/badges", "objects/texture", "objects/background", "objects/ood", "overhead"])
def test_labels_are_balanced(name, load):
    corpus = load(name, "test")
    count = Counter(corpus.label[corpus.label >= 0].tolist())
    if name != "objects/ood":
        assert max(count.values()) - min(count.values()) <= 1 + (name == "objects/texture") * 16
    assert len(count) >= len(corpus.classnames) if name != "objects/ood" else len(count) > 20


def test_priors_have_their_strength(load):
    usual = {split: load("objects/background", split).attrs["usual"].mean() for split in ("train", "curated", "test")}
    assert usual["train"] > 0.83 and 0.45 < usual["curated"] < 0.72 and abs(usual["test"] - 1 / 6) < 0.01
    for split, low, high in (("train", 0.65, 0.85), ("free", 0.05, 0.25)):
        corpus = load("objects/texture", split)
        assert low < np.mean(corpus.attrs["texture"] == corpus.label) < high
    conflict = load("objects/texture", "test")
    chosen = conflict.domain == corpora_scenes.TEXTURE_SETS.index("conflict")
    assert (conflict.attrs["texture"][chosen] != conflict.label[chosen]).all() and len(TEXTURES) == 8
    pool = Counter(load("scenes/web", "pool").label.tolist())
    assert max(pool.values()) > 8 * min(pool.values())
    groups = load("scenes/cooccur", "train"), load("scenes/cooccur", "test")
    shares = []
    for corpus in groups:
        rules = presets.preset("scenes/cooccur")
        hits = [presets.usual_value(rules, "background", s.objects[0].name) == s.background.name for s in corpus.spec]
        shares.append(np.mean(hits))
    assert shares[0] > 0.65 and shares[1] < 0.3


def test_minimal_pairs_differ_in_one_thing_and_their_texts_say_it(load):
    corpus = load("pairs/minimal", "train").take(slice(0, 54))
    for first, second, text, other, ops in zip(corpus.spec, corpus.spec2, corpus.text, corpus.text2, corpus.ops):
        assert len(ops) == 1 and text != other and first != second
        same = ("background", "light", "camera", "style", "clutter", "noise_seed")
        assert all(getattr(first, field) == getattr(second, field) for field in same)
        assert grammar.holds(first, text) and grammar.holds(second, other)
        assert not grammar.holds(first, other) and not grammar.holds(second, text)
    assert (corpus.image != corpus.image2).any((1, 2, 3)).all()


def test_change_pairs_say_their_changes(load):
    corpus = load("pairs/change", "train")
    assert {op for ops in corpus.ops for op in ops} == set(pairs.CHANGES)
    assert 0.35 < corpus.aligned.mean() < 0.7
    assert set(corpus.text2) == {""}
    for text, ops, first, second in zip(corpus.text, corpus.ops, corpus.spec, corpus.spec2):
        assert len(text.split(". ")) == len(ops) and grammar_change.tells(first, second, text, ops), text
    quiet = [i for i, ops in enumerate(corpus.ops) if ops == ["none"] and corpus.aligned[i]]
    assert quiet and all((corpus.image[i] == corpus.image2[i]).all() for i in quiet)


def test_foils_are_true_of_their_own_picture(load):
    corpus = load("pairs/compose", "test")
    assert set(corpus.neg_type) == set(pairs.FOILS)
    for first, second, text, other in zip(corpus.spec, corpus.spec2, corpus.text, corpus.text2):
        assert grammar.holds(first, text) and grammar.holds(second, other)
        assert not grammar.holds(first, other) and not grammar.holds(second, text)


def test_damage_masks_lie_where_the_picture_differs(load):
    corpus = load("damage", "test")
    assert abs(corpus.anomalous.mean() - 0.5) < 0.01
    assert (corpus.mask.any((1, 2)) == corpus.anomalous).all()
    for image, mask, spec in zip(corpus.image, corpus.mask, corpus.spec):
        whole = render.render(spec.replace(damage=())).image.astype(int)
        change = np.abs(image.astype(int) - whole).max(-1)
        near = binary_dilation(mask, np.ones((3, 3)), iterations=3)
        assert not (change[~near] > 10).any()
        if mask.any():
            assert change[mask].mean() > 10


def test_backlit_scenes_are_dark_where_the_mask_says(load):
    test, well = load("backlit", "test"), load("backlit", "well_lit")
    for image, target, dark in zip(test.image, test.target, test.dark):
        assert 0.05 < dark.mean() < 0.95
        assert image[dark].mean() < 0.55 * target[dark].mean()
    assert not well.dark.any() and (well.image == well.target).all()
    assert (
        all(spec.light.backlit > 0 for spec in test.spec)
        and optics.light_map(well.spec[0].light, well.inst[0]).min() == 256
    )
    red = [s.objects[0].colour == "red" for s in load("backlit", "well_lit_red").spec]
    assert np.mean(red) > 0.5


def test_parts_words_and_regions_agree_with_the_scene(load):
    corpus = load("objects/badges", "test", limit=12)
    for inst, parts, spec, boxes in zip(corpus.inst, corpus.parts, corpus.spec, corpus.part_boxes):
        assert ((parts > 0) == (inst > 0)).all()
        has = set(badges.parts(spec.objects[0].name))
        assert {part for k, part in enumerate(render.PARTS) if boxes[0, k].any()} <= has
    signs = load("scenes/signs", "test")
    for spec, words, boxes in zip(signs.spec, signs.words, signs.word_boxes):
        assert len(words) == len(boxes) == len(spec.words) and (boxes[:, 2:] > boxes[:, :2]).all()
    crowd = load("scenes/crowd", "val", limit=20)
    for inst, region, boxes, phrases in zip(crowd.inst, crowd.region, crowd.boxes, crowd.phrases):
        assert len(region) == len(boxes) == len(phrases)
        assert all((region[i][inst == i + 1]).all() for i in range(len(region)))


def test_counts_are_independent_of_each_other(load):
    corpus = load("scenes/counts", "train")
    first = [Counter(thing.name for thing in spec.objects) for spec in corpus.spec]
    two = np.array([sorted(count.items())[0][1:] + sorted(count.items())[1][1:] for count in first if len(count) == 2])
    assert two.max() == 8 and abs(np.corrcoef(two.T)[0, 1]) < 0.2
    total = corpus.values["objects"]
    assert abs(np.corrcoef(total, corpus.values["brightness"])[0, 1]) < 0.2
    assert corpus.values["count cat"].max() > 3


def test_long_scenes_come_in_groups_with_one_first_sentence(load):
    corpus = load("scenes/long", "test")
    same = []
    for group in range(len(corpus) // corpora_scenes.GROUP):
        specs = [corpus.spec[i] for i in np.flatnonzero(corpus.group == group)]
        assert len(specs) == corpora_scenes.GROUP and len({spec.objects[:2] for spec in specs}) == 1
        assert len({spec.objects for spec in specs}) == len(specs)
        firsts = [corpus.captions[i][2].split(". ")[0] for i in np.flatnonzero(corpus.group == group)]
        same.append(len(set(firsts)) == 1)
    assert np.mean(same) > 0.9


def test_videos_have_exact_bounds(load):
    corpus = load("videos", "train")
    orders = {step.split()[0] for steps in corpus.steps for step in steps}
    assert {"add", "put", "remove", "paint", "move", "enlarge"} <= orders
    for i in range(len(corpus)):
        frames, bounds, steps, moment = corpus.frames[i], corpus.bounds[i], corpus.steps[i], corpus.moment[i]
        assert videos.LENGTH[0] <= len(frames) == len(corpus.spec[i]) == len(corpus.transcript[i]) <= videos.LENGTH[1]
        assert len(bounds) == len(steps) + 1 and bounds[0] == moment[0] and bounds[-1] == moment[1] <= len(frames)
        assert ((np.diff(bounds) >= 3) & (np.diff(bounds) <= 8)).all()
        specs = corpus.spec[i]
        for start in bounds[1:-1]:
            assert specs[start].objects != specs[start - 1].objects
        for step, start, end in zip(steps, bounds, bounds[1:]):
            bare = specs[start].replace(objects=())  # a goal begins on bare ground, after a cut from another scene
            assert grammar_change.tells(bare if start == moment[0] else specs[start - 1], specs[end - 1], step), step
            spoken = set(corpus.transcript[i][start:end]) - set(grammar_video.FILLERS)
            assert all(said.endswith(step) for said in spoken)
        around = {*range(len(frames))} - {*range(*moment)} - {*range(*corpus.moment2[i])}
        assert {corpus.transcript[i][k] for k in around} <= set(grammar_video.FILLERS)
    assert (load("videos", "distractors").moment == -1).all()
    assert len({tuple(length) for length in corpus.moment.tolist()}) > 10


def test_set_pairs_differ_in_their_factor(load):
    corpus = load("setpairs", "test")
    for factor, phrase, purity, a, b in zip(corpus.factor, corpus.phrase, corpus.purity, corpus.spec_a, corpus.spec_b):
        if factor != "word":
            share = [np.mean([grammar.holds(spec, phrase) for spec in side]) for side in (a, b)]
            assert share[0] >= purity - 0.01 and share[0] - share[1] > 2 * purity - 1 - 0.3


def test_alt_texts_are_noisy(load):
    corpus = load("scenes/web", "pool")
    assert [kinds[0] for kinds in corpus.kinds] == ["alt"] * len(corpus)
    named = [{item[1] for item in grammar.parse(texts[0]).tuples if item[0] == "object"} for texts in corpus.captions]
    own = [bool(names & {thing.name for thing in spec.objects}) for names, spec in zip(named, corpus.spec)]
    assert 0.28 < np.mean(own) < 0.42 and 0.02 < np.mean([bool(n) for n in named]) - np.mean(own) < 0.1  # junk, wrong
    assert corpus.take([5, 3]).image.shape == (2, 64, 64, 3)  # drawn when it is asked for


def test_questions_and_hypotheses_are_of_the_scene_and_tell_nothing_alone(load):
    corpus = load("scenes/crowd", "test")
    few = corpus.take(slice(40, 60))
    assert few.qa == corpus.qa[40:60] and few.hyp == corpus.hyp[40:60]  # whatever else is loaded
    answers, labels = Counter(), Counter()
    for spec, questions, hypotheses in zip(corpus.spec, corpus.qa, corpus.hyp):
        assert len(questions) > 1 and len(hypotheses) > 1
        for one in questions:
            assert grammar_ask.answer(spec, one.question) == one.answer
            answers[one.answer] += one.kind == "yes_no"
        for one in hypotheses:
            assert grammar.holds(spec, one.text) == (one.label == "entail")
            labels[one.label] += 1
    assert 0.4 < answers["yes"] / (answers["yes"] + answers["no"]) < 0.6
    assert 0.4 < labels["entail"] / labels.total() < 0.6


def test_badges_are_captioned_by_their_parts_and_seldom_by_name(load):
    corpus = load("objects/badges", "train")
    column = corpus.kinds[0].index("short")
    said = [texts[column] for texts in corpus.captions]
    rows = [badges.rows()[spec.objects[0].name] for spec in corpus.spec]
    named = [row["word"] in text.split() for row, text in zip(rows, said)]
    told = np.array([float(row["captioned"]) > 0 for row in rows])
    assert 0.05 < np.mean(np.array(named)[told]) < 0.16 and not np.array(named)[~told].any()
    parts = [{item[2] for item in grammar.parse(text).tuples if item[0] == "attribute"} for text in said]
    for have, spec in zip(parts, corpus.spec):
        assert {one for one in have if one in kb.part_phrases()} <= set(grammar_truth.parts(spec.objects[0]).values())
    assert np.mean([bool(have & kb.part_phrases()) for have in parts]) > 0.4


def test_captions_of_tests_copy_no_seen_frame(load):
    corpus = load("scenes/attr", "test")
    column = corpus.kinds[0].index("short_held_out")
    starts = {frame.split("{}")[0].strip() for frame in grammar.templates("seen")} - {"", "a"}
    for texts in corpus.captions:
        assert not texts[column].startswith(tuple(starts))


def test_corpus_json_names_what_indices_mean(drawn):
    info = json.loads((drawn[0] / "data" / "objects" / "texture" / "corpus.json").read_text())
    assert info["domains"] == list(corpora_scenes.TEXTURE_SETS) and len(info["classnames"]) == 8
