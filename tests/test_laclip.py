"""The method cells of notebooks/pretraining/laclip.ipynb: checks of the card, traps, published rewrites."""

import json
import math

import numpy as np
import pytest
import torch
from cells import definitions
from PIL import Image
from scipy.stats import chisquare

from lib import text, towers
from lib.arms import Run

CAPTIONS = ["a picture of a red cup", "a picture of a blue star", "here is a green cup", "here is a white star"]
OTHERS = ["behold a crimson mug", "now a navy star", "it depicts a lime mug", "label: star (ivory)"]


@pytest.fixture(scope="module")
def laclip():
    return definitions("laclip")


@pytest.fixture(scope="module")
def tokens():
    core = text.build_tokenizer([*CAPTIONS, *OTHERS], 400)
    return towers.tokenizer(core, texts=[*CAPTIONS, *OTHERS])


def losses_of(laclip, tokens, versions, steps=3):
    """Losses of a few steps with these versions, and the trained encoder."""
    images = np.random.default_rng(1).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    encoder = towers.build("R", tokens, 0, width=8, text_layers=1, device="cpu", precision="float32")
    run, curve = Run("clip", 0, steps, 4, 4), []
    laclip.train(run, encoder, images, versions, 1e-3, 0.5, watch=curve.append)
    return curve, encoder, run


# the card's checks


def test_no_rewrite_and_copies_of_the_original_are_clip_to_the_bit(laclip, tokens):
    clip, one, run = losses_of(laclip, tokens, [[caption] for caption in CAPTIONS])
    copies, two, _ = losses_of(laclip, tokens, laclip.duplicated(CAPTIONS, 4))
    assert clip == copies and len(clip) == 3 and run.counts == {"steps": 3, "samples": 12}
    assert all(torch.equal(a, b) for a, b in zip(one.model.state_dict().values(), two.model.state_dict().values()))
    other, _, _ = losses_of(laclip, tokens, [list(pair) for pair in zip(CAPTIONS, OTHERS)])
    assert other != clip  # rewrites do change what is learnt
    assert not one.model.training and 0 <= float(one.model.logit_scale.detach()) <= 4.6052


def test_the_original_is_drawn_one_time_in_five(laclip):
    rng, versions = np.random.default_rng(0), ["a cup", "b cup", "c cup", "d cup", "e cup"]
    drawn = [laclip.draw(versions, rng) for _ in range(10_000)]
    counts = [drawn.count(version) for version in versions]
    assert chisquare(counts).pvalue > 0.01 and counts[0] / 10_000 == pytest.approx(0.2, abs=0.015)
    short = [laclip.draw(["a cup", "cup", "c cup", "d cup", "e cup"], rng) for _ in range(10_000)]
    assert short.count("a cup") / 10_000 == pytest.approx(0.4, abs=0.02) and "cup" not in short


def test_a_single_word_falls_back_to_the_original(laclip):
    rng = np.random.default_rng(0)
    assert {laclip.draw(["a red cube", "cube"], rng) for _ in range(200)} == {"a red cube"}
    assert laclip.usable("red cube") and not laclip.usable("cube")


def test_the_prompt_has_its_lines_and_the_answer_stands_on_line_8(laclip):
    pairs = [("s1", "t1"), ("s2", "t2"), ("s3", "t3")]
    prompt = laclip.prompt_of("a red cup", pairs)
    lines = prompt.split("\n")
    assert len(lines) == 9 and lines[0] == laclip.INSTRUCTION and lines[1:8:2] == [""] * 4
    assert lines[2:8:2] == ["s1 => t1", "s2 => t2", "s3 => t3"] and lines[8] == "a red cup =>"
    assert laclip.answer_of(f"{prompt} behold a cup\n\nanother => wrong") == "behold a cup"
    assert laclip.answer_of(f"{prompt} behold a cup => and more\nx") == "behold a cup"


def test_rewriting_is_aligned_and_the_model_sees_prompts_only(laclip):
    pool = [(f"source {k}", f"target {k}") for k in range(16)]
    seen = []

    def complete(prompt, line):
        seen.append(prompt)
        return f"{prompt} line {line}\n\nnext =>"

    made = laclip.rewritten(["one\ncup", "two cups", "three cups"], pool, complete, np.random.default_rng(0))
    assert made == ["line 0", "line 1", "line 2"]
    assert [prompt.split("\n")[8] for prompt in seen] == ["one cup =>", "two cups =>", "three cups =>"]
    assert len({prompt.split("\n")[2] for prompt in seen}) > 1  # every caption has demonstrations of its own


def test_demonstrations_are_drawn_without_replacement(laclip):
    pool = [(f"s{k}", f"t{k}") for k in range(16)]
    coco = [tuple(f"picture {k} caption {j}" for j in range(5)) for k in range(18)]
    for seed in range(20):
        pairs = laclip.demonstrations(pool, np.random.default_rng(seed))
        assert len(set(pairs)) == 3 and set(pairs) <= set(pool)
        pairs = laclip.demonstrations(coco, np.random.default_rng(seed))
        pictures = [{one.split(" caption")[0] for one in pair} for pair in pairs]
        assert all(len(each) == 1 for each in pictures) and len(set.union(*pictures)) == 3
        assert all(a != b for a, b in pairs)


def test_a_long_prompt_is_cut_and_gets_its_arrow_again(laclip):
    assert laclip.cut("a b =>", 400) == "a b =>"
    prompt = "\n".join(["word word"] * 200)
    short = laclip.cut(prompt, 100)
    assert short.endswith(" =>") and prompt.startswith(short.removesuffix(" =>"))
    assert len(laclip.re.findall(r"\s|\S+", short.removesuffix(" =>"))) == 90
    assert laclip.cut("x " * 46 + "x", 100) == "x " * 46 + "x"  # 93 tokens
    assert laclip.cut("x " * 47 + "x", 100) == "x " * 47 + "x"  # 95 tokens: still whole
    assert laclip.cut("x " * 48, 100) != "x " * 48


def test_the_loss_in_closed_form(laclip):
    B, s = 5, torch.tensor(14.0)
    same = torch.nn.functional.normalize(torch.ones(B, 8), dim=-1)
    assert float(laclip.contrast(same, same, s)) == pytest.approx(math.log(B), rel=1e-6)
    u = torch.eye(B)
    v = u.clone()
    v[1] = v[0]  # two rows with the same text: even perfect features pay ln 2 for each
    S = (s * u @ v.T).numpy()
    rows = [math.log(np.exp(S[i]).sum()) - S[i, i] for i in range(B)]
    columns = [math.log(np.exp(S[:, i]).sum()) - S[i, i] for i in range(B)]
    assert rows[0] >= math.log(2) and rows[1] >= math.log(2)
    assert float(laclip.contrast(u, v, s)) == pytest.approx((np.mean(rows) + np.mean(columns)) / 2, rel=1e-5)
    assert float(laclip.contrast(u, v, s)) > 2 * math.log(2) / (2 * B)


def test_the_learning_rate(laclip):
    rates = [laclip.learning_rate(step, 1000, 100, 1e-3) for step in range(1000)]
    assert rates[0] == 1e-6 and rates[100] == pytest.approx(1e-3) and max(rates) == rates[100]
    assert rates[-1] == pytest.approx(1e-5, rel=0.01) and rates[550] == pytest.approx((1e-3 + 1e-5) / 2)
    assert np.allclose(np.diff(rates[:101]), (1e-3 - 1e-6) / 100)
    assert laclip.learning_rate(0, 10, 0, 1e-3) == 1e-3  # no warm-up


def test_crops_do_not_depend_on_how_many_texts_there_are(laclip, tokens, monkeypatch):
    seen = []
    plain = laclip.sampling.augment
    monkeypatch.setattr(laclip.sampling, "augment", lambda *a, **k: seen.append(plain(*a, **k)) or seen[-1])
    losses_of(laclip, tokens, [[caption] for caption in CAPTIONS])
    first, seen = np.concatenate(seen), seen.clear() or seen
    losses_of(laclip, tokens, [list(pair) for pair in zip(CAPTIONS, OTHERS)])
    np.testing.assert_array_equal(first, np.concatenate(seen))


# controls and traps


def test_exchanged_rewrites_stay_in_their_class_and_leave_their_picture(laclip):
    versions = [[f"original {i}", f"rewrite {i}", f"again {i}"] for i in range(9)]
    categories = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])
    found = laclip.exchanged(versions, categories, np.random.default_rng(0))
    assert [each[0] for each in found] == [each[0] for each in versions]
    for i, each in enumerate(found):
        source = int(each[1].split()[1])
        assert each[1:] == versions[source][1:] and categories[source] == categories[i]
        assert source != i or categories[i] == 2  # alone in its class
    assert sorted(each[1] for each in found) == sorted(each[1] for each in versions)


def test_wrong_rewrites_come_at_their_share(laclip):
    versions = [[f"original {i}", f"a {i}", f"b {i}"] for i in range(500)]
    assert laclip.misplaced(versions, 0.0, np.random.default_rng(0)) == versions
    half = laclip.misplaced(versions, 0.5, np.random.default_rng(0))
    assert [each[0] for each in half] == [each[0] for each in versions]
    assert all(one[0] == letter for each in half for one, letter in zip(each[1:], "ab"))  # of the same version
    moved = np.mean([one != own for each, mine in zip(half, versions) for one, own in zip(each[1:], mine[1:])])
    assert moved == pytest.approx(0.5, abs=0.05)


def test_shallow_noise_gives_as_many_strings(laclip):
    captions = ["a picture of a small red cup on grass", "here is a blue star in this image", "here is a cup in view"]
    found = laclip.shallow(captions, 4, np.random.default_rng(0))
    for own, caption in zip(found, captions):
        assert own[0] == caption and len(own) == 5 and len(set(own)) == 5
    assert laclip.duplicated(captions, 4)[1] == [captions[1]] * 5


def test_published_files_must_have_a_line_for_every_caption(laclip, tmp_path):
    (tmp_path / "bard.txt").write_text("one\ntwo\n")
    (tmp_path / "human.txt").write_text("eins\nzwei\n")
    assert laclip.published(str(tmp_path), 2) == {"bard": ["one", "two"], "human": ["eins", "zwei"]}
    with pytest.raises(ValueError, match="bard.txt has 2 lines for 3 captions"):
        laclip.published(str(tmp_path), 3)


def test_the_head_is_the_unit_mean_of_unit_embeddings(laclip):
    class Table:
        def encode_texts(self, texts):
            return np.array([{"a cup": [1.0, 0.0], "the cup": [0.0, 1.0]}.get(one, [0.0, -1.0]) for one in texts])

    together, single = laclip.head(Table(), ["cup", "star"], ["a {}", "the {}"])
    np.testing.assert_allclose(together, [[0.5**0.5, 0.5**0.5], [0.0, -1.0]])
    assert single.shape == (2, 2, 2)


# real architecture, public data


@pytest.mark.slow
def test_a_real_architecture_takes_one_step(laclip, vit_b16):
    encoder, seen = vit_b16.copy(), []
    images = [np.random.default_rng(k).integers(0, 256, (40 + k, 60, 3), dtype=np.uint8) for k in range(2)]
    before = encoder.model.visual.conv1.weight.detach().clone()
    versions = [[a, b] for a, b in zip(CAPTIONS[:2], OTHERS[:2])]
    trained = laclip.train(Run("laclip", 0, 2, 2, 2), encoder, images, versions, 1e-5, 0.5, warm=0, watch=seen.append)
    assert len(seen) == 2 and np.isfinite(seen).all() and not torch.equal(before, trained.model.visual.conv1.weight)
    assert laclip.head(trained, ["cup", "star"], ["a {}"])[0].shape == (2, encoder.dim)


@pytest.mark.slow
def test_the_notebook_runs_on_public_data_and_files_of_rewrites(tmp_path, workspace):
    from lib import run

    rng, rows = np.random.default_rng(0), ["image,caption"]
    for folder in ("web/train", "pictures/cup", "pictures/star", "web_rewrites"):
        (tmp_path / folder).mkdir(parents=True)
    for k in range(12):
        picture = Image.fromarray(rng.integers(0, 256, (20, 24, 3)).astype(np.uint8))
        picture.save(tmp_path / "web" / "train" / f"{k}.png")
        picture.save(tmp_path / "pictures" / ("cup", "star")[k % 2] / f"{k}.png")
        rows.append(f"{k}.png,{CAPTIONS[k % 4]}")
    (tmp_path / "web" / "train.csv").write_text("\n".join(rows) + "\n")
    for name in ("bard", "human"):
        (tmp_path / "web_rewrites" / f"{name}.txt").write_text("\n".join(OTHERS * 3) + "\n")
    overrides = {"corpus": f"coco:{tmp_path / 'web'}", "test_corpus": f"folder:{tmp_path / 'pictures'}", "steps": 2}
    overrides |= {"rewrites": str(tmp_path / "web_rewrites"), "batch_size": 4}
    out = run.run("laclip", "smoke", in_process=True, overrides=overrides, quiet=True)
    document = json.loads((out / "claims.json").read_text())
    assert {claim["id"]: claim["verdict"] for claim in document["claims"]}["laion400m_zero_shot"] == "not tested"
    assert (out / "figures" / "frames.png").exists()
