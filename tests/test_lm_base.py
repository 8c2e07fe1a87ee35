"""The shipped lm_base: golden values, what it has learnt, and the functions of its training notebook."""

import re

import numpy as np
import pytest
import torch
from cells import definitions
from transformers import AutoModelForCausalLM, AutoTokenizer

import lib
from lib import datasets, decoder, losses, optim, text
from lib.world import corpora, grammar, writing_text
from lib.world.grammar_form import well_formed

SENTENCE = "a red cat left of a small cup on grass"
FIRST = ["Ġa", "Ġan", "Ġwe", "Ġhere"]  # the most probable tokens behind the begin token
NATS = 27.493  # cross-entropy of the sentence
STATE = [-1.2108, -0.7578, -1.4873, 1.4383, -0.2919, -0.72]  # first entries of the last state of its end
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def lm():
    return decoder.load("models/lm_base")


@pytest.fixture(scope="module")
def notebook():
    return definitions("lm_base")


@pytest.fixture(scope="module")
def toy(lexicon):
    """A small model with random weights, and sentences for it."""
    tokenizer = text.build_tokenizer(lexicon, 320)
    return decoder.blank(tokenizer, 0, layers=2, width=32, context=48), lexicon[:64]


# ---- the shipped model


def test_golden_values(lm, notebook):
    tokens = decoder.encode(lm.tokenizer, [SENTENCE], 96)
    with torch.inference_mode():
        out = lm.model(input_ids=tokens, output_hidden_states=True)
    assert lm.tokenizer.convert_ids_to_tokens(out.logits[0, 0].topk(4).indices.tolist()) == FIRST
    np.testing.assert_allclose(out.hidden_states[-1][0, -1, :6], STATE, atol=5e-3)
    nats, count = notebook.sentence_nats(lm.model, lm.tokenizer, [SENTENCE], 96, CPU)
    assert nats[0] == pytest.approx(NATS, abs=0.02) and count[0] == tokens.shape[1] - 1


def test_transformers_reads_it_offline(lm, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = str(lib.find("models/lm_base"))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer(SENTENCE)["input_ids"] == decoder.encode(lm.tokenizer, [SENTENCE], 96)[0].tolist()
    for name, tensor in lm.model.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name])


def test_it_is_the_architecture_that_notebooks_rely_on(lm):
    config = lm.model.config
    assert (config.model_type, config.n_layer, config.n_embd, config.n_positions) == ("gpt2", 3, 128, 96)
    assert lm.width == 128 and lm.context == 96 and not any(p.requires_grad for p in lm.model.parameters())
    assert sum(p.numel() for p in lm.model.parameters()) < 1e6
    assert lm.tokenizer.pad_token_id == 0 and lm.tokenizer.eos_token_id == len(lm.tokenizer) - 1
    assert sum(file.stat().st_size for file in lib.find("models/lm_base").iterdir()) < 2.2e6


def test_it_prefers_captions_to_their_words_in_another_order(lm, notebook):
    rng = np.random.default_rng(0)
    said = []
    for index in range(80):
        spec, draw = corpora.example("scenes/base", "lm tests", index)
        said.append(grammar.caption(spec, "short", draw).text)
    said = [one for one in said if len(one.split()) > 5]
    mixed = [" ".join(rng.permutation(one.split())) for one in said]
    true, _ = notebook.sentence_nats(lm.model, lm.tokenizer, said, 96, CPU)
    false, _ = notebook.sentence_nats(lm.model, lm.tokenizer, mixed, 96, CPU)
    assert (true < false).mean() > 0.97
    assert notebook.perplexity(lm.model, lm.tokenizer, said, 96, CPU) < 8


def test_what_it_writes_is_well_formed(lm, notebook):
    said = notebook.drawn(lm, 48, 5, 96)
    short = [one for one in said if notebook.form(one) == "short caption"]
    assert len(short) > 24 and np.mean([well_formed(one) for one in short]) > 0.7
    assert len(set(said)) > 40 and said == notebook.drawn(lm, 48, 5, 96)


def test_it_says_again_what_stands_before(lm, notebook):
    pairs = [writing_text.pair("val", index)[:2] for index in range(60)]
    pairs = [pair for pair in pairs if max(len(said.split()) for said in pair) <= 20]
    own = notebook.behind(lm.model, lm.tokenizer, pairs, 96, CPU)
    other = notebook.behind(
        lm.model, lm.tokenizer, [(b[0], a[1]) for a, b in zip(pairs, pairs[1:] + pairs[:1])], 96, CPU
    )
    assert (own < other).mean() > 0.8


# ---- the functions of the notebook


def test_the_contract_catches_what_tests_keep_for_themselves(notebook):
    patterns = notebook.forbidden()
    spec, rng = corpora.example("scenes/base", "lm tests", 3)
    held_out = [grammar.caption(spec, "short", rng, frames="held_out").text for _ in range(12)]
    seen = [grammar.caption(spec, "short", rng).text for _ in range(12)]
    assert all(patterns["frames: held_out"].search(one) for one in held_out if one not in seen)
    assert not any(pattern.search(one) for one in seen for pattern in patterns.values())
    assert patterns["questions and hypotheses"].search("is there a cat?")
    assert patterns["classes kept from the base"].search("a picture of a taurus")
    assert not patterns["classes kept from the base"].search("a picture of a cat")
    assert notebook.framed("a {} of {a}") == r"^a\ .+\ of\ .+$"


def test_batches_cover_an_epoch_and_hold_sentences_of_like_length(notebook):
    lengths = np.random.default_rng(0).integers(3, 60, 1000)
    found = notebook.batches(lengths, 16, 0, 0)
    assert sorted(np.concatenate(found)) == list(range(1000)) and all(len(rows) <= 16 for rows in found)
    spread = np.mean([np.ptp(lengths[rows]) for rows in found])
    assert spread < 5 < np.ptp(lengths)
    same, other = notebook.batches(lengths, 16, 0, 0), notebook.batches(lengths, 16, 0, 1)
    assert all(map(np.array_equal, found, same)) and not all(map(np.array_equal, found, other))


def test_documents_join_pairs_and_lose_nothing(notebook):
    sentences = [[1, *[10 + k] * (k % 7 + 1), 9] for k in range(40)]
    pairs = [k // 2 for k in range(40)]
    rows = notebook.documents(sentences, pairs, 0.5, 12, 3, 0)
    both = [(a, b) for a, b in zip(sentences[::2], sentences[1::2])]
    fitting = [(a, b) for a, b in both if len(a) + len(b) <= 12]
    assert 0 < len(fitting) < 20
    joined = [row for row in rows if row.count(1) == 2]
    assert len(joined) == len(fitting) // 2 and len(rows) == 40 - len(joined)
    assert all(row in [a + b for a, b in fitting] + [b + a for a, b in fitting] for row in joined)
    assert sorted(token for row in rows for token in row) == sorted(token for row in sentences for token in row)
    assert {tuple(a + b) for a, b in fitting} & set(map(tuple, joined)) != set(map(tuple, joined))  # either order
    assert (
        notebook.documents(sentences, pairs, 0.5, 12, 3, 0)
        == rows
        != notebook.documents(sentences, pairs, 0.5, 12, 3, 1)
    )
    assert notebook.documents(sentences, pairs, 0.0, 12, 3, 0) == sentences


def test_rows_are_padded_on_the_right(notebook):
    assert notebook.padded([[5, 6, 7], [8]]).tolist() == [[5, 6, 7], [8, 0, 0]]


def test_nats_are_those_of_a_plain_loop_and_ignore_padding(notebook, toy):
    lm, sentences = toy
    tokens = decoder.encode(lm.tokenizer, [sentences[0], "a cat"], 24)
    each, kept = notebook.nats(lm.model, tokens, "float32")
    for row in range(2):
        ids = tokens[row][tokens[row] != 0]
        logits = lm.model(input_ids=ids[None, :-1]).logits[0].log_softmax(-1)
        expected = torch.stack([-logits[place, target] for place, target in enumerate(ids[1:].tolist())])
        torch.testing.assert_close(each[row, : len(ids) - 1], expected, atol=1e-4, rtol=1e-4)
        assert kept[row].sum() == len(ids) - 1 and (each[row, len(ids) - 1 :] == 0).all()
    values, counts = notebook.sentence_nats(lm.model, lm.tokenizer, [sentences[0], "a cat"], 24, CPU, batch_size=1)
    np.testing.assert_allclose(values, each.sum(1).detach(), rtol=1e-4)
    assert counts.tolist() == kept.sum(1).tolist()
    found = notebook.perplexity(lm.model, lm.tokenizer, [sentences[0], "a cat"], 24, CPU)
    assert found == pytest.approx(np.exp(values.sum() / counts.sum()), rel=1e-4)


def test_a_start_moves_the_positions(notebook, toy):
    lm, sentences = toy
    tokens = decoder.encode(lm.tokenizer, sentences[:2], 24)
    moved, _ = notebook.nats(lm.model, tokens, "float32", start=torch.tensor([0, 5]))
    plain, _ = notebook.nats(lm.model, tokens, "float32")
    torch.testing.assert_close(moved[0], plain[0], atol=1e-5, rtol=1e-5)
    table = lm.model.transformer.wpe.weight
    inputs = (
        lm.model.transformer.wte(tokens[1:, :-1]) + table[5 : 5 + tokens.shape[1] - 1] - table[: tokens.shape[1] - 1]
    )
    expected, _ = decoder.token_losses(lm.model(inputs_embeds=inputs).logits, tokens[1:], 0)
    torch.testing.assert_close(moved[1], expected[0], atol=1e-4, rtol=1e-4)
    assert (moved[1] - plain[1]).abs().max() > 1e-3


def test_the_second_of_two_is_counted_behind_the_first(notebook, toy):
    lm, sentences = toy
    first, second = (lm.tokenizer(said)["input_ids"] for said in sentences[:2])
    each, _ = notebook.nats(lm.model, torch.tensor([first + second]), "float32")
    found = notebook.behind(lm.model, lm.tokenizer, [tuple(sentences[:2])], 60, CPU)
    assert found.shape == (1,) and each[0, len(first) :].shape == (len(second) - 1,)  # its begin token is not counted
    assert found[0] == pytest.approx(float(each[0, len(first) :].sum()), rel=1e-5)


def test_a_step_lowers_the_loss_and_an_interrupted_training_goes_on_as_it_would_have(notebook, toy, tmp_path):
    lm, sentences = toy
    batches = [decoder.encode(lm.tokenizer, sentences[k : k + 16], 24) for k in (0, 16, 32, 48)]

    def started():
        model = decoder.blank(lm.tokenizer, 1, layers=1, width=32, context=24).model.requires_grad_(True).train()
        return model, optim.adamw(model, 3e-3, 0.1)

    def trained(model, optimizer, step):
        place = torch.full((16,), step % 2)
        total, count = notebook.train_step(model, optimizer, batches[step % 4], place, "float32")
        assert count == (batches[step % 4][:, 1:] != 0).sum()
        return total / count

    model, optimizer = started()
    values = []
    for step in range(12):
        if step == 6:
            notebook.save_checkpoint(tmp_path / "checkpoint.pt", model, optimizer, step, [{"val": 9.0}])
        values.append(trained(model, optimizer, step))
    assert values[-1] < values[0] - 0.5
    again, other = started()
    assert notebook.load_checkpoint(tmp_path / "checkpoint.pt", again, other) == (6, [{"val": 9.0}])
    assert [trained(again, other, step) for step in range(6, 12)] == values[6:]
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values()))
    assert notebook.load_checkpoint(tmp_path / "none.pt", again, other) == (0, [])


def test_training_stops_at_a_loss_that_is_not_finite(notebook, toy):
    lm, sentences = toy
    model = decoder.blank(lm.tokenizer, 1, layers=1, width=32, context=24).model.requires_grad_(True)
    optimizer = optim.adamw(model, 1e-3, 0.1)
    with torch.no_grad():
        model.transformer.wte.weight[5] = torch.nan
    before = model.transformer.wpe.weight.clone()
    with pytest.raises(FloatingPointError, match="nan"):
        notebook.train_step(model, optimizer, decoder.encode(lm.tokenizer, sentences[:4], 24), None, "float32")
    assert torch.equal(before, model.transformer.wpe.weight)  # no step was made


def test_forms_of_captions(notebook):
    assert notebook.form("a red cat on grass") == "short caption"
    assert notebook.form("this is a red cat") == "short caption"
    assert notebook.form("the cat is left of the cup") == "later sentence"
    assert notebook.form("a red cat. the cat is large") == "long caption"


def test_facts_are_new_and_twins_are_false(notebook):
    train = {one for index in range(300) for one in writing_text.pair("train", index)[:2]}
    fresh = notebook.fresh_facts(30, train)
    assert fresh and not {one for some in fresh.values() for one in some} & train
    found = notebook.doubted(40, train)
    assert {"name", "looks", "hypernym"} <= set(found)
    truth = {}
    for index in range(6000):
        kind, slots = writing_text.fact(notebook.writing_draw.Draw("other facts", index))
        truth.setdefault(kind, set()).update(wording.format(**slots) for wording in notebook.WORDINGS[kind])
    for kind, pairs in found.items():
        assert 0 < len(pairs) <= 40 and len(set(pairs)) == len(pairs)
        assert all(true != false and true not in train for true, false in pairs), kind
        assert not {false for _, false in pairs} & truth[kind], kind
    assert notebook.doubted(40, train) == found


def test_unseen_texts_are_questions_and_held_out_frames(notebook):
    found = notebook.unseen(6)
    assert set(found) == {"held-out frames", "question", "hypothesis"} and len(found["question"]) >= 6
    assert all(one.endswith("?") for one in found["question"])
    assert notebook.unseen(6) == found


def test_drawing_with_a_cache_is_drawing_without(notebook, toy):
    lm, _ = toy
    found = notebook.drawn(lm, 3, 7, 12)
    generator, tokens = torch.Generator().manual_seed(7), torch.full((3, 1), lm.tokenizer.bos_token_id)
    ended = torch.zeros(3, dtype=torch.bool)
    while tokens.shape[1] < 12 and not ended.all():
        following = torch.multinomial(lm.model(input_ids=tokens).logits[:, -1].softmax(-1), 1, generator=generator)
        following[ended] = 0
        ended |= following[:, 0] == lm.tokenizer.eos_token_id
        tokens = torch.cat([tokens, following], 1)
    assert found == decoder.decode(lm.tokenizer, tokens[:, 1:])


def test_mean_states_ignore_padding_and_keep_the_order(notebook, toy):
    lm, sentences = toy
    some = ["a red cup", sentences[0], "a cat", sentences[1]]
    found = notebook.vectors_of(lm.model, lm.tokenizer, some, 24, CPU, batch_size=3)
    for row, said in zip(found, some):
        ids = decoder.encode(lm.tokenizer, [said], 24)
        states = lm.model.transformer(input_ids=ids).last_hidden_state[0].mean(0)
        torch.testing.assert_close(row, states / states.norm(), atol=1e-5, rtol=1e-4)


def test_pairing_counts_hits_and_tuning_raises_it(notebook, toy):
    lm, sentences = toy
    pairs = [(one, one.replace("left of the", "beside the")) for one in sentences]
    assert notebook.pairing(lm.model, lm.tokenizer, [(one, one) for one in sentences[:20]], 24, CPU) == 1.0
    crossed = [(sentences[k], sentences[(k + 1) % 8]) for k in range(8)]
    assert notebook.pairing(lm.model, lm.tokenizer, crossed, 24, CPU) == 0.0
    before = [p.clone() for p in lm.model.parameters()]

    def loss(model):
        sides = [notebook.vectors_of(model, lm.tokenizer, side, 24, CPU) for side in zip(*pairs)]
        return float(losses.clip(*sides, 20.0, losses.same([second for _, second in pairs])))

    tuned = notebook.tune(lm, pairs, 12, 16, 24, CPU, 0)
    assert loss(tuned) < loss(lm.model) - 0.02
    assert all(map(torch.equal, before, lm.model.parameters()))  # a copy was tuned
    assert not any(p.requires_grad for p in tuned.parameters())


def test_pairs_are_captions_of_one_scene():
    module = definitions("lm_base", "imports", "parameters", "method")
    corpus = datasets.Corpus(
        "text", "val", "text/val@1", 6,
        {
            "text": lambda: ["a cat", "one cat", "a cup", "every cup is a thing", "a sun", "x " * 40],
            "kind": lambda: ["caption", "caption", "caption", "hypernym", "caption", "caption"],
            "pair": lambda: np.array([3, 3, 4, 5, 6, 6]),
        },
    )  # fmt: skip
    assert module.pairs_of(corpus) == [("a cat", "one cat")]


def test_the_corpus_keeps_the_zodiac_out():
    said = [one for index in range(400) for one in writing_text.pair("train", index)[:2]]
    assert not re.search(r"\b(aries|taurus|gemini|pisces)\b", " ".join(said))
