"""Method cells of the tour of the world: small pictures, blind models and counts of errors, against closed forms."""

import base64
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from cells import definitions
from PIL import Image

from lib.world import grammar, presets
from lib.world.spec import Object


@pytest.fixture(scope="module")
def tour():
    return definitions("world")


def flat(*colours, side=64):
    """One-coloured pictures."""
    return np.stack([np.full((side, side, 3), colour, np.uint8) for colour in colours])


# ---- pictures


def test_few_colours_keep_what_differs_and_merge_what_does_not(tour):
    image = flat((200, 30, 30))[0]
    image[:, 32:] = (20, 20, 200)
    assert (np.asarray(tour.few_colours(image).convert("RGB")) == image).all()
    noisy = (image.astype(int) + np.random.default_rng(0).integers(-3, 4, image.shape)).astype(np.uint8)
    few = np.asarray(tour.few_colours(noisy).convert("RGB")).astype(int)
    assert len(np.unique(few.reshape(-1, 3), axis=0)) == 2 and np.abs(few - image).max() <= 3
    many = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert len(tour.few_colours(many, 16, 0).getcolors()) == 16
    assert tour.few_colours(many[:, :10], 8).size == (10, 64)


def test_shelves_hold_every_picture_with_its_label(tour):
    text = tour.shelf([("colour", [(image, f"<{k}>") for k, image in enumerate(flat(*[(k, 0, 0) for k in range(9)]))])])
    assert re.findall(r'alt="([^"]*)"', text) == [f"&lt;{k}&gt;" for k in range(9)]
    assert text.count("<tr>") == 2 and text.count("<b>colour</b>") == 1 and 'colspan="5"' in text
    data = re.findall(r"base64,([^\"]+)", text)
    shown = [np.asarray(Image.open(io.BytesIO(base64.b64decode(one))).convert("RGB")) for one in data]
    assert [tuple(one[0, 0]) for one in shown] == [(k, 0, 0) for k in range(9)]
    beside = tour.card(flat((9, 9, 9))[0], [("short", 'a "cat" & cup'), ("long", "x")])
    assert beside.count("<img") == 1 and 'rowspan="2"' in beside and "&amp; cup" in beside


def test_masks_are_tinted_and_strips_keep_pixels(tour):
    mask = np.zeros((1, 64, 64), bool)
    mask[0, :32] = True
    shown = tour.tinted(flat((100, 150, 50))[0], mask, ("#ff0000",), strength=1.0)
    assert (shown[:32] == (255, 0, 0)).all() and (shown[32:] == shown[32, 0, 0]).all()
    four = flat((1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4))
    joined = tour.strip(four)
    assert joined.shape == (131, 131, 3) and [joined[y, x, 0] for y in (0, 130) for x in (0, 130)] == [1, 2, 3, 4]
    assert tour.strip(np.zeros((2, 32, 128, 3), np.uint8)).shape == (67, 128, 3)
    assert tour.first_clear([flat((0, 0, 0))[0], flat((255, 255, 255))[0]], 1) == 1


def test_scenes_of_the_tour_show_what_their_names_say(tour):
    for name in tour.APART:
        assert grammar.holds(tour.two(name), f"a heart {name} a square"), name
    assert tour.damaged("hole").damage[0].kind == "hole"
    assert (tour.cat(colour="red") != tour.cat(colour="blue")).any()
    colours = np.unique(tour.portrait("heart").reshape(-1, 3), axis=0)
    assert len(colours) <= 4 and (colours == 255).all(1).any()


# ---- blind models


def test_histograms_see_colours_and_no_places(tour):
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    mixed = image.reshape(1, -1, 3)[:, np.random.default_rng(1).permutation(4096)].reshape(image.shape)
    one, other = tour.colour_histogram(image), tour.colour_histogram(mixed)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose((one**2).sum(1), 1, rtol=1e-6)
    half = flat((0, 0, 255))
    half[:, :32] = (255, 64, 0)
    found = tour.colour_histogram(half)[0]
    assert found[3] == pytest.approx(0.5**0.5) and found[3 * 16 + 1 * 4] == pytest.approx(0.5**0.5)


def test_coarse_pixels_are_means_of_cells(tour):
    image = np.random.default_rng(0).integers(0, 256, (2, 32, 128, 3)).astype(np.uint8)
    found = tour.coarse_pixels(image).reshape(2, 16, 16, 3)
    np.testing.assert_allclose(found[1, 2, 5], image[1, 4:6, 40:48].mean((0, 1)) / 255, rtol=1e-5)
    tiles = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    np.testing.assert_allclose(tour.coarse_pixels(tiles, 8), tiles.reshape(2, -1) / 255, rtol=1e-6)


def noisy(colours, seed=0):
    """Grey pictures with grain and a patch of a colour at a random place."""
    rng = np.random.default_rng(seed)
    images = rng.integers(100, 130, (len(colours), 64, 64, 3)).astype(np.uint8)
    for image, colour in zip(images, colours):
        y, x = rng.integers(0, 44, 2)
        image[y : y + 20, x : x + 20] = colour
    return images


HUES = np.array([(250, 20, 20), (20, 20, 250), (20, 250, 20)])
WORDS = ("red", "blue", "green")


def test_colours_classify_what_differs_in_colour_and_pixels_what_differs_in_place(tour):
    labels = np.arange(90) % 3
    right = tour.classify(noisy(HUES[labels]), labels, noisy(HUES[labels], 1), labels)
    assert right["colours"].mean() > 0.98
    places = np.full((90, 64, 64, 3), 90, np.uint8)
    for image, label in zip(places, labels):
        image[20 * label : 20 * label + 15, 10:40] = 200
    right = tour.classify(places, labels, places[::-1], labels[::-1])
    assert right["pixels"].all() and right["colours"].mean() < 0.5
    assert tour.majority([1, 1, 2], np.array([1, 2, 2, 2])) == 0.25
    odd = labels == 0
    assert tour.detect(noisy(HUES[labels]), odd, noisy(HUES[labels], 1), odd)["colours"] > 0.98
    values = tour.ordered(places, labels, places, labels)
    assert values["pixels"] == 1.0 and values["colours"] < 0.6


def test_the_nearest_row_and_its_chance(tour):
    rows = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 1], [-1, -1]])
    assert tour.nearest(rows, [0, 0, 1, 1, 2]) == 1.0  # the last has no mate
    assert tour.nearest(rows, [0, 1, 0, 1, 2]) == 0.0
    assert tour.by_chance(np.array([0, 0, 1, 1, 1])) == pytest.approx((2 * 1 + 3 * 2) / 5 / 4)
    values = tour.seen_alike(noisy(HUES[np.arange(30) % 3]), np.arange(30) % 3)
    assert values["colours"] > 0.9


def test_patches_lie_inside_objects(tour):
    inst = np.zeros((1, 64, 64), np.uint8)
    inst[0, :8, :12] = 1
    inst[0, 8:16, :8] = 2
    image = np.arange(64 * 64 * 3).reshape(1, 64, 64, 3).astype(np.uint8)
    spec = SimpleNamespace(objects=(Object("cat"), Object("cup")))
    tiles, labels = tour.patches(SimpleNamespace(image=image, inst=inst, spec=[spec]))
    assert labels.tolist() == [tour.atlas.class_index(name) for name in ("cat", "cup")]
    np.testing.assert_array_equal(tiles, [image[0, :8, :8], image[0, 8:16, :8]])


def test_texts_are_chosen_by_their_words_and_ties_are_draws(tour):
    texts = [f"a {word} thing" for word in WORDS] * 20
    candidates = tour.others(texts, 3)
    assert (candidates[:, 0] == np.arange(60)).all()
    assert all(texts[row[0]] not in (texts[k] for k in row[1:]) for row in candidates)
    labels = np.arange(60) % 3
    values = tour.match(noisy(HUES[labels]), texts, noisy(HUES[labels], 1), texts, candidates)
    assert values["colours"] == 1.0 and values["text"] < 0.5
    bag = tour.bags(texts, texts)[1]
    assert tour.choose(np.zeros_like(bag), bag, candidates) == pytest.approx(1 / 3)


def pairs(count, seed, texts=lambda word: f"a {word} thing"):
    """Minimal pairs: two pictures in two colours and a statement for each."""
    rng = np.random.default_rng(seed)
    kinds = np.array([rng.permutation(3)[:2] for _ in range(count)])
    return SimpleNamespace(
        image=noisy(HUES[kinds[:, 0]], seed), image2=noisy(HUES[kinds[:, 1]], seed + 1),
        text=[texts(WORDS[a]) for a, _ in kinds], text2=[texts(WORDS[b]) for _, b in kinds],
    )  # fmt: skip


def test_statements_are_assigned_by_colours_and_not_by_words(tour):
    fit, test = pairs(150, 0), pairs(100, 7)
    right, strict = tour.assign(fit, test, tour.colour_histogram)
    assert right.mean() > 0.97 and strict.mean() > 0.9 and (strict <= right).all()
    right, strict = tour.assign(fit, test)
    assert 0.3 < right.mean() < 0.7 and strict is None
    same = pairs(20, 3, lambda word: "the same words")
    assert (tour.assign(same, same)[0] == 0.5).all()
    first = SimpleNamespace(**vars(fit) | {"text": ["flawless"] * 150, "text2": ["damaged"] * 150})
    assert tour.assign(first, first)[0].mean() == 1.0


def test_moments(tour):
    assert tour.overlap((0, 10), (5, 15)) == pytest.approx(1 / 3) and tour.overlap((0, 4), (6, 9)) == 0
    frames = [np.zeros((20, 64, 64, 3), np.uint8) for _ in range(3)]
    videos = SimpleNamespace(frames=frames, moment=np.array([[5, 15]] * 3))
    assert [tuple(span) for span in tour.constant_spans(videos, videos)] == [(5, 15)] * 3
    assert tour.found_moments([(5, 15), (0, 3), (4, 16)], videos) == pytest.approx(2 / 3)
    assert tour.any_span(videos, videos) == pytest.approx(7 / 11)  # starts 2 to 8 of 0 to 10
    for video in frames:
        video[8:] = 255
        video[8:16, 0, :32] = np.arange(8)[:, None, None] * 30
        video[16:] = 100
    assert tour.busiest_spans(videos, tour.coarse_pixels, 1.0) == [(8, 16)] * 3


def test_the_usual_colour_answers_where_there_is_one(tour):
    heart, blue, grey = Object("heart", "red"), Object("cat", "blue"), Object("heart", "grey")
    assert presets.natural_colour("heart") == "red"
    assert tour.usual_colour(heart, blue) == 1.0 and tour.usual_colour(blue, heart) == 1.0
    assert tour.usual_colour(grey, blue) == 0.5
    assert tour.usual_colour(grey, Object("cat", "red")) == 0.0


def test_one_split_is_cut_in_halves(tour, monkeypatch):
    class Part:
        def __init__(self, rows, identity):
            self.rows, self.identity = rows, identity

        def __len__(self):
            return len(self.rows)

        def take(self, cut):
            return Part(self.rows[cut], "part")

    found = {"train": Part(list(range(9)), "a"), "test": Part(list(range(7)), "b")}
    monkeypatch.setattr(tour.datasets, "load", lambda name, split, fields: found[split])
    fit, test = tour.two_parts("x", "train", limit=5)
    assert fit.rows == [0, 1, 2, 3, 4] and test.rows == [0, 1, 2, 3, 4]
    fit, test = tour.two_parts("x", "test", limit=5)
    assert fit.rows == [0, 1, 2] and test.rows == [3, 4, 5, 6]


# ---- errors of stand-ins


def test_errors_are_none_where_none_are_asked_for(tour):
    specs = [tour.corpora.example("scenes/base", "cells", index)[0] for index in range(25)]
    texts = [grammar.caption(spec, "short", tour.draws(k)).text for k, spec in enumerate(specs)]
    assert tour.share([True, False, False, True]) == (0.5, 4)
    assert [value for value, _ in tour.describer_errors([0], 0, 0)] == [0, 0]
    assert [value for value, _ in tour.rewriter_errors(texts, [0], 0, 0)] == [0, 0]
    assert tour.translator_errors(texts, [0], 0.0)[0] == 0
    assert tour.fuser_errors([0], 0.0, 40)[0] == 0 and tour.fuser_errors([0], 1.0, 40)[0] == 1
    assert [value for value, _ in tour.captioner_errors(specs, [0], 0, 0)] == [0, 0]
    rates = {"jitter": 0, "p_drop": 0, "p_false": 0, "p_label": 0}
    assert [value for value, _ in tour.detector_errors(specs, [0], **rates)] == pytest.approx([0] * 4, abs=1e-6)


def test_errors_are_counted_where_they_are_asked_for(tour):
    specs = [tour.corpora.example("scenes/base", "cells", index)[0] for index in range(25)]
    vague, wrong = tour.describer_errors(range(6), 0.3, 0.2)
    assert abs(vague[0] - 0.3) < 0.08 and abs(wrong[0] - 0.2) < 0.08
    lost, wrong = tour.captioner_errors(specs, [0, 1], 1.0, 0)
    assert lost[0] == 1 and wrong[0] == 0
    rates = {"jitter": 0.4, "p_drop": 0.5, "p_false": 0, "p_label": 1.0}
    shift, lost, false, wrong = tour.detector_errors(specs, [0, 1], **rates)
    assert abs(shift[0] - 0.2) < 0.04 and abs(lost[0] - 0.5) < 0.15 and false[0] == 0 and wrong[0] == 1
