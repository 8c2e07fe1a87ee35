"""The method cells of notebooks/adaptation/ranking_aware.ipynb: checks of the card, traps, real architecture."""

import json
import math

import numpy as np
import pytest
import torch
from cells import definitions
from PIL import Image
from torch import nn

from lib import metrics


@pytest.fixture(scope="module")
def ranking():
    return definitions("ranking_aware")


@pytest.fixture
def tokens():
    """V (5, 9, 32) and U (7, 32), float64."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((5, 9, 32), (7, 32)))


def built(ranking, pair="attention", width=32, **options):
    torch.manual_seed(1)
    return (
        ranking.Adapter(32, width, **{"layers": 1, "heads": 4, "q": 3, "R": 2, "pair": pair} | options).double().eval()
    )


def together(adapter, V, U):
    return adapter(V, U.expand(len(V), -1, -1))


# the pair attention


def test_difference_is_antisymmetric_and_nought_for_a_picture_with_itself(ranking, tokens):
    V, U = tokens
    adapter = built(ranking)
    x = adapter.fuse(V, U.expand(5, -1, -1))
    o = adapter.attention.difference(x).unflatten(0, (5, 5))
    assert o.shape == (5, 5, 2, 32) and o.abs().max() > 0.1
    torch.testing.assert_close(o, -o.transpose(0, 1), rtol=0, atol=6e-16)
    assert o.diagonal().abs().max() == 0
    g = together(adapter, V, U)[1].unflatten(0, (5, 5))
    torch.testing.assert_close(g.diagonal(), g[0, 0].expand(5), rtol=0, atol=1e-12)  # all g_ii are one constant


def test_pair_logits_are_not_antisymmetric(ranking, tokens):
    g = together(built(ranking), *tokens)[1].unflatten(0, (5, 5))
    assert (g + g.T).abs().max() > 1e-3  # W_o's bias, LN and ReLU come behind the subtraction


def test_the_gated_form_is_the_one_softmax_over_both_pictures(ranking, tokens):
    x = tokens[0]
    attention = ranking.PairAttention(32, 3).double()
    o = attention.difference(x)
    for i in range(5):
        for j in range(5):
            torch.testing.assert_close(
                o[i * 5 + j], ranking.difference_of_two(attention, x[i], x[j]), rtol=0, atol=1e-13
            )


def test_one_pair_step_by_step(ranking, tokens):
    """Step 5 of the card with loops over heads: norms over all of d before the split, keys equal to values."""
    x, attention = tokens[0], ranking.PairAttention(32, 2).double()
    q = attention.ln_q(attention.to_q(attention.queries))
    kv = attention.ln_kv(attention.to_kv(x))
    parts = []
    for h in range(8):
        own = slice(4 * h, 4 * h + 4)
        K = torch.cat([kv[1, :, own], kv[3, :, own]])
        A = (q[:, own] @ K.T / math.sqrt(4)).softmax(dim=-1)
        parts.append(A[:, :9] @ kv[1, :, own] - A[:, 9:] @ kv[3, :, own])
    expected = torch.cat(parts, dim=1)
    torch.testing.assert_close(attention.difference(x)[1 * 5 + 3], expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(attention(x)[1 * 5 + 3], attention.out(expected).sum(dim=0), rtol=0, atol=1e-13)


def test_gradients_of_both_forms_agree(ranking, tokens):
    attention = ranking.PairAttention(32, 2).double()
    found = []
    for form in (lambda x: attention.difference(x)[1], lambda x: ranking.difference_of_two(attention, x[0], x[1])):
        x = tokens[0].clone().requires_grad_(True)
        (form(x) ** 2).sum().backward()
        found.append(x.grad)
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)


# targets and losses


def test_rows_and_targets(ranking):
    y = torch.tensor([3.0, 1.0, 7.0, 5.0, 0.0])
    target = ranking.order(y)
    assert target.sum() == 5 * 4 / 2
    for i in range(5):
        for j in range(5):
            assert target[i * 5 + j] == float(y[i] > y[j])
    assert ranking.order(torch.tensor([2.0, 2.0])).sum() == 0  # ties and i = j


def test_losses_in_closed_form(ranking):
    y = torch.tensor([3.0, 1.0, 7.0, 0.0])
    assert ranking.rank_loss(torch.zeros(16), y).item() == pytest.approx(math.log(2))
    assert ranking.adapter_loss(y + 2, None, y).item() == pytest.approx(0.2 * math.log(2.5))
    assert ranking.adapter_loss(y + 2, None, y).item() == pytest.approx(0.1833, abs=1e-4)
    both = ranking.adapter_loss(y + 2, torch.zeros(16), y).item()
    assert both == pytest.approx(math.log(2) + 0.2 * math.log(2.5))
    far = torch.tensor([2.0, 0.0, 0.0, 0.0])  # SmoothL1 1.5, 0, 0, 0: the logarithm is of the mean
    assert ranking.regression_loss(y + far, y).item() == pytest.approx(math.log(1 + 1.5 / 4))
    certain = torch.where(ranking.order(y) > 0, 50.0, -50.0)
    assert ranking.rank_loss(certain, y).item() == pytest.approx(0, abs=1e-9)


def test_hinge(ranking):
    s, y = torch.tensor([2.0, 0.5, 0.0]), torch.tensor([1.0, 0.0, 2.0])
    # pairs with y_i > y_j: (0, 1) gap 1.5, (2, 0) gap -2, (2, 1) gap -0.5
    assert ranking.hinge_loss(s, y).item() == pytest.approx((0 + 3 + 1.5) / 3)
    assert ranking.hinge_loss(s, torch.ones(3)).item() == 0


# the score


@pytest.mark.parametrize("pair", ["attention", "null", "score", "none"])
def test_a_score_is_its_pictures_alone(ranking, tokens, pair):
    V, U = tokens
    adapter = built(ranking, pair)
    s, g = together(adapter, V, U)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(together(adapter, V[order], U)[0], s[order], rtol=0, atol=1e-12)
    torch.testing.assert_close(together(adapter, V[1:3], U)[0], s[1:3], rtol=0, atol=1e-12)
    assert (g is None) == (pair == "none")
    scores = ranking.adapter_scores(adapter, V, U, np.array([4, 2]), chunk=1)
    np.testing.assert_allclose(scores, s[[4, 2]].detach().numpy(), atol=1e-12)


def test_plainer_heads(ranking, tokens):
    s, g = together(built(ranking, "score"), *tokens)
    torch.testing.assert_close(g, (s[:, None] - s[None]).flatten())
    adapter = built(ranking, "null")
    x = adapter.fuse(tokens[0], tokens[1].expand(5, -1, -1))
    g = together(adapter, *tokens)[1]
    expected = adapter.pair_head((x[1] - x[3]).mean(dim=0))
    torch.testing.assert_close(g[1 * 5 + 3], expected[0])


def test_the_score_listens_to_the_sentence_and_its_padding(ranking, tokens):
    V, U = tokens
    adapter, other = built(ranking), U.clone()
    other[-1] = other[-1].flip(0)  # the last position, where padding stands
    assert (together(adapter, V, other)[0] - together(adapter, V, U)[0]).abs().max() > 1e-6


def test_dropout_sleeps_in_eval(ranking, tokens):
    adapter = built(ranking)
    torch.testing.assert_close(together(adapter, *tokens)[0], together(adapter, *tokens)[0], rtol=0, atol=0)
    adapter.train()
    assert (together(adapter, *tokens)[0] - together(adapter, *tokens)[0]).abs().max() > 1e-6
    assert adapter.fuse.post.layers[0].dropout.p == 0.1


def spread(parameter):
    return parameter.detach().std().item()


def test_initial_values(ranking):
    torch.manual_seed(0)
    adapter = ranking.Adapter(256, 256, layers=2, heads=8, q=32, R=16)
    assert adapter.fuse.prompt.shape == (32,)  # scalars, not vectors
    assert spread(adapter.fuse.prompt) == pytest.approx(32**-0.5, rel=0.5)
    assert spread(adapter.fuse.projection) == pytest.approx(256**-0.5, rel=0.05)
    assert spread(adapter.attention.queries) == pytest.approx(256**-0.5, rel=0.05) and adapter.attention.heads == 8
    for each, depth in ((adapter.score_head, 2), (adapter.pair_head[1], 3)):
        linear = [layer for layer in each if isinstance(layer, nn.Linear)]
        assert len(linear) == depth + 1
        assert spread(linear[0].weight) == pytest.approx((2 / 512) ** 0.5, rel=0.05)  # Xavier, normal
    assert len(adapter.fuse.own) == len(adapter.fuse.cross) == len(adapter.fuse.post.layers) == 2


def test_prompt_scalars_spread_over_the_channels_before_the_text(ranking, tokens):
    V, U = tokens
    seen, adapter = [], built(ranking)
    adapter.fuse.cross[0].register_forward_pre_hook(lambda module, given: seen.append(given[1]))
    together(adapter, V, U)
    context = seen[0]
    assert context.shape == (5, 3 + 7, 32)
    torch.testing.assert_close(context[:, :3], adapter.fuse.prompt[None, :, None].expand(5, 3, 32))
    torch.testing.assert_close(context[0, 3:], U)


def test_prompt_scalars_say_nothing(ranking, tokens):
    """The norm of the keys takes a vector of equal channels to nought, whatever the scalar."""
    adapter = built(ranking)
    s, g = together(adapter, *tokens)
    with torch.no_grad():
        adapter.fuse.prompt += torch.tensor([3.0, -2.0, 0.5])
    torch.testing.assert_close(together(adapter, *tokens)[0], s, rtol=0, atol=1e-12)
    s.sum().backward()
    assert adapter.fuse.prompt.grad.abs().max() < 1e-9


def test_text_of_another_width(ranking, tokens):
    V, U = tokens
    adapter = built(ranking, width=48)
    wide = torch.randn(5, 7, 48, dtype=torch.float64)
    assert adapter(V, wide)[0].shape == (5,) and isinstance(adapter.fuse.widen, nn.Linear)
    assert isinstance(built(ranking).fuse.widen, nn.Identity)


# batches


def tasks_of(ranking, count=40, seed=0):
    y = np.random.default_rng(seed).integers(0, 9, count) * (np.arange(count) % 2)
    return ranking.task("count", "cat", "rank cats", np.flatnonzero(y), np.arange(count), y.astype(float))


def test_batches_hold_positives_and_negatives_with_true_labels(ranking):
    one, rng = tasks_of(ranking), np.random.default_rng(0)
    negatives_that_show_it = 0
    for _ in range(200):
        rows = ranking.draw_batch(one, 10, 0.2, rng)
        assert len(rows) == 10 and (one.y[rows] > 0).sum() >= 8
        negatives_that_show_it += (one.y[rows] > 0).sum() > 8
    assert negatives_that_show_it > 20  # and they keep their count
    few = ranking.task("count", "cat", "rank cats", one.rows[:3], one.others, one.y)
    assert len(ranking.draw_batch(few, 10, 0.2, rng)) == 10  # negatives fill up
    lonely = ranking.task("size", "cat", "rank the size", one.rows[:3], one.others[:0], one.y)
    with pytest.raises(ValueError, match="fewer than the 10"):
        ranking.draw_batch(lonely, 10, 0.2, rng)
    whole = ranking.task("quality", "", "rank the quality", np.arange(40), one.others[:0], one.y)
    assert len(set(ranking.draw_batch(whole, 12, 0.2, rng))) == 12  # no negatives, none twice


def test_weights_flatten_the_histogram(ranking):
    y = np.array([1.0] * 30 + [2.0] * 6 + [8.0] * 3 + [0.0])
    one = ranking.task("count", "cat", "rank cats", np.flatnonzero(y), np.arange(40), y)
    mass = [one.weights[y[one.rows] == v].sum() for v in (1, 2, 8)]
    np.testing.assert_allclose(mass, 1 / 3)


def test_one_instruction_a_batch_and_the_same_stream_again(ranking):
    cats, light = tasks_of(ranking), ranking.task(
        "brightness", "", "rank the brightness", np.arange(40), np.arange(0), np.linspace(0, 8, 40)
    )  # fmt: skip
    mix = {"count": 0.75, "quality": 0.2, "brightness": 0.25}  # nothing asks for quality: its share falls to the others
    streams = [list(ranking.batches([cats, light], mix, 200, 10, 0.2, np.random.default_rng(3))) for _ in range(2)]
    assert all(a.text == b.text and (r == s).all() for (a, r), (b, s) in zip(*streams))
    assert 0.65 < np.mean([one.axis == "count" for one, _ in streams[0]]) < 0.85
    found = ranking.seen_rows(iter(streams[0]))
    assert set(found) == {"rank cats", "rank the brightness"}
    assert list(found["rank cats"][1]) == sorted(set(np.concatenate([r for o, r in streams[0] if o is cats])))


# correlations


def test_correlations_are_means_over_categories(ranking):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 30)), rng.normal(size=(2, 20))
    rows = np.zeros((40, 2, 3))
    rows[..., 2] = -1
    rows[:30, 0] = np.stack([*a, np.zeros(30)], axis=1)
    rows[20:40, 1] = np.stack([*b, np.ones(20)], axis=1)
    assert ranking.correlation(rows) == pytest.approx((metrics.plcc(*a) + metrics.plcc(*b)) / 2)
    assert ranking.rank_correlation(rows) == pytest.approx((metrics.srcc(*a) + metrics.srcc(*b)) / 2)
    stretched = rows * [3, 1, 1] + [5, 0, 0]
    assert ranking.correlation(stretched) == pytest.approx(ranking.correlation(rows))
    rows[rows[..., 2] == 1, 0] = 4.0  # scores of one category that do not vary count 0
    assert ranking.correlation(rows) == pytest.approx(metrics.plcc(*a) / 2)


def test_ranks_share_ties_and_stay_within_a_category(ranking):
    rows = np.array([[[5.0, 1, 0]], [[7, 1, 0]], [[7, 0, 0]], [[1, 4, 1]], [[9, 9, -1]]])
    expected = [[[1.0, 2.5, 0]], [[2.5, 2.5, 0]], [[2.5, 1, 0]], [[1, 1, 1]], [[9, 9, -1]]]
    np.testing.assert_array_equal(ranking.ranked(rows), expected)
    score, value = np.random.default_rng(0).integers(0, 5, (2, 50)).astype(float)
    rows = np.stack([score, value, np.zeros(50)], axis=1)
    assert ranking.rank_correlation(rows) == pytest.approx(metrics.srcc(score, value))
    assert ranking.rank_correlation(rows) == pytest.approx(ranking.correlation(ranking.ranked(rows)))


def test_a_model_is_asked_once_about_a_picture_and_a_text(ranking):
    asked = []

    def score(pool, rows, said):
        asked.append((said, list(rows)))
        return rows + (100.0 if said == "b" else 0.0)

    look = ranking.remembered(score, ranking.Pool([], [], V=torch.zeros(6, 1, 1)))
    np.testing.assert_array_equal(look(np.array([4, 1]), "a"), [4, 1])
    np.testing.assert_array_equal(look(np.array([1, 5, 4]), "a"), [1, 5, 4])
    np.testing.assert_array_equal(look(np.array([1]), "b"), [101])
    np.testing.assert_array_equal(look(np.array([4, 1]), "a"), [4, 1])
    assert asked == [("a", [4, 1]), ("a", [5]), ("b", [1])]


def test_answers_put_every_task_into_a_slot(ranking):
    y = np.array([[2.0, 0, 3, 0], [0, 0, 5, 1]])
    tasks = [
        ranking.task("count", name, f"rank {name}", np.flatnonzero(each), np.arange(4), each)
        for name, each in zip("ab", y)
    ]
    asked = []

    def score(rows, said):
        asked.append(said)
        return 10.0 * rows

    rows = ranking.answers(score, tasks)
    assert rows.shape == (3, 2, 3)  # picture 1 shows neither
    np.testing.assert_array_equal(rows[1], [[20, 3, 0], [20, 5, 1]])
    np.testing.assert_array_equal(rows[0], [[0, 2, 0], [0, 0, -1]])
    ranking.answers(score, tasks, ["rank b", "rank a"])
    assert asked == ["rank a", "rank b", "rank b", "rank a"]


# ridges


def test_ridge_both_ways_and_at_both_ends(ranking):
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(60, 5)), rng.normal(size=5)
    found, b = ranking.ridge(X, X @ w + 3, 1e-9)
    np.testing.assert_allclose([*found, b], [*w, 3], atol=1e-6)
    flat, b = ranking.ridge(X, X @ w + 3, 1e12)
    assert np.abs(flat).max() < 1e-8 and b == pytest.approx((X @ w + 3).mean())  # the intercept pays nothing
    wide = rng.normal(size=(8, 30))
    y = rng.normal(size=8)
    centred = wide - wide.mean(axis=0)
    direct = np.linalg.solve(centred.T @ centred + 2 * np.eye(30), centred.T @ (y - y.mean()))
    np.testing.assert_allclose(ranking.ridge(wide, y, 2.0)[0], direct, atol=1e-10)


def test_only_products_let_the_text_change_an_order(ranking):
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(6, 4)), rng.normal(size=(2, 3))
    B = ranking.span(T)
    assert B.shape == (2, 3)
    np.testing.assert_allclose(T @ B.T @ B, T, atol=1e-12)
    first, second = (np.tile(B @ t, (6, 1)) for t in T)
    beside = rng.normal(size=6)
    change = ranking.side_by_side(X, first) @ beside - ranking.side_by_side(X, second) @ beside
    np.testing.assert_allclose(change, change[0])  # the same for all pictures
    times = rng.normal(size=5 * 3 - 1)
    change = ranking.products(X, first) @ times - ranking.products(X, second) @ times
    assert change.std() > 0.1


def test_joint_ridge_learns_one_order_per_instruction(ranking):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 6))
    tasks = [ranking.task("count", n, n, np.arange(80), np.arange(80), 4 + X[:, k]) for k, n in enumerate("ab")]
    embed = {"a": np.array([1.0, 0, 0, 0.2]), "b": np.array([0, 1.0, 0, 0.2])}
    found = ranking.seen_rows((one, np.arange(80)) for one in tasks)
    for joined, good in ((ranking.products, 0.99), (ranking.side_by_side, 0.9)):
        w, b, B = ranking.fit_joint(found, X, embed, joined, 1e-3)["count"]
        score = [joined(X, np.tile(B @ embed[n], (80, 1))) @ w + b for n in "ab"]
        least = min(np.corrcoef(s, one.y)[0, 1] for s, one in zip(score, tasks))
        assert least > good if joined is ranking.products else least < good
    each = ranking.fit_each(found, X, 1e-3)
    np.testing.assert_allclose(each["b"][0], np.eye(6)[1], atol=1e-3)


# encoders


def step(ranking, encoder, pictures, sentence):
    """One training step of an adapter on an encoder's tokens; the loss, and the adapter before and after."""
    from lib import hooks

    with torch.inference_mode():
        V = hooks.tokens(encoder, pictures, -1, norm=True, project=True).tokens
    V, U = V.clone(), ranking.text_tokens(encoder, [sentence])
    torch.manual_seed(0)
    adapter = ranking.Adapter(V.shape[-1], U.shape[-1], layers=1, heads=8, q=4, R=2)
    before = [p.detach().clone() for p in adapter.parameters()]
    y = np.arange(len(pictures), dtype=np.float32)
    one = ranking.task("count", "cat", sentence, np.arange(len(pictures)), np.arange(0), y)

    def loss_of(one, rows):
        s, g = adapter(V[rows], U.expand(len(rows), -1, -1))
        return ranking.adapter_loss(s, g, ranking.values_of(one, rows))

    ranking.descend(adapter, loss_of, [(one, np.arange(len(pictures)))], 1e-3, 1, 0.01, 0.0, lambda loss: None)
    return adapter, before, V, U


def test_the_encoder_gets_no_gradient(ranking, tiny_encoder):
    pictures = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
    identity = tiny_encoder.identity
    adapter, before, _, _ = step(ranking, tiny_encoder, pictures, "a red cup")
    assert all(p.grad is None and not p.requires_grad for p in tiny_encoder.model.parameters())
    assert tiny_encoder.identity == identity
    changed = [not torch.equal(p, old) for p, old in zip(adapter.parameters(), before)]
    assert np.mean(changed) > 0.9


def test_tokens_of_the_store_are_those_of_the_tower(ranking, tiny_encoder, workspace):
    from lib import datasets, hooks

    pictures = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype(np.uint8)
    corpus = datasets.Corpus("made", "test", "made@1", 5, {"image": lambda: pictures})
    V = ranking.image_tokens(tiny_encoder, corpus)
    with torch.inference_mode():
        expected = hooks.tokens(tiny_encoder, pictures, -1, norm=True, project=True).tokens
    torch.testing.assert_close(V, expected, rtol=1e-4, atol=1e-5)
    assert V.shape == (5, 4, tiny_encoder.dim) and not V.requires_grad
    U = ranking.text_tokens(tiny_encoder, ["a red cup", "a cup"])
    assert U.shape[:2] == (2, tiny_encoder.context)  # every position, padding too
    ids = tiny_encoder.tokenizer(["a red cup"])
    pooled = U[0, ids.argmax(-1)] @ tiny_encoder.model.text_projection
    torch.testing.assert_close(pooled, tiny_encoder.model.encode_text(ids), rtol=1e-4, atol=1e-5)


def test_fine_tuning_reaches_both_towers(ranking, tiny_encoder):
    pictures = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
    tuned, ids = tiny_encoder.copy(), tiny_encoder.tokenizer(["a red cup"])
    s = ranking.clip_scores(tuned.model, tuned.pixels(pictures), ids)
    cosine = tiny_encoder.encode_images(pictures) @ tiny_encoder.encode_texts(["a red cup"])[0]
    np.testing.assert_allclose(s.detach().numpy(), tiny_encoder.scale * cosine, rtol=1e-4, atol=1e-4)
    ranking.hinge_loss(s, torch.arange(4.0)).backward()
    for part in (tuned.model.visual.conv1.weight, tuned.model.token_embedding.weight, tuned.model.logit_scale):
        assert part.grad.abs().max() > 0
    assert all(p.grad is None for p in tiny_encoder.model.parameters())


@pytest.mark.slow
def test_a_real_architecture_takes_the_same_path(ranking, vit_b16):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3)).astype(np.uint8)
    adapter, before, V, U = step(ranking, vit_b16, pictures, "Rank the numbers of horse.")
    assert V.shape == (3, 196, 512) and U.shape == (1, 77, 512)
    assert np.mean([not torch.equal(p, old) for p, old in zip(adapter.parameters(), before)]) > 0.9
    scores = ranking.adapter_scores(adapter, V, U[0], np.arange(3))
    assert scores.shape == (3,) and np.isfinite(scores).all()
    ids = vit_b16.tokenizer(["Rank the numbers of horse."])
    with torch.inference_mode():
        assert ranking.clip_scores(vit_b16.model, vit_b16.pixels(pictures), ids).shape == (3,)


@pytest.mark.slow
def test_the_notebook_runs_on_photos_with_boxes(tmp_path, workspace, tiny_folder):
    from lib import run

    rng, names = np.random.default_rng(0), ["cup", "star", "cloud"]
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(names)]
    for split in ("train", "val", "test"):
        (tmp_path / "photos" / split).mkdir(parents=True)
        images, boxes = [], []
        for k in range(24):
            Image.fromarray(rng.integers(0, 256, (16, 20, 3)).astype(np.uint8)).save(
                tmp_path / "photos" / split / f"{k:02}.png"
            )
            images.append({"id": k, "file_name": f"{k:02}.png", "height": 16, "width": 20})
            for category in range(3):
                for _ in range(rng.integers(0, 4)):
                    box = {"bbox": [1, 1, 5, 5], "area": 25, "iscrowd": 0, "category_id": category + 1}
                    boxes.append({"id": len(boxes), "image_id": k} | box)
        table = {"images": images, "annotations": boxes, "categories": categories}
        (tmp_path / "photos" / f"instances_{split}.json").write_text(json.dumps(table))
    overrides = {
        "corpus": f"coco:{tmp_path / 'photos'}",
        "encoder": str(tiny_folder),
        "steps": [3, 0, 0],
        "held_out": ["cloud"],
    }
    out = run.run("ranking_aware", "smoke", in_process=True, overrides=overrides, quiet=True)
    found = json.loads((out / "claims.json").read_text())["claims"]
    assert {claim["id"]: claim["verdict"] for claim in found}["iqa_vs_finetuned_clip"] == "not tested"
