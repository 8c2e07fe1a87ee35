"""Checks of the method of `nola`: the card's checks, hand-counted selections, the views, and the whole notebook."""

import json

import numpy as np
import pytest
from cells import definitions
from examples import noise_pictures, unit


@pytest.fixture(scope="module")
def nola():
    return definitions("nola")


def head(encoder, C=5, seed=0):
    return unit(np.random.default_rng(seed).normal(size=(C, encoder.dim))).astype(np.float32)


def pictures(encoder, count, seed=0):
    size = encoder.image_size
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def whole(images):
    """Views that change nothing."""
    return lambda seed, step, rows: images[rows]


def one_run(steps, batch, count):
    from lib import arms

    return arms.Run("nola", 0, steps, batch, count)


# the card's checks


def test_bound_of_the_prompts(nola, tiny_encoder):
    assert nola.bound(768) == 0.0625
    E = nola.Student(tiny_encoder, head(tiny_encoder), 64, 0).E
    v = nola.bound(32)
    assert (
        E.shape == (1, 64, 32)
        and float(E.detach().abs().max()) <= v
        and float(E.detach().abs().mean()) == pytest.approx(v / 2, 0.1)
    )


def test_k_rule(nola):
    assert nola.find_k(10_000, 10) == 200 and nola.find_k(500, 50) == 16 and nola.find_k(999, 10) == 19


def test_smoothed_loss_is_torchs(nola):
    import torch

    logits = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y = torch.tensor([0, 1, 2, 3, 4, 0, 1])
    for eps in (0.0, 0.1, 0.5):
        ours = nola.smoothed_loss(logits, y, eps)
        theirs = torch.nn.functional.cross_entropy(logits, y, label_smoothing=eps)
        assert float(ours.detach()) == pytest.approx(float(theirs.detach()), abs=1e-6)
        grads = [torch.autograd.grad(loss, logits, retain_graph=True)[0] for loss in (ours, theirs)]
        np.testing.assert_allclose(*(g.numpy() for g in grads), atol=1e-7)
    by_hand = nola.smoothed_loss(torch.tensor([[np.log(3.0), 0.0]]), torch.tensor([0]), 0.1)
    q = np.array([0.75, 0.25])
    assert float(by_hand) == pytest.approx(-0.1 * np.log(q).mean() - 0.9 * np.log(q[0]), abs=1e-6)


def test_without_prompts_step_0_is_zero_shot_but_the_loss_knows_the_norm(nola, tiny_encoder):
    import torch

    images, T = pictures(tiny_encoder, 6), head(tiny_encoder)
    zero_shot = tiny_encoder.encode_images(images) @ T.T
    logits = nola.predict(nola.Student(tiny_encoder, T, 0, 0), tiny_encoder, images)
    np.testing.assert_array_equal(logits.argmax(1), zero_shot.argmax(1))
    raw = tiny_encoder.encode_images(images, normalize=False) @ T.T
    np.testing.assert_allclose(logits, raw, atol=1e-4)
    y = torch.from_numpy(zero_shot.argmax(1))
    losses = [float(nola.smoothed_loss(s * torch.from_numpy(logits), y)) for s in (1.0, 3.0)]
    assert abs(losses[0] - losses[1]) > 1e-3
    assert np.abs(nola.predict(nola.Student(tiny_encoder, T, 4, 0), tiny_encoder, images) - raw).max() > 1e-4


def test_selection_takes_each_picture_once_and_looks_at_no_label(nola):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(400, 7))
    logits[:, 6] -= 9  # nobody's first, second or third choice
    logits[:, 5] -= 1.5
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows, labels, missing = nola.select(p, 20)
    assert len(np.unique(rows)) == len(rows) and np.bincount(labels, minlength=7).max() <= 20 and missing == [6]
    for c in range(6):
        first = np.flatnonzero(p.argmax(1) == c)
        best = first[np.argsort(-p[first, c])[:20]]
        assert set(rows[labels == c]) == set(best)
    assert list(nola.select.__code__.co_varnames[: nola.select.__code__.co_argcount]) == ["p", "k"]  # no truth
    swap = rng.permutation(400)
    again = nola.select(p[swap], 20)
    assert set(zip(swap[again[0]], again[1])) == set(zip(rows, labels))


def test_selection_by_hand_with_a_class_that_nobody_is_assigned_to(nola):
    p = np.array([
        [0.60, 0.30, 0.10],
        [0.70, 0.10, 0.20],
        [0.50, 0.20, 0.30],
        [0.20, 0.55, 0.25],
    ])  # fmt: skip
    rows, labels, missing = nola.select(p, 2)
    # class 0 takes pictures 1 and 0; class 1 its only one; class 2 is second choice of 1, 2 and 3: by its own
    # probability it wants 2 (.30) and 3 (.25), and 3 is taken by class 1 already
    assert list(zip(rows, labels)) == [(1, 0), (0, 0), (3, 1), (2, 2)] and missing == []
    third = np.array([[0.6, 0.3, 0.1], [0.5, 0.3, 0.2]])
    rows, labels, missing = nola.select(third, 1)
    # class 1 is second choice of both and wants picture 0, which class 0 has; class 2 has only third choices, wants 1
    assert (rows.tolist(), labels.tolist(), missing) == ([0, 1], [0, 2], [1])
    with pytest.raises(ValueError, match="three"):
        nola.select(np.ones((4, 2)) / 2, 1)


def test_only_prompts_classifier_and_norms_are_trained(nola, tiny_encoder):
    images, T = pictures(tiny_encoder, 8), head(tiny_encoder)
    student = nola.Student(tiny_encoder, T, 4, 0)
    trained = {name for name, p in student.named_parameters() if p.requires_grad}
    norms = {name for name, _ in student.named_parameters() if "ln_" in name}
    assert trained == {"E", "A"} | norms and len(norms) == 2 * (2 * 2 + 2)  # two blocks, ln_pre and ln_post
    assert {n for n, p in nola.Student(tiny_encoder, T, 4, 0, True).named_parameters() if p.requires_grad} == {"E"}
    before = {name: p.detach().clone() for name, p in student.named_parameters()}
    network = nola.train_labeller(tiny_encoder.encode_images(images), np.arange(8) % 5, 5, 0, epochs=2)
    frozen = [p.clone() for p in network.parameters()]
    labels, identity = nola.label(network, tiny_encoder.encode_images(images)), tiny_encoder.identity
    nola.fit(student, tiny_encoder, images, labels, one_run(2, 4, 8), whole(images), 0.01, 0.01, 0.1)
    moved = {name for name, p in student.named_parameters() if not p.equal(before[name])}
    assert moved == trained
    assert tiny_encoder.identity == identity and tiny_encoder.frozen
    assert all(p.equal(old) and not p.requires_grad for p, old in zip(network.parameters(), frozen))


# the steps


def test_cde_is_the_unit_mean_of_unit_embeddings(nola):
    table = {"a one": [2.0, 0.0], "x": [0.0, 5.0], "a two": [0.0, 1.0], "y": [0.0, 3.0]}
    T = nola.cde_head(
        lambda s: np.array([table[one] for one in s]), ["one", "two"], {"one": ["x"], "two": ["y"]}, ["a {}"]
    )
    np.testing.assert_allclose(T, [[0.5**0.5, 0.5**0.5], [0, 1]])
    p = nola.probabilities(np.array([[1.0, 0.0]]), T, 10.0)
    np.testing.assert_allclose(p[0, 0] / p[0, 1], np.exp(10 * 0.5**0.5))


def test_the_labeller_learns_and_leaves_the_global_stream(nola):
    import torch

    rng = np.random.default_rng(0)
    h, y = rng.normal(size=(90, 6)).astype(np.float32), np.arange(90) % 3
    h[np.arange(90), y] += 4
    state = torch.random.get_rng_state()
    network = nola.train_labeller(h, y, 3, 1)
    assert torch.random.get_rng_state().equal(state)
    assert [tuple(p.shape) for p in network.parameters()] == [(256, 6), (256,), (3, 256), (3,)]
    assert (nola.label(network, h) == y).mean() > 0.97
    again = nola.train_labeller(h, y, 3, 1)
    assert all(a.equal(b) for a, b in zip(network.parameters(), again.parameters()))


def test_prompts_enter_behind_ln_pre_and_before_the_patches(nola, tiny_encoder):
    import torch

    from lib import forward

    student, pixels = (
        nola.Student(tiny_encoder, head(tiny_encoder), 3, 0),
        tiny_encoder.pixels(pictures(tiny_encoder, 2)),
    )
    with torch.inference_mode():
        plain = forward.image_tokens(tiny_encoder, forward.patches(tiny_encoder, pixels))
        tokens = student.tokens(pixels)
        by_hand = torch.cat([plain[:, :1], student.E.expand(2, -1, -1), plain[:, 1:]], dim=1)
        assert tokens.equal(by_hand) and tokens.shape[1] == plain.shape[1] + 3
        for block in tiny_encoder.model.visual.transformer.resblocks:
            by_hand = block(by_hand)
        visual = tiny_encoder.model.visual
        z = visual.ln_post(by_hand[:, 0]) @ visual.proj
        np.testing.assert_allclose(student(pixels), z @ student.A.T, atol=1e-4)
        maps = nola.class_attention(student.tower, tokens, 4)
    assert maps.shape == (2, 2, 2)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1, rtol=1e-5)


def test_decay_spares_biases_alone(nola, tiny_encoder):
    student = nola.Student(tiny_encoder, head(tiny_encoder), 2, 0)
    decayed, spared = nola.groups(student, 0.01)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.01, 0.0)
    names = {id(p): name for name, p in student.named_parameters()}
    assert all("bias" in names[id(p)] for p in spared["params"])
    assert {"E", "A", "tower.ln_pre.weight"} <= {names[id(p)] for p in decayed["params"]}


def test_one_step_is_adamw_on_the_smoothed_loss(nola, tiny_encoder):
    import torch

    images, T, labels = pictures(tiny_encoder, 4), head(tiny_encoder), np.array([0, 1, 2, 3])
    ours, theirs = (nola.Student(tiny_encoder, T, 2, 0) for _ in range(2))
    nola.fit(ours, tiny_encoder, images, labels, one_run(1, 4, 4), whole(images), 0.01, 0.0, 0.1)
    loss = torch.nn.functional.cross_entropy(
        theirs(tiny_encoder.pixels(images)), torch.from_numpy(labels), label_smoothing=0.1
    )
    loss.backward()
    optimizer = torch.optim.AdamW([p for p in theirs.parameters() if p.requires_grad], 0.01, weight_decay=0.0)
    optimizer.step()
    for name in ("E", "A"):
        np.testing.assert_allclose(getattr(ours, name).detach(), getattr(theirs, name).detach(), atol=2e-4)


def test_a_student_follows_its_labels_or_its_own(nola, tiny_encoder):
    images, T = pictures(tiny_encoder, 8), head(tiny_encoder, 3)
    wanted = np.arange(8) % 3
    student = nola.Student(tiny_encoder, T, 4, 0)
    nola.fit(student, tiny_encoder, images, wanted, one_run(40, 8, 8), whole(images), 0.03, 0.0, 0.0)
    assert (nola.predict(student, tiny_encoder, images).argmax(1) == wanted).mean() > 0.8
    own, run = nola.Student(tiny_encoder, T, 4, 0), one_run(1, 8, 8)
    said = nola.predict(own, tiny_encoder, images).argmax(1)
    fixed = nola.Student(tiny_encoder, T, 4, 0)
    nola.fit(own, tiny_encoder, images, None, run, whole(images), 0.01, 0.0, 0.1)
    nola.fit(fixed, tiny_encoder, images, said, one_run(1, 8, 8), whole(images), 0.01, 0.0, 0.1)
    assert own.A.equal(fixed.A) and run.counts["forwards"] == 8


# views


def test_jitter_is_torchvisions(nola):
    import torch
    from torchvision.transforms import functional as tv

    x = torch.rand(3, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    does = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation, tv.adjust_hue)
    for place, (strength, change) in enumerate(zip((0.4, 0.4, 0.4, 0.1), does)):
        strengths = np.zeros(4)
        strengths[place] = strength
        drawn = np.random.default_rng(3).uniform(-1, 1, (4, 3))[place] * strength
        ours = nola.colour_jitter(x, np.random.default_rng(3), strengths)
        theirs = [change(one, float(d) if place == 3 else 1 + float(d)) for one, d in zip(x, drawn)]
        np.testing.assert_allclose(ours, torch.stack(theirs), atol=2e-3)
        assert float((ours - x).abs().max()) > 0.01
    np.testing.assert_allclose(nola.colour_jitter(x, np.random.default_rng(3), [0.4] * 4, chance=0.0), x, atol=1e-5)


def test_perspective_maps_corners(nola):
    import torch
    from torchvision.transforms import functional as tv

    x = torch.rand(4, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(nola.perspective(x, np.random.default_rng(0), chance=0.0), x, atol=1e-4)
    ramp = 0.2 + 0.6 * torch.arange(20) / 19
    smooth = torch.stack([ramp.expand(20, 20), ramp[:, None].expand(20, 20), ramp.expand(20, 20)]).expand(4, -1, -1, -1)
    ours = nola.perspective(smooth, np.random.default_rng(0), distortion=0.4, chance=1.0)
    moved = np.random.default_rng(0).integers(0, 5, (4, 4, 2))
    start = [[0, 0], [19, 0], [19, 19], [0, 19]]
    signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    for one, view, shift in zip(smooth, ours, moved):
        end = np.array(start) + shift * signs
        theirs = tv.perspective(one, start, end.tolist(), interpolation=tv.InterpolationMode.BILINEAR, fill=0)
        inside = (view[0] > 0.2) & (theirs[0] > 0.2)
        assert float((view - theirs).abs()[:, inside].median()) < 0.03 and float(inside.float().mean()) > 0.4
        for (x0, y0), (x1, y1) in zip(start, end):  # what was in a corner is now where the corner went
            assert float((view[:, y1, x1] - one[:, y0, x0]).abs().max()) < 1e-3


def test_blur_keeps_flat_pictures_and_the_size_of_views(nola):
    import torch

    flat = torch.full((2, 3, 16, 16), 0.3)
    np.testing.assert_allclose(nola.gaussian_blur(flat, np.random.default_rng(0), (0.1, 2.0)), flat, atol=1e-5)
    dot = torch.zeros(1, 1, 15, 15)
    dot[..., 7, 7] = 1
    spread = nola.gaussian_blur(dot, np.random.default_rng(0), (1.0, 1.0))[0, 0]
    assert float(spread[7, 7]) == pytest.approx(1 / (2 * np.pi), abs=2e-3)
    assert nola.gaussian_blur(dot, np.random.default_rng(0), (0.03, 0.03)).equal(dot)
    images = [np.full((30, 40, 3), 90, np.uint8), np.full((50, 20, 3), 90, np.uint8)]
    make = dict(size=16, scale=(0.4, 1.0), strengths=[0.4, 0.4, 0.4, 0.1], sigmas=(0.1, 0.6))
    views = nola.strong_views(images, np.random.default_rng(0), **make)
    assert views.shape == (2, 16, 16, 3) and views.dtype == np.uint8
    np.testing.assert_array_equal(views, nola.strong_views(images, np.random.default_rng(0), **make))


# baselines and encoders


def test_cheap_baselines_by_hand(nola):
    h = np.array([[0.0, 0], [0, 1], [9, 9], [9, 8], [0, 0.5], [8, 9]])
    p = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1], [0.4, 0.5, 0.1], [0.4, 0.2, 0.4], [0.2, 0.6, 0.2]])
    tests = np.array([[1.0, 1.0], [8.0, 8.0]])
    assert nola.nearest_mean(h[:4], np.array([2, 2, 1, 1]), tests, 3).tolist() == [2, 1]  # class 0 has no picture
    p2 = np.column_stack([p[:, 0], p[:, 1], p[:, 2]])
    named = nola.kmeans_named(h, p2, tests, 2, 0)
    assert named.tolist() == [2, 1]  # means of p: .37 .23 .40 and .23 .63 .13


def test_probe_reads_what_is_there(nola):
    rng = np.random.default_rng(0)
    y = np.arange(120) % 4
    x = rng.normal(size=(120, 8))
    x[np.arange(120), y] += 4
    assert (nola.linear_probe(x[:80], y[:80], x[80:], [0.01, 0.1]) == y[80:]).mean() > 0.9
    assert (nola.linear_probe(x[:80, 4:], y[:80], x[80:, 4:], [0.01, 0.1]) == y[80:]).mean() < 0.6


def test_a_signal_of_the_class_makes_it_readable(nola):
    h, y = np.random.default_rng(0).normal(size=(160, 8)).astype(np.float32), np.arange(160) % 4
    assert nola.with_signal(h, y, 0.0).tolist() == h.tolist()
    right = [(nola.linear_probe(x[:80], y[:80], x[80:], [0.1]) == y[80:]).mean()
             for x in (nola.with_signal(h, y, s) for s in (0.0, 2.0))]  # fmt: skip
    assert right[0] < 0.5 and right[1] > 0.9


def test_second_encoders(nola, workspace, tmp_path, tiny_encoder):
    from lib import datasets, encoders, forward

    cfg = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
    }
    folder = encoders.save(tmp_path / "ssl", encoders.create(cfg, 0), cfg, encoders.PREPROCESS, None)
    images = pictures(tiny_encoder, 5)
    corpus = datasets.Corpus("toy", "train", "toy@1", 5, {"image": lambda: images})
    ssl, untrained = (nola.second_encoder(str(folder), tiny_encoder, random) for random in (None, 3))
    own = nola.raw_features(ssl, corpus)
    np.testing.assert_allclose(own, ssl.encode_images(images, normalize=False), atol=1e-5)
    assert np.abs(own - nola.raw_features(untrained, corpus)).max() > 0.01 and ssl.identity != untrained.identity
    from lib import hooks

    patches = hooks.tokens(ssl, images, norm=True).tokens.mean(1)
    np.testing.assert_allclose(nola.raw_features(ssl, corpus, "patches"), patches.detach(), atol=1e-4)
    assert forward.vision(ssl).proj is None
    with pytest.raises(ValueError, match="pooling"):
        nola.raw_features(ssl, corpus, "max")


@pytest.mark.slow
def test_dino_of_timm_takes_the_place(nola, vit_b16, workspace):
    import torch

    dino = nola.second_encoder("timm:vit_tiny_patch16_224", vit_b16, random=0)
    images = pictures(vit_b16, 2)
    h = dino.encode_images(images, normalize=False)
    assert h.shape == (2, dino.dim) == (2, 192) and np.isfinite(h).all()
    with torch.inference_mode():
        tokens = dino.model.forward_features(vit_b16.pixels(images))
    np.testing.assert_allclose(h, tokens[:, 0].numpy(), atol=1e-4)  # class token behind the last norm
    np.testing.assert_allclose(np.linalg.norm(dino.encode_images(images), axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_a_real_architecture_tunes_one_step(nola, vit_b16):
    images, T = pictures(vit_b16, 2), head(vit_b16, 4)
    student = nola.Student(vit_b16, T, 16, 0)
    assert float(student.E.detach().abs().max()) <= 0.0625 and student.E.shape == (1, 16, 768)
    before, identity = nola.predict(student, vit_b16, images), vit_b16.identity
    nola.fit(student, vit_b16, images, np.array([0, 1]), one_run(1, 2, 2), whole(images), 0.004, 0.01, 0.1)
    after = nola.predict(student, vit_b16, images)
    assert after.shape == (2, 4) and np.isfinite(after).all() and np.abs(after - before).max() > 1e-4
    assert vit_b16.identity == identity


@pytest.mark.slow
def test_the_notebook_runs_on_public_data_and_a_file_of_descriptions(tmp_path, workspace, tiny_folder):
    from lib import run

    names = ["cup", "gear", "star", "tea pot"]
    folders = [f"{split}/{name}" for split in ("train", "test") for name in names]
    noise_pictures(tmp_path / "pictures", folders, 10, (20, 24))
    (tmp_path / "lines.json").write_text(
        json.dumps({name: [f"A {name} is red.", f"The {name} has a rim."] for name in names})
    )
    overrides = {"corpus": f"folder:{tmp_path / 'pictures'}", "descriptions": str(tmp_path / "lines.json")}
    overrides |= {"encoder": str(tiny_folder), "ssl_encoder": str(tiny_folder), "target": "class", "candidates": []}
    overrides |= {"k_least": 3, "batch_size": 8}
    out = run.run("nola", "smoke", in_process=True, overrides=overrides, quiet=True)
    claims = json.loads((out / "claims.json").read_text())["claims"]
    assert [claim["id"] for claim in claims] == ["label_free_gain_over_lafter", "gain_over_zero_shot"]
    assert all(claim["verdict"] in ("holds", "does not hold", "inconclusive", "not tested") for claim in claims)
