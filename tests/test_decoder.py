"""`PrefixDecoder` against plain loops and exhaustive search, language models on disk, wrong input."""

import json
import math

import numpy as np
import pytest
import torch

from lib import decoder, text

TEXTS = ["a red cat", "two cups on grass. the cup is small", "a large striped star", "is the cat red?"]
DIM = 12


@pytest.fixture(scope="module")
def tokenizer(lexicon):
    return text.build_tokenizer([*lexicon, *TEXTS], 320)


@pytest.fixture(scope="module")
def lm(tokenizer):
    return decoder.blank(tokenizer, 0, layers=2, width=32, context=32)


@pytest.fixture
def speaker(lm):
    """A decoder whose weights are large enough that its choices are no ties."""
    found = decoder.PrefixDecoder(lm, DIM, length=3, seed=1)
    with torch.no_grad():
        for tensor in found.parameters():
            if tensor.ndim > 1:
                tensor.mul_(6)
    return found.eval()


def vectors(count=5, *shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, *shape, DIM)).astype(np.float32))


# tokens


def test_texts_come_back_from_their_tokens(tokenizer):
    tokens = decoder.encode(tokenizer, TEXTS, 40)
    assert (tokens[:, 0] == tokenizer.bos_token_id).all() and (tokens[0] == 0).any()
    assert decoder.decode(tokenizer, tokens) == TEXTS
    cut = decoder.encode(tokenizer, TEXTS, 4)
    assert cut.shape == (4, 4) and not (cut == tokenizer.eos_token_id).any()
    assert decoder.encode(tokenizer, [], 4).shape == (0, 0)
    with pytest.raises(ValueError, match="one string"):
        decoder.encode(tokenizer, "a cat", 4)


def test_what_follows_the_end_token_is_no_text(tokenizer):
    tokens = decoder.encode(tokenizer, ["a red cat"], 40)[0].tolist()
    end = tokens.index(tokenizer.eos_token_id)
    longer = torch.tensor([tokens[: end + 1] + tokens[1:3]])
    assert decoder.decode(tokenizer, longer) == ["a red cat"]


# the method


def test_prefix_is_the_affine_map(speaker):
    v = vectors()
    u = speaker.prefix(v)
    W, b = speaker.project.weight, speaker.project.bias
    assert W.shape == (3 * 32, DIM)
    torch.testing.assert_close(u, (v @ W.T + b).reshape(5, 3, 32))
    many = speaker.prefix(vectors(2, 4))  # four vectors a text
    assert many.shape == (2, 12, 32)
    torch.testing.assert_close(many[1, 3:6], speaker.prefix(vectors(2, 4)[1, 1:2])[0])


def test_loss_is_the_cross_entropy_of_a_plain_loop(speaker):
    v, tokens = vectors(4), speaker.encode(TEXTS)
    table, total, count = speaker.model.get_input_embeddings().weight, 0.0, 0
    for vector, row in zip(v, tokens):
        for place in range(1, len(row)):
            if row[place] == 0:
                break
            before = torch.cat([speaker.prefix(vector[None])[0], table[row[:place]]])
            chances = speaker.model(inputs_embeds=before[None]).logits[0, -1].log_softmax(-1)
            total, count = total - chances[row[place]].item(), count + 1
    assert speaker.loss(v, tokens).item() == pytest.approx(total / count, rel=1e-5)
    log_probs, kept = speaker.log_probs(v, tokens)
    assert kept.sum() == count and (log_probs[~kept] == 0).all()
    assert -log_probs.sum().item() == pytest.approx(total, rel=1e-5)


def test_padding_changes_nothing(speaker):
    v, tokens = vectors(1), speaker.encode(TEXTS[:1])
    padded = torch.cat([tokens, torch.zeros(1, 5, dtype=torch.long)], dim=1)
    torch.testing.assert_close(speaker.loss(v, padded), speaker.loss(v, tokens))


def test_the_prefix_alone_can_learn(speaker):
    speaker.freeze()
    before = [tensor.clone() for tensor in speaker.model.parameters()]
    v, tokens = vectors(4), speaker.encode(TEXTS)
    optimizer = torch.optim.Adam([p for p in speaker.parameters() if p.requires_grad], 0.1)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = speaker.loss(v, tokens)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5
    assert all(torch.equal(a, b) for a, b in zip(before, speaker.model.parameters()))
    assert all(tensor.grad is None for tensor in speaker.model.parameters())


def test_it_learns_to_say_what_a_vector_means(lm):
    speaker = decoder.PrefixDecoder(lm, DIM, length=2, seed=0)
    v, tokens = vectors(4), speaker.encode(TEXTS)
    optimizer = torch.optim.Adam(speaker.parameters(), 0.01)
    for _ in range(150):
        optimizer.zero_grad()
        speaker.loss(v, tokens).backward()
        optimizer.step()
    assert speaker.decode(speaker.greedy(v, 30)) == TEXTS
    assert speaker.decode(speaker.beam(v, 30)) == TEXTS
    assert not any(torch.equal(a, b) for a, b in zip(speaker.model.parameters(), lm.model.parameters()))  # a copy


# decoding


def greedy_loop(speaker, vector, most):
    """The begin token, then the most probable token at each step, up to the end token."""
    tokens = [speaker.tokenizer.bos_token_id]
    table = speaker.model.get_input_embeddings().weight
    while len(tokens) < most and tokens[-1] != speaker.tokenizer.eos_token_id:
        before = torch.cat([speaker.prefix(vector[None])[0], table[tokens]])
        tokens.append(int(speaker.model(inputs_embeds=before[None]).logits[0, -1].argmax()))
    return tokens


def test_greedy_is_a_plain_loop(speaker):
    found = speaker.greedy(vectors(), 10)
    for vector, row in zip(vectors(), found.tolist()):
        plain = greedy_loop(speaker, vector, 10)
        assert row == plain + [0] * (len(row) - len(plain))
    torch.testing.assert_close(speaker.beam(vectors(), 10, beams=1), found)


@pytest.mark.parametrize("shy", [False, True])
def test_beam_search_with_enough_beams_is_exhaustive(speaker, shy):
    """All texts of two tokens, by their log-probability; one that ends at once has one."""
    v, size, end = vectors(6), len(speaker.tokenizer), speaker.tokenizer.eos_token_id
    if shy:  # sharp choices, and never the end at once, which else is the most probable text
        with torch.no_grad():
            speaker.model.get_input_embeddings().weight.mul_(8)[end] = 0
    found = torch.nn.functional.pad(speaker.beam(v, 3, beams=size), (0, 1))[:, 1:3].tolist()
    begin, expected = torch.full((size, 1), speaker.tokenizer.bos_token_id), []
    for vector in v:
        tokens = torch.cat([begin, torch.arange(size)[:, None], torch.zeros(size, 1, dtype=torch.long)], dim=1)
        chances = speaker(vector.expand(size, -1), tokens).log_softmax(-1)  # [V, 2, V]
        both = chances[0, 0][:, None] + chances[:, 1]
        both[end] = -math.inf
        both[end, 0] = chances[0, 0, end]
        expected.append(list(divmod(int(both.argmax()), size)))
    assert found == expected
    assert not shy or end not in {first for first, _ in found}


def test_beam_search_finds_texts_that_are_no_less_probable(speaker):
    v = vectors(8)

    def score(tokens):
        return speaker.log_probs(v, tokens)[0].sum(1)

    assert (score(speaker.beam(v, 8, beams=4)) >= score(speaker.greedy(v, 8)) - 1e-4).all()


def test_samples_follow_the_model_and_the_seed(speaker):
    v = vectors(1)
    first = speaker.sample(v, 0, 2, copies=4000)[:, 1]
    begin = torch.tensor([[speaker.tokenizer.bos_token_id, 0]])
    chances = speaker(v, begin)[0, 0].softmax(-1).detach()
    shares = torch.bincount(first, minlength=len(chances)) / 4000
    bound = 5 * (chances / 4000).sqrt() + 1e-3  # five standard errors
    assert ((shares - chances).abs() < bound).all() and chances.max() > 4 * chances.median()
    before = torch.random.get_rng_state()
    again = speaker.sample(vectors(2), 7, 6, copies=2)
    torch.testing.assert_close(again, speaker.sample(vectors(2), 7, 6, copies=2))
    assert again.shape[0] == 4 and not torch.equal(again, speaker.sample(vectors(2), 8, 6, copies=2))
    assert torch.equal(before, torch.random.get_rng_state())
    cold = speaker.sample(v, 0, 6, temperature=1e-4)
    torch.testing.assert_close(cold, speaker.greedy(v, 6)[:, : cold.shape[1]])


def test_training_mode_is_put_back(speaker):
    speaker.train()
    speaker.greedy(vectors(1), 3)
    assert speaker.training and speaker.model.training


def test_too_long_is_refused(speaker):
    with pytest.raises(ValueError, match="32"):
        speaker.greedy(vectors(1), 31)
    with pytest.raises(ValueError, match=r"give \[N, 12\]"):
        speaker.prefix(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="32"):
        speaker(vectors(1), torch.ones(1, 31, dtype=torch.long))


def test_bf16_stays_near_float32(speaker):
    v, tokens = vectors(4), speaker.encode(TEXTS)
    with torch.autocast("cpu", torch.bfloat16):
        half = speaker.loss(v, tokens)
    assert half.dtype == torch.float32  # the cross-entropy is float32 either way
    assert half.item() == pytest.approx(speaker.loss(v, tokens).item(), rel=0.02)  # 8 bits of mantissa


# on disk


def test_save_and_load(tmp_path, lm):
    tokenizer = lm.tokenizer
    folder = decoder.save(tmp_path / "lm", lm.model, tokenizer)
    found = decoder.load(str(folder))
    assert (found.name, found.width, found.context) == ("lm", 32, 32)
    assert found.identity.partition("@")[2] == lm.identity.partition("@")[2]
    tokens = decoder.encode(found.tokenizer, TEXTS, 32)
    torch.testing.assert_close(tokens, decoder.encode(tokenizer, TEXTS, 32))
    torch.testing.assert_close(found.model(input_ids=tokens).logits, lm.model(input_ids=tokens).logits)
    assert not any(p.requires_grad for p in found.model.parameters()) and not found.model.training
    other = decoder.save(tmp_path / "again", lm.model, tokenizer)
    assert all((other / path.name).read_bytes() == path.read_bytes() for path in folder.iterdir())
    assert (folder / decoder.WEIGHTS).stat().st_mode & 0o044


def test_half_precision_on_disk(tmp_path, lm):
    folder = decoder.save(tmp_path / "lm", lm.model, lm.tokenizer, half=True)
    assert (folder / decoder.WEIGHTS).stat().st_size < 0.6 * 4 * sum(p.numel() for p in lm.model.parameters())
    found = decoder.load(str(folder))
    assert {p.dtype for p in found.model.parameters()} == {torch.float32} == {p.dtype for p in lm.model.parameters()}
    tokens = decoder.encode(lm.tokenizer, TEXTS, 32)
    torch.testing.assert_close(
        found.model(input_ids=tokens).logits, lm.model(input_ids=tokens).logits, atol=2e-3, rtol=0
    )


def test_identity_follows_weights_and_tokenizer(lm, lexicon):
    same = decoder.blank(lm.tokenizer, 0, layers=2, width=32, context=32)
    assert same.identity == lm.identity
    assert decoder.blank(lm.tokenizer, 1, layers=2, width=32, context=32).identity != lm.identity
    other = text.build_tokenizer(lexicon[:60], len(lm.tokenizer))
    if len(other) == len(lm.tokenizer):
        assert decoder.blank(other, 0, layers=2, width=32, context=32).identity != lm.identity


def test_first_blocks_alone(tmp_path, lm):
    folder = decoder.save(tmp_path / "lm", lm.model, lm.tokenizer)
    cut = decoder.load(str(folder), layers=1)
    assert cut.name == "lm[1 blocks]" and cut.identity != lm.identity
    tokens = decoder.encode(lm.tokenizer, TEXTS, 32)
    model = lm.model.transformer
    states = model.wte(tokens) + model.wpe(torch.arange(tokens.shape[1]))
    states = model.h[0](states)
    states = states[0] if isinstance(states, tuple) else states
    torch.testing.assert_close(cut.model(input_ids=tokens).logits, lm.model.lm_head(model.ln_f(states)))
    speaker = decoder.PrefixDecoder(cut, DIM)
    assert speaker.greedy(vectors(2), 6).shape[0] == 2
    with pytest.raises(ValueError, match="layers is 3"):
        decoder.load(str(folder), layers=3)


def test_damage_is_named(tmp_path, lm):
    with pytest.raises(ValueError, match="unknown.*lm_base|unknown.*none yet"):
        decoder.load("models/no_such")
    folder = decoder.save(tmp_path / "lm", lm.model, lm.tokenizer)
    whole = (folder / decoder.WEIGHTS).read_bytes()
    (folder / decoder.WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cannot be read.*git checkout"):
        decoder.load(str(folder))
    broken = decoder.blank(lm.tokenizer, 0, layers=2, width=32, context=32).model
    with torch.no_grad():
        broken.transformer.wpe.weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="wpe.*nothing was written"):
        decoder.save(tmp_path / "bad", broken, lm.tokenizer)
    assert not (tmp_path / "bad").exists()
    (folder / decoder.WEIGHTS).write_bytes(whole)
    config = json.loads((folder / "config.json").read_text())
    assert config["n_layer"] == 2 and decoder.load(str(folder)).identity.endswith(lm.identity.partition("@")[2])


def test_blank_models_leave_the_global_stream_alone(tokenizer, lm):
    before = torch.random.get_rng_state()
    decoder.blank(tokenizer, 3, layers=1, width=32, context=16)
    decoder.PrefixDecoder(lm, DIM, seed=4)
    assert torch.equal(before, torch.random.get_rng_state())
