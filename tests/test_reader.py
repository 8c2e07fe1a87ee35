"""The shipped reader: golden vectors, what it has learnt, and the functions of its training notebook."""

import numpy as np
import pytest
import torch
from cells import definitions

from lib import encoders, losses, optim, text
from lib.world import lettering, writing_firms

IMAGE = None  # first entries of two embeddings
TEXT = None


@pytest.fixture(scope="module")
def reader():
    return encoders.load("models/reader", device="cpu")


@pytest.fixture(scope="module")
def notebook():
    return definitions("reader")


@pytest.fixture(scope="module")
def known(notebook):
    return notebook.vocabulary(3000)


def test_golden_vectors(reader):
    image = lettering.crop("kelom", 3, 11, wear=0.5)
    np.testing.assert_allclose(reader.encode_images(image[None])[0, :6], IMAGE, atol=2e-3)
    np.testing.assert_allclose(reader.encode_texts(["kelom"])[0, :6], TEXT, atol=2e-3)
    assert reader.image_size == (32, 128) and reader.dim == 128 and reader.context == 24


def test_it_is_the_architecture_that_notebooks_rely_on(reader):
    assert reader.model.visual.grid_size == (4, 16) and len(reader.model.visual.transformer.resblocks) == 4
    assert len(reader.model.transformer.resblocks) == 3 and reader.model.positional_embedding.shape == (24, 128)
    assert sum(p.numel() for p in reader.model.parameters()) < 1.6e6
    assert reader.tokenizer(["Dax"]).tolist() == reader.tokenizer(["dax"]).tolist()


def test_it_reads_words_that_it_never_saw(reader, notebook):
    words = list(writing_firms.words("val", 100))
    for faces, least in ((lettering.faces("F1"), 0.5), (lettering.faces("F2"), 0.2)):  # chance is 0.01
        right = notebook.right(reader, notebook.written(words, faces, offset=90_000), words)
        assert right.mean() > least  # the model card has the measured values
    prompts = [notebook.PROMPT.format(word) for word in words]
    assert notebook.right(reader, notebook.written(words, lettering.faces("F1"), offset=90_000), prompts).mean() > 0.5


def test_words_of_other_splits_and_stems_of_firms_are_never_written(notebook, known):
    stems = {firm.stem.lower() for split in writing_firms.roster().values() for firm in split}
    assert not stems & set(known) and {writing_firms.word_split(word) for word in known} == {"reader"}
    drawn = {
        word for batch in range(20) for word in notebook.batch_words(batch, 64, known, notebook.families(known), 0.5)
    }
    assert drawn <= set(known) and len(drawn) > 300


def test_families_agree_but_for_one_letter(notebook):
    found = notebook.families(["dax", "dix", "wax", "ta"])
    assert found["d?x"] == ["dax", "dix"] and found["?ax"] == ["dax", "wax"] and found["t?"] == ["ta"]


def test_batches_bring_look_alikes(notebook, known):
    patterns = notebook.families(known)

    def near(alike):
        words = [word for batch in range(8) for word in notebook.batch_words(batch, 64, known, patterns, alike)]
        assert len(words) == 8 * 64
        pairs = [
            len(a) == len(b) and sum(x != y for x, y in zip(a, b)) == 1
            for start in range(0, len(words), 64)
            for i, a in enumerate(words[start : start + 64])
            for b in words[start : start + i]
        ]
        return sum(pairs)

    assert near(1.0) > 4 * near(0.0)
    assert notebook.batch_words(3, 16, known, patterns, 0.5) == notebook.batch_words(3, 16, known, patterns, 0.5)


def test_difficulty_is_a_ramp(notebook):
    values = [notebook.difficulty(index, 100, 300) for index in (0, 100, 200, 300, 10**6)]
    assert values == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_easy_crops_show_the_word_alone_and_hard_ones_names_too(notebook):
    easy = [notebook.crop(k, "kelom", 0.5, 1000, 2000) for k in range(40)]
    assert {said for _, _, said in easy} == {"kelom"}
    assert {caption for _, caption, _ in easy} == {"kelom", 'a photo of a "kelom"'}
    hard = [notebook.crop(k, "kelom", 0.5, 0, 1) for k in range(1, 200)]
    names = [(caption, said) for _, caption, said in hard if said != "kelom"]
    assert 0.3 < len(names) / len(hard) < 0.6
    assert all(caption == said == said.lower() and said.startswith("kelom") for caption, said in names)
    assert {len(said.split()) for _, said in names} == {1, 2, 3} - ({1} if all(" " in s for _, s in names) else set())
    image, caption, said = notebook.crop(5, "kelom", 0.5, 0, 1)
    again, *_ = notebook.crop(5, "kelom", 0.5, 0, 1)
    assert image.shape == (32, 128, 3) and image.dtype == np.uint8 and np.array_equal(image, again)


def test_the_prompt_with_the_longest_word_fits_the_context(notebook):
    tokenizer = text.character_tokenizer()
    assert len(tokenizer(notebook.PROMPT.format("tameko"))["input_ids"]) <= 24


def test_trigrams_and_jaccard(notebook):
    a, b = notebook.trigrams(["Dax", "dax co"])
    assert a == {" da", "dax", "ax "} and b == {" da", "dax", "ax ", "x c", " co", "co "}
    table = notebook.jaccard([a, b], [a, b, set()])
    np.testing.assert_allclose(table, [[1, 1 / 2, 0], [1 / 2, 1, 0]])


def test_linked_asks_for_the_entity_not_the_row(notebook):
    scores = np.array([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.5, 0.5, 0.0]])
    assert notebook.linked(scores, [7, 8, 8], [7, 8, 9]).tolist() == [1.0, 0.0, 0.5]


def test_norms_are_those_of_open_clip(notebook, tiny_encoder):
    image = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    found = notebook.norms(tiny_encoder, image, ["a red cup", "a star"])
    pooled = tiny_encoder.encode_texts(["a red cup", "a star"], normalize=False)
    assert found["text embedding"] == pytest.approx(np.linalg.norm(pooled, axis=1).mean())
    with torch.no_grad():
        tiny_encoder.model.visual.output_tokens = True
        _, tokens = tiny_encoder.model.visual(tiny_encoder.pixels(image))
        projected = tokens @ tiny_encoder.model.visual.proj
    assert found["image tokens, projected"] == pytest.approx(float(projected.norm(dim=-1).mean()), rel=1e-4)


def test_a_training_step_lowers_the_loss_and_resumes(notebook, tmp_path):
    tokenizer = text.character_tokenizer()
    config = encoders.small_config(len(tokenizer), size=(32, 128), width=32, layers=1, text_layers=1, context=24)
    folder = encoders.save(tmp_path / "m", encoders.create(config, 0), config, encoders.PREPROCESS, tokenizer)
    encoder = encoders.load(str(folder), device="cpu").copy()
    model = encoder.model.train()
    optimizer = optim.adamw(model, 3e-3, 0.1)
    rows = [
        notebook.crop(k, word, 0.0, 10, 20) for k, word in enumerate(("dax", "kelom", "tu", "wagi", "rotime", "eb"))
    ]
    pixels, same = encoder.pixels(np.stack([r[0] for r in rows])), losses.same([r[2] for r in rows])
    tokens, cpu = encoder.tokenizer([r[1] for r in rows]), torch.device("cpu")
    values = [notebook.train_step(model, optimizer, pixels, tokens, same, cpu, "float32") for _ in range(12)]
    assert values[-1] < values[0] - 0.1
    notebook.save_checkpoint(tmp_path / "checkpoint.pt", model, optimizer, 12, [{"loss": values[-1]}])
    other = encoders.load(str(folder), device="cpu").copy().model
    again = optim.adamw(other, 1e-3, 0.1)
    assert notebook.load_checkpoint(tmp_path / "checkpoint.pt", other, again) == (12, [{"loss": values[-1]}])
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values()))
    assert notebook.load_checkpoint(tmp_path / "none.pt", other, again) == (0, [])


class TestCharacters:
    def test_one_token_per_character(self):
        tokenizer = text.character_tokenizer()
        assert len(tokenizer) == 259 and tokenizer.pad_token_id == 0
        assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (257, 258) and tokenizer.unk_token is None
        ids = tokenizer('a "Dax" & Co.')["input_ids"]
        assert len(ids) == 13 + 2 and (ids[0], ids[-1]) == (257, 258)
        assert ids == tokenizer('A "DAX" & CO.')["input_ids"]

    def test_every_text_is_spelt_and_comes_back(self):
        tokenizer = text.character_tokenizer()
        for sentence in ("rn or m?", "1l|i", "müßig 日本", "<|endoftext|> <|pad|>"):
            ids = tokenizer(sentence)["input_ids"]
            assert ids.count(258) == 1 and 0 not in ids
            assert tokenizer.decode(ids[1:-1]) == sentence

    def test_the_same_file_every_time(self):
        assert len({text.character_tokenizer().backend_tokenizer.to_str() for _ in range(3)}) == 1
