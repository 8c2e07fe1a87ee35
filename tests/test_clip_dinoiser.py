"""The method cells of notebooks/dense/clip_dinoiser.ipynb: checks and traps of the card, plain loops, public data."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cells import definitions
from examples import noise_pictures
from PIL import Image
from towers import close, pixels, tower

from lib import arms, dense, forward, hooks


@pytest.fixture(scope="module")
def nb():
    return definitions("clip_dinoiser")


def features(count=2, patches=16, dim=6, seed=0):
    return np.random.default_rng(seed).normal(size=(count, patches, dim)).astype(np.float32)


def views_of(nb, F, labels, size=16, corner=None, owner=None, sizes=None, **others):
    """Views of pictures whose features are given."""
    M = len(F)
    corner = np.zeros((M, 2), int) if corner is None else np.array(corner)
    owner = np.arange(M) if owner is None else np.array(owner)
    empty = {"patch": None, "share": None, "c": F, "g": F, "others": {}} | others
    sizes = sizes or [(size, size)] * len(labels)
    return nb.Views(np.zeros((M, size, size, 3), np.uint8), owner, corner, sizes, labels, F={True: F}, **empty)


# the card's checks


def test_identity_keeps_ones_average_and_scale_is_nothing(nb):
    F = features()
    eye = np.broadcast_to(np.eye(16, dtype=np.float32), (2, 16, 16))
    np.testing.assert_allclose(nb.pooled(eye, F), F / (1 + 1e-6), rtol=1e-6)
    np.testing.assert_allclose(
        nb.pooled(np.ones((2, 16, 16)), F), np.broadcast_to(F.mean(1, keepdims=True), F.shape), atol=1e-6
    )
    A = np.random.default_rng(1).uniform(0.1, 1, (2, 16, 16))
    scaled = A * np.random.default_rng(2).uniform(0.5, 9, (2, 16, 1))
    np.testing.assert_allclose(nb.pooled(scaled, F), nb.pooled(A, F), atol=1e-5)
    assert np.abs(nb.pooled(A, F) - F).max() > 0.5


def test_three_patches_by_hand(nb):
    A = np.array([[[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]])
    F = np.array([[[1.0, 0], [0, 1], [2, 2]]])
    wanted = [[0.6667, 0.3333], [0.3333, 0.6667], [2, 2]]
    np.testing.assert_allclose(nb.pooled(A, F)[0], wanted, atol=1e-4)


FLOORS = [(1, 1, 0.3133), (0, 0, 0.6931), (-1, 0, 0.6931), (0, 1, 0.6931), (-1, 1, 0.6931), (1, 0, 1.3133)]


@pytest.mark.parametrize(("cosine", "target", "loss"), FLOORS)
def test_the_floor_of_the_loss(nb, cosine, target, loss):
    A = torch.full((1, 2, 2), float(cosine))
    assert float(nb.affinity_loss(A, torch.full_like(A, target))) == pytest.approx(loss, abs=1e-4)


def test_affinities_are_symmetric_with_unit_diagonal(nb):
    c = torch.from_numpy(features(dim=12))
    A = nb.untrained(0, 12, 5).affinity(c)
    close(A, A.transpose(1, 2))
    close(A.diagonal(dim1=1, dim2=2), torch.ones(2, 16))
    D = nb.targets(nb.cosines(features(seed=3)), 0.9)
    assert (D.diagonal(axis1=1, axis2=2) == 1).all() and set(np.unique(D)) == {0, 1}
    np.testing.assert_array_equal(D, D.transpose(0, 2, 1))


def test_maskclip_is_the_last_block_where_every_token_attends_to_itself(nb, monkeypatch):
    model, x = tower(), pixels()
    visual = model.visual
    F, _ = nb.clip_features(model, x, (True, False))
    assert (F[True] - nb.ordinary_features(model, x)).abs().max() > 1e-3
    entering = hooks.states(visual, x, -2)
    block = visual.transformer.resblocks[-1]
    attn = block.attn

    def alone(q, k, v, need_weights=False, attn_mask=None, **_):
        width = q.shape[-1]
        value = torch.nn.functional.linear(q, attn.in_proj_weight[2 * width :], attn.in_proj_bias[2 * width :])
        return attn.out_proj(value), None

    monkeypatch.setattr(attn, "forward", alone)
    whole = visual.ln_post(block(entering))[:, 1:] @ visual.proj
    close(F[True], whole)
    value = alone(block.ln_1(entering), None, None)[0]
    close(F[False], visual.ln_post(value)[:, 1:] @ visual.proj)


def test_a_delta_of_zero_never_fires(nb):
    P = np.random.default_rng(0).dirichlet(np.ones(4), (2, 5))
    np.testing.assert_array_equal(nb.background_rule(P, np.zeros((2, 5)), 0.0), P)


# traps


def test_background_is_class_0_and_only_its_probability_changes(nb):
    P = np.array([[[0.1, 0.6, 0.3], [0.1, 0.6, 0.3], [0.005, 0.99, 0.005]]])
    after = nb.background_rule(P, np.array([[0.5, 0.6, 0.0]]), 0.99)
    np.testing.assert_array_equal(after[0, 0], [1, 0.6, 0.3])  # in doubt and not foreground
    np.testing.assert_array_equal(after[0, 1:], P[0, 1:])  # foreground; sure


def test_pairs_with_a_negative_cosine_give_no_gradient(nb):
    A = torch.tensor([[[-0.5, 0.5], [0.2, -0.1]]], requires_grad=True)
    nb.affinity_loss(A, torch.ones(1, 2, 2)).backward()
    assert ((A.grad != 0) == (A.detach() > 0)).all()


def test_inner_features_are_ln_2_of_the_third_block_from_the_end(nb):
    model, x, caught = tower(layers=5), pixels(), []
    block = model.visual.transformer.resblocks[2]
    handle = block.ln_2.register_forward_hook(lambda module, args, out: caught.append(out))
    model.encode_image(x)
    handle.remove()
    close(nb.clip_features(model, x)[1], caught[0][:, 1:])
    first = nb.clip_features(model, x, index=-5)[1]
    close(first, nb.clip_features(model, x, index=0)[1])
    assert (first - caught[0][:, 1:]).abs().max() > 1e-2


def test_positions_are_stretched_and_the_class_token_keeps_its_own(nb):
    model, x = tower(), pixels(size=32)
    F, c = nb.clip_features(model, x)
    assert F[True].shape == (3, 16, 24) and c.shape == (3, 16, 32)
    visual = model.visual
    plane = visual.positional_embedding[1:].reshape(1, 2, 2, -1).permute(0, 3, 1, 2)
    plane = torch.nn.functional.interpolate(plane, (4, 4), mode="bicubic", align_corners=False)
    positions = torch.cat([visual.positional_embedding[:1], plane.flatten(2)[0].T])
    close(F[True], dense.value_path(model, x, positions=positions))
    assert nb.ordinary_features(model, x).shape == (3, 16, 24)


def test_teacher_features_are_values_without_the_class_token(nb):
    model, x = tower(), pixels()
    visual = model.visual
    entering, block = hooks.states(visual, x, -2), visual.transformer.resblocks[-1]
    width = entering.shape[-1]
    weight, bias = (part[2 * width :] for part in (block.attn.in_proj_weight, block.attn.in_proj_bias))
    close(nb.value_features(visual, x), (block.ln_1(entering) @ weight.T + bias)[:, 1:])
    keys = block.attn.in_proj_weight[width : 2 * width], block.attn.in_proj_bias[width : 2 * width]
    close(nb.value_features(visual, x, 1), (block.ln_1(entering) @ keys[0].T + keys[1])[:, 1:])


def test_dino_of_timm_gives_its_values(nb):
    import timm

    small = {"embed_dim": 32, "depth": 3, "num_heads": 2, "img_size": 16, "patch_size": 8}
    model = timm.models.VisionTransformer(**small, num_classes=0, dynamic_img_size=True).eval()
    caught = []
    model.blocks[-1].attn.qkv.register_forward_hook(lambda module, args, out: caught.append(out))
    for size in (16, 32):
        x = pixels(size=size)
        model(x)
        wanted = caught[-1].reshape(3, -1, 3, 2, 16)[:, 1:, 2].flatten(2)  # timm: token, (q, k, v), head, d
        with torch.no_grad():
            close(nb.value_features(model, x), wanted)


def test_probabilities_not_logits_are_enlarged_and_windows_averaged(nb):
    F, t = features(2, 4, 5, 1), features(1, 3, 5, 2)[0]
    t /= np.linalg.norm(t, axis=1, keepdims=True)
    labels = [np.zeros((16, 24), np.uint8)]
    views = views_of(nb, F, labels, corner=[(0, 0), (0, 8)], owner=[0, 0], sizes=[(16, 24)])
    maps = dense.probabilities(F, t, 16, 20.0)
    total = np.zeros((3, 16, 24))
    for one, left in zip(maps, (0, 8)):
        total[:, :, left : left + 16] += one
    total[:, :, 8:16] /= 2
    np.testing.assert_array_equal(nb.segmented(views, F, t, 20.0)[0], total.argmax(0))
    single = views_of(nb, F, [np.zeros((16, 16), np.uint8)] * 2)
    quick = nb.segmented(single, F, t, 20.0)
    np.testing.assert_array_equal(quick, dense.segment(F, t, 16, 20.0))
    slow = nb.segmented(single, F, t, 20.0, lambda P, s: P, np.ones((2, 4)))
    np.testing.assert_array_equal(quick, slow)
    zero = nb.segmented(single, F, t, 20.0, lambda P, s: nb.background_rule(P, s, 2.0), np.zeros((2, 4)))
    assert not np.any(zero)


def test_each_model_has_its_own_normalisation(nb):
    images = np.full((1, 2, 2, 3), 255, np.uint8)
    x = nb.to_pixels(images, (0.5, 0.25, 0.0), (0.5, 0.25, 1.0))
    np.testing.assert_allclose(x[0, :, 0, 0], [1, 3, 1])


def test_rates_fall_at_the_milestone_of_iterations(nb, monkeypatch):
    seen, own = [], torch.optim.AdamW

    class Watched(own):
        def step(self, *args, **kwargs):
            seen.append([group["lr"] for group in self.param_groups])
            return super().step(*args, **kwargs)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    c = features(8, 16, 6)
    run = arms.Run("dinoiser", 0, 5, 4, 8)
    nb.train_heads(
        run, c, lambda rows: np.ones((len(rows), 16, 16), np.float32), np.ones((8, 16), bool), 3, (1e-3, 1e-2)
    )
    np.testing.assert_allclose(seen, [[1e-3, 1e-2]] * 4 + [[1e-4, 1e-3]])
    assert run.counts["steps"] == 5 and run.counts["samples"] == 20


# windows, labels, words


def test_windows_cover_the_picture(nb):
    assert nb.corners(64, 64, 64, 32) == [(0, 0)]
    assert nb.corners(448, 700, 448, 224) == [(0, 0), (0, 224), (0, 252)]
    for shape in ((9, 16), (16, 31), (8, 8)):
        seen = np.zeros(shape)
        for top, left in nb.corners(*shape, 8, 5):
            assert top >= 0 and left >= 0
            part = seen[top : top + 8, left : left + 8]
            assert part.shape == (8, 8)
            part += 1
        assert seen.min() >= 1


def test_the_short_side_becomes_the_window(nb):
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    assert nb.resized(image, 10).shape == (10, 15, 3) and nb.resized(image, 20) is not None
    np.testing.assert_array_equal(nb.resized(image, 20), image)
    labels = np.kron(np.array([[3, 7], [255, 3]], np.uint8), np.ones((10, 15), np.uint8))
    assert set(np.unique(nb.resized(labels, 10))) == {3, 7, 255}  # nearest: no new labels


def test_sentences_of_things_and_grounds(nb):
    said = nb.sentences(["urn", "tea_pot"], ["grass"], ["a {}", "a photo of the {}."])
    assert said[0] == ["an urn", "a photo of the urn."] and said[1][0] == "a tea pot"
    assert said[2] == ["a scene on grass", "a picture on grass", "an image on grass"]


def test_classes_of_rendered_scenes(nb):
    cloud, gear = (nb.atlas.class_index(name) for name in ("cloud", "gear"))
    sem = np.array([[[cloud, nb.render.GROUND + 5], [gear, nb.render.GROUND + 6]]], np.uint8)
    things, grounds, table = nb.rendered_classes([SimpleNamespace(sem=sem, classnames=["gear", "cloud"])])
    assert things == ["gear", "cloud"] and grounds == list(nb.render.BACKGROUNDS[5:7])
    np.testing.assert_array_equal(table[sem][0], [[1, 2], [0, 3]])
    assert table[nb.render.GROUND] == dense.IGNORE


# affinities


def test_thresholds_drop_small_and_negative_entries(nb):
    A = np.array([-0.5, 0.1, 0.2, 0.9])
    np.testing.assert_allclose(nb.thresholded(A, 0.2), [0, 0, 0.2, 0.9])
    np.testing.assert_allclose(nb.thresholded(A, -1.0), [0, 0.1, 0.2, 0.9])


def test_pooling_in_blocks_is_pooling(nb):
    F = features(7)
    views = views_of(nb, F, [None] * 7)
    affinity = lambda views, part: nb.cosines(views.g[part])  # noqa: E731
    whole = nb.pooled(nb.thresholded(nb.cosines(F), 0.3), F)
    np.testing.assert_allclose(nb.pooled_by(affinity, 0.3, views, F, block=3), whole, atol=1e-6)


def test_colours_and_filters(nb):
    images = np.zeros((1, 4, 4, 3), np.uint8)
    images[:, :2], images[0, 2:, 2:, 0] = 255, 255
    colour = nb.mean_colours(images, 2)
    np.testing.assert_allclose(colour[0], [[0.5] * 3, [0.5] * 3, [-0.5] * 3, [0.5, -0.5, -0.5]])
    views = SimpleNamespace(images=images, c=np.zeros((1, 4, 1)))
    A = nb.by_colour(views, slice(None))[0]
    np.testing.assert_allclose(A[0], [1, 1, -1, -1 / 3], atol=1e-6)
    near = nb.filter_of(1.0)(views, slice(None))[0]
    np.testing.assert_allclose(near[0], np.exp([0, -0.5, -0.5, -1]), rtol=1e-6)
    both = nb.filter_of(1.0, 0.5)(views, slice(None))[0]
    np.testing.assert_allclose(both[0], near[0] * np.exp([0, 0, -6, -4]), rtol=1e-5)


def test_true_segments(nb):
    patch, share = np.array([[4, 4, 2, 4]]), np.array([[1.0, 0.5, 0.6, 0.75]])
    A = nb.by_truth(SimpleNamespace(patch=patch, share=share), slice(None))[0]
    np.testing.assert_allclose(A, [[1, 0.5, 0, 0.75], [1, 1, 0, 0.75], [0, 0, 1, 0], [1, 0.5, 0, 1]])


def test_ground_is_what_most_patches_share(nb):
    A = np.eye(5)[None] * 1.0
    A[0, :3, :3] = 0.9
    np.testing.assert_array_equal(nb.ground_like(A, 0.5)[0], [False, False, False, True, True])


def test_area_counts_clear_pairs_only(nb):
    patch, share = np.array([[1, 1, 2, 2, 3]]), np.array([[1, 0.9, 0.8, 0.7, 0.2]])
    views = SimpleNamespace(patch=patch, share=share, c=np.zeros((1, 5, 1)))
    A = np.zeros((1, 5, 5))
    A[0, 0, 1], A[0, 0, 2], A[0, 2, 3], A[0, 0, 4] = 0.9, 0.7, 0.5, 1.0  # the last patch shows nothing clearly
    scores, same = nb.clear_pairs(lambda views, part: A, views)
    assert nb.auroc(scores, same) == pytest.approx((4 + 3) / (2 * 4))
    assert nb.balanced(scores, same, 0.6) == pytest.approx((1 / 2 + 3 / 4) / 2)


# metrics


def test_chance_is_that_of_random_labels(nb):
    rng = np.random.default_rng(0)
    shares = np.array([0.6, 0.3, 0.1])
    truth = rng.choice(3, 200_000, p=shares).astype(np.uint8).reshape(1, 400, 500)
    rows = nb.class_counts(rng.integers(0, 3, truth.shape), truth, 3)
    assert nb.miou(rows) == pytest.approx(nb.chance(shares), abs=2e-3)


def test_miou_against_a_loop(nb):
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 4, (5, 8, 8)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.1] = 255
    found = rng.integers(0, 4, truth.shape)
    rows = nb.class_counts(list(found), list(truth), 5)  # a class that never occurs does not count
    keep, each = truth != 255, []
    for k in range(4):
        a, b = (truth == k)[keep], (found == k)[keep]
        each.append((a & b).sum() / (a | b).sum())
    assert nb.miou(rows) == pytest.approx(np.mean(each))
    perfect = nb.class_counts([np.where(one == 255, 0, one) for one in truth], list(truth), 5)
    assert nb.miou(perfect) == 1.0
    rows = np.stack([rows, perfect])
    weights = np.array([[1] * 5, [2, 0, 1, 1, 1]])
    drawn = nb.drawn_mious(rows, weights)
    assert drawn[0] == pytest.approx(np.mean([nb.miou(one) for one in rows]))
    again = rows[:, [0, 0, 2, 3, 4]]
    assert drawn[1] == pytest.approx(np.mean([nb.miou(one) for one in again]))


def test_the_band_along_borders(nb):
    labels = np.zeros((6, 8), np.uint8)
    labels[:, 4:] = 1
    edge = nb.band(labels, 2)
    np.testing.assert_array_equal(edge, np.broadcast_to([0, 0, 1, 1, 1, 1, 0, 0], (6, 8)))


# training and whole passes


def test_the_student_learns_what_it_is_shown(nb):
    rng = np.random.default_rng(0)
    half = np.arange(16) // 8
    c = rng.normal(size=(32, 16, 8)).astype(np.float32)
    c[..., :2] = 2 * np.eye(2)[half] + 0.1 * c[..., :2]
    D = np.broadcast_to((half[:, None] == half).astype(np.float32), (32, 16, 16))
    m = np.broadcast_to(half > 0, (32, 16))
    run = arms.Run("dinoiser", 1, 150, 8, 32)
    heads, loss = nb.train_heads(run, c, lambda rows: D[rows], m, 4, (1e-2, 1e-1))
    before = nb.untrained(1, 8, 4)
    x = torch.from_numpy(c)
    same, gap = half[:, None] == half, []
    for one in (before, heads):
        A = one.affinity(x)
        gap.append(float((A[:, same].mean() - A[:, ~same].mean()).detach()))
    assert gap[1] > 0.8 > gap[0] + 0.2
    assert loss < 0.5 * np.log1p(np.exp(-1)) + 0.5 * np.log(2) + 0.2
    assert ((heads.foreground(x) > 0).numpy() == m).mean() > 0.9
    again, _ = nb.train_heads(arms.Run("dinoiser", 1, 150, 8, 32), c, lambda rows: D[rows], m, 4, (1e-2, 1e-1))
    assert torch.equal(again.obj_proj.weight, heads.obj_proj.weight)


def test_the_paper_s_size(nb):
    heads = nb.Heads(768, 256)
    assert sum(p.numel() for p in heads.parameters()) == 1_770_497
    c = torch.randn(1, 12, 768)
    length = c.norm(dim=-1)
    close(heads.foreground(torch.cat([c, c[:, :4]], 1)), heads.foreground(torch.cat([7 * c, c[:, :4]], 1)), 1e-4)
    assert length.shape == (1, 12)


@pytest.mark.slow
def test_a_real_architecture_takes_the_same_path_and_a_step(nb, vit_b16):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, shape, np.uint8) for shape in ((64, 96, 3), (64, 64, 3))]
    labels = [rng.integers(0, 3, one.shape[:2]).astype(np.uint8) for one in images]
    teacher = nb.Teacher("vit", "vit", vit_b16.model, vit_b16.preprocess_cfg["mean"], vit_b16.preprocess_cfg["std"])
    views = nb.look(vit_b16, teacher, images, labels, 64, 32)
    assert views.F[True].shape == (3, 16, 512) and views.c.shape == views.g.shape == (3, 16, 768)
    np.testing.assert_array_equal(views.owner, [0, 0, 1])
    assert set(views.others) == {"ordinary", "keys"}
    run = arms.Run("dinoiser", 0, 1, 2, 3)
    D_of = lambda rows: nb.targets(nb.cosines(views.g[rows]), 0.5)  # noqa: E731
    heads, loss = nb.train_heads(run, views.c, D_of, views.patch < 1, 256, (5e-5, 1e-2))
    assert np.isfinite(loss)
    F = nb.pooled_by(nb.student(heads), 0.2, views, views.F[True])
    t = rng.normal(size=(3, 512)).astype(np.float32)
    maps = nb.segmented(views, F, t, 100.0)
    assert [one.shape for one in maps] == [(64, 96), (64, 64)]
    assert nb.class_counts(maps, labels, 3).shape == (2, 6)
    assert forward.vision(vit_b16).positional_embedding.shape[0] == 197


@pytest.mark.slow
def test_the_notebook_runs_on_public_data(tmp_path, workspace, tiny_folder):
    from lib import run

    rng = np.random.default_rng(0)
    (tmp_path / "ade" / "semantic").mkdir(parents=True)
    (tmp_path / "ade" / "classnames.txt").write_text("cup\ngear\nsky\n")
    for split in ("val", "test"):
        (tmp_path / "ade" / "images" / split).mkdir(parents=True)
        for k in range(4):
            name, size = f"{split}{k}.png", (24, 20 + 8 * (k % 2))
            Image.fromarray(rng.integers(0, 256, (*size, 3)).astype(np.uint8)).save(
                tmp_path / "ade" / "images" / split / name
            )
            labels = np.kron(rng.integers(0, 4, (2, 2)), np.ones((12, size[1] // 2))).astype(np.uint8)
            Image.fromarray(labels).save(tmp_path / "ade" / "semantic" / name)
    noise_pictures(tmp_path / "plain", ["train/cup"], 6, (20, 20))
    overrides = {"corpus": f"coco:{tmp_path / 'ade'}", "unlabelled": f"folder:{tmp_path / 'plain'}", "noises": []}
    overrides |= {"encoder": str(tiny_folder), "teacher": str(tiny_folder), "window": 16, "stride": 8, "batch_size": 4}
    overrides |= {"feats_idx": -2, "in_dim": 8, "residuals": [True]}
    out = run.run("clip_dinoiser", "smoke", in_process=True, overrides=overrides, quiet=True)
    found = json.loads((out / "claims.json").read_text())
    assert len(found["claims"]) == 3 and len(found["gates"]) == 5
