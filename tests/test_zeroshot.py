import numpy as np
import pytest

from lib import features, text, zeroshot

NAMES = ["cup", "blue_star", "pencil"]
TEMPLATES = ["a {}.", "a photo of the large {}."]


class Stub:
    """An encoder whose text features are known: row of the text in a table."""

    name, identity, frozen = "stub", "stub@0", True

    def __init__(self, table):
        self.table, self.dim = table, len(next(iter(table.values())))

    def encode_texts(self, texts, normalize=True, precision=None):
        rows = np.array([self.table[t] for t in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class TestHead:
    def test_embeddings_by_hand(self, workspace):
        stub = Stub({"a cup.": [2, 0], "the cup": [0, 5], "a star.": [1, 0], "the star": [3, 0]})
        head = zeroshot.head(stub, ["cup", "star"], ["a {}.", "the {}"])
        assert head.dtype == np.float32
        assert np.allclose(head, [[0.5**0.5, 0.5**0.5], [1, 0]])

    def test_scores_keep_every_template(self, workspace, tiny_encoder):
        head = zeroshot.head(tiny_encoder, NAMES, TEMPLATES, pool="scores")
        assert head.shape == (3, 2, 32) and head.dtype == np.float32
        assert np.allclose(head[1, 1], tiny_encoder.encode_texts(["a photo of the large blue star."])[0], atol=1e-6)

    def test_both_pools_agree_for_one_template(self, workspace, tiny_encoder):
        one = zeroshot.head(tiny_encoder, NAMES, TEMPLATES[:1])
        assert np.allclose(one, zeroshot.head(tiny_encoder, NAMES, TEMPLATES[:1], pool="scores")[:, 0], atol=1e-6)
        assert np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-6)

    def test_head_is_stored(self, workspace, tiny_encoder, monkeypatch):
        first = zeroshot.head(tiny_encoder, NAMES, TEMPLATES)
        monkeypatch.setattr(tiny_encoder, "encode_texts", None)
        assert np.array_equal(zeroshot.head(tiny_encoder, NAMES, TEMPLATES), first)

    @pytest.mark.parametrize(
        ("names", "templates", "pool", "message"),
        [
            ([], TEMPLATES, "embeddings", "0 and 2"),
            (NAMES, [], "embeddings", "3 and 0"),
            ("cup", TEMPLATES, "embeddings", "lists of str"),
            (NAMES, "a {}.", "embeddings", "lists of str"),
            (NAMES, ["a photo"], "embeddings", "exactly one {}"),
            (NAMES, ["a {} and a {}"], "embeddings", "exactly one {}"),
            (NAMES, TEMPLATES, "mean", "embeddings or scores"),
        ],
    )
    def test_wrong_input(self, tiny_encoder, names, templates, pool, message):
        with pytest.raises(ValueError, match=message):
            zeroshot.head(tiny_encoder, names, templates, pool=pool)


class TestLogits:
    def test_by_hand(self):
        image_features = np.array([[1, 0], [0.6, 0.8]], np.float32)
        head = np.array([[1, 0], [0, 1], [0.8, 0.6]], np.float32)
        assert np.allclose(zeroshot.logits(image_features, head), [[100, 0, 80], [60, 80, 96]])
        assert np.allclose(zeroshot.logits(image_features, head, scale=1.0), [[1, 0, 0.8], [0.6, 0.8, 0.96]])

    def test_scores_are_averaged_over_templates(self):
        rng = np.random.default_rng(0)
        image_features, head = rng.normal(size=(4, 5)), rng.normal(size=(3, 2, 5))
        plain = [[np.mean([100 * f @ t for t in templates]) for templates in head] for f in image_features]
        assert np.allclose(zeroshot.logits(image_features, head), plain)

    @pytest.mark.parametrize("shape", [(3, 4), (5,), (2, 2, 2, 5)])
    def test_shapes_must_fit(self, shape):
        with pytest.raises(ValueError, match="do not fit"):
            zeroshot.logits(np.ones((4, 5)), np.ones(shape))


class TestTemplates:
    def test_openai_has_the_seven(self):
        assert len(text.templates("openai")) == 7 and text.templates("openai")[0] == "itap of a {}."

    def test_frames_of_the_grammar_have_one_place_for_the_name_and_do_not_overlap(self):
        seen, held_out = text.templates("seen"), text.templates("held_out")
        assert seen and held_out and not set(seen) & set(held_out)
        assert all(template.count("{}") == 1 for template in seen + held_out)

    def test_unknown_name(self):
        with pytest.raises(ValueError, match="seen, held_out or openai"):
            text.templates("imagenet")

    def test_prompts_go_class_by_class(self):
        expected = ["a cup.", "a photo of the large cup.", "a blue star.", "a photo of the large blue star."]
        assert text.prompts(NAMES[:2], TEMPLATES) == expected


@pytest.mark.real
def test_text_to_image_on_flickr8k(real, workspace):
    """100 photos with 5 captions each: R@1 83.2 %, R@5 99.0 % with the original ViT-B/32 (measured once)."""
    import csv

    folder = real / "features" / "flickr8k-vitb32"
    (workspace / "pairs").mkdir()
    for name in ("image", "text"):
        (workspace / "pairs" / f"{name}_features.npy").symlink_to(folder / f"{name}_embeddings.npy")
    from lib import datasets

    corpus = datasets.load("features:pairs", "test")
    with (folder / "metadata.csv").open() as stream:
        names = np.array([row["image_id"] for row in csv.DictReader(stream)])
    _, first, group = np.unique(names, return_index=True, return_inverse=True)
    queries = corpus.text_features / np.linalg.norm(corpus.text_features, axis=1, keepdims=True)
    scores = zeroshot.logits(queries, features.images(None, corpus)[first])
    rank = (scores > scores[np.arange(len(group)), group][:, None]).sum(axis=1)
    assert len(first) == 100 and len(group) == 500
    assert np.mean(rank < 1) == pytest.approx(0.832, abs=5e-4)
    assert np.mean(rank < 5) == pytest.approx(0.990, abs=5e-4)
