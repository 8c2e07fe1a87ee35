"""The method cells of notebooks/dense/anovl.ipynb: the card's checks and traps, and plain loops as references."""

import json

import numpy as np
import pytest
import torch
from cells import definitions
from towers import close, pixels, tower

from lib import forward, hooks


@pytest.fixture(scope="module")
def anovl():
    return definitions("anovl")


def features(count=3, patches=16, dim=8, seed=0):
    """Patch features, not normalised, two unit columns T and unit rows E."""
    rng = np.random.default_rng(seed)
    unit = lambda x, axis: x / np.linalg.norm(x, axis=axis, keepdims=True)  # noqa: E731
    f = 3 * rng.normal(size=(count, patches, dim)).astype(np.float32)
    return f, unit(rng.normal(size=(dim, 2)), 0), unit(rng.normal(size=(10, dim)), 1)


# prompts


def test_states_in_frames(anovl):
    normal, abnormal = anovl.sentences("bottle", "paper")
    assert len(set(normal)) == len(set(abnormal)) == 462
    assert "a cropped industrial photo of the flawless bottle" in normal
    assert "an industrial photo of a bottle with defect" in abnormal
    assert not any(said.endswith(".") for said in normal + abnormal)
    assert any("manufacturing image" in said for said in normal)
    assert "a surface picture of the large wood without damage" in anovl.sentences("wood", "paper")[0]
    assert len(anovl.sentence_frames("paper", "urn")) == 66 and len(anovl.sentence_frames("mini", "urn")) == 12
    assert anovl.sentences("urn", "single") == (["a photo of a flawless urn"], ["a photo of a damaged urn"])
    assert "a photo of an abnormal urn" in anovl.sentences("urn", "mini")[1]
    assert len(anovl.sentences("urn", "mini")[0]) == 84


def test_prototypes_are_means_before_normalisation(anovl, monkeypatch):
    rows = np.array([[3.0, 0.0], [0.0, 1.0], [0.0, -2.0], [0.0, -4.0]], np.float32)
    monkeypatch.setattr(anovl.store, "texts", lambda model, said, normalize: rows)
    T, E = anovl.prototypes(None, ["a", "b"], ["c", "d"])
    np.testing.assert_allclose(T.T, [[3 / 10**0.5, 1 / 10**0.5], [0, -1]], atol=1e-6)
    np.testing.assert_allclose(E, [[1, 0], [0, 1], [0, -1], [0, -1]])


def test_neutral_words_name_no_state(anovl):
    one, other = anovl.neutral_states(0)
    assert len(one) == len(other) == 7 == len(anovl.NORMAL) and len({*one, *other}) == 14
    assert not {*one, *other} & {*anovl.NORMAL, *anovl.ABNORMAL}
    assert anovl.neutral_states(0) == (one, other) != anovl.neutral_states(1)


# the two streams


def test_the_ordinary_stream_is_open_clips(anovl, tiny_encoder):
    model, x = tower(), pixels()
    visual = model.visual
    states = forward.image_tokens(visual, forward.patches(visual, x))
    before = states.clone()
    ordinary, _ = anovl.streams(visual, states)
    close(ordinary, hooks.states(model, x))
    assert torch.equal(states, before)
    pictures = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    own = tiny_encoder.encode_images(pictures, normalize=False)
    np.testing.assert_allclose(anovl.encode(tiny_encoder, pictures, "global", batch=2), own, atol=1e-5)


def test_the_local_stream_sums_attention_over_the_ordinary_one(anovl):
    model, x = tower(), pixels()
    visual, blocks = model.visual, model.visual.transformer.resblocks
    states = forward.image_tokens(visual, forward.patches(visual, x))
    reads = [states, *hooks.states(model, x, [0, 1])]  # what enters each block
    terms = []
    for block, o in zip(blocks, reads):
        u, width = block.ln_1(o), o.shape[-1]
        weight, bias = block.attn.in_proj_weight[2 * width :], block.attn.in_proj_bias[2 * width :]
        v = (u @ weight.T + bias).reshape(3, 5, 2, 16).transpose(1, 2)
        mixed = torch.softmax(v @ v.transpose(2, 3) / 4, -1) @ v  # heads of 16: sqrt(d) = 4
        terms.append(block.attn.out_proj(mixed.transpose(1, 2).reshape(3, 5, 32)))
    close(anovl.streams(visual, states)[1], states + sum(terms))
    close(anovl.streams(visual, states, start=2)[1], reads[2] + terms[2])
    p = states
    for block, term in zip(blocks, terms):
        p = p + term
        p = p + block.mlp(block.ln_2(p))
    close(anovl.streams(visual, states, mlp=True)[1], p)


def test_equal_tokens_attend_evenly_and_orthogonal_ones_to_themselves(anovl):
    same = torch.randn(1, 2, 1, 8).expand(1, 2, 5, 8)
    close(anovl.vv(same), same)
    v = torch.eye(8)[None, None, :5] * 1000
    close(anovl.vv(v), v)
    close(anovl.vv(v * 0.001), torch.softmax(torch.eye(5) / 8**0.5, -1) @ (v * 0.001))
    block = tower().visual.transformer.resblocks[0]
    big = torch.linalg.qr(torch.randn(3, 2, 16, 5)).Q.transpose(2, 3) * 100
    close(hooks.merge(block, anovl.vv(big)), hooks.merge(block, big), 1e-3)  # the value-only path


def test_streams_of_an_encoder(anovl, tiny_encoder):
    from lib import dense

    pictures = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    found = {name: anovl.encode(tiny_encoder, pictures, name, batch=2) for name in ("vv", "ordinary", "value")}
    assert all(f.shape == (5, 4, 32) and f.dtype == np.float32 for f in found.values())
    np.testing.assert_allclose(found["value"], dense.value_path(tiny_encoder, pictures), atol=1e-5)
    bare = dense.value_path(tiny_encoder, pictures, residual=False)
    np.testing.assert_allclose(anovl.encode(tiny_encoder, pictures, "value_bare"), bare, atol=1e-5)
    wanted = hooks.tokens(tiny_encoder, pictures, norm=True, project=True).tokens
    np.testing.assert_allclose(found["ordinary"], wanted, atol=1e-5)
    assert np.abs(found["vv"] - anovl.encode(tiny_encoder, pictures, "vv_mlp")).max() > 1e-3
    assert np.abs(found["vv"] - anovl.encode(tiny_encoder, pictures, "vv", start=1)).max() > 1e-3


@pytest.mark.slow
def test_a_real_architecture_takes_the_same_path(anovl, vit_b16):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    f = anovl.encode(vit_b16, pictures, "vv")
    assert f.shape == (2, 196, 512) and np.isfinite(f).all()
    rng = np.random.default_rng(1)
    T, E = anovl.unit(rng.normal(size=(2, 512))).T, anovl.unit(rng.normal(size=(20, 512)))
    maps = anovl.enlarge(anovl.adapt(f, T, E, 0.05, 0), 224)
    assert maps.shape == (2, 224, 224) and np.ptp(maps) > 0


# scores


def test_a_difference_of_a_tenth(anovl):
    f = np.array([[[0.3, 0.4, 75**0.5 / 10]]])
    T = np.eye(3)[:, :2]
    assert anovl.patch_scores(f, T)[0, 0] == pytest.approx(0.52498, abs=1e-5)
    assert anovl.patch_scores(7 * f, T)[0, 0] == pytest.approx(0.52498, abs=1e-5)  # features are normalised
    f, T, _ = features()
    s = anovl.unit(f) @ T
    for scale in (0.1, 10, 40.0):
        p = np.exp(scale * s[..., 1]) / np.exp(scale * s).sum(-1)
        assert np.array_equal(np.argsort(p, 1), np.argsort(anovl.patch_scores(f, T), 1))
    assert anovl.patch_scores(f[:, 0], T).shape == (3,)


def test_maps_are_padded_averaged_and_enlarged(anovl):
    P = np.zeros((1, 16))
    P[0, 0] = 9.0
    small = anovl.enlarge(P, 4)[0]
    assert small[0, 0] == pytest.approx(4) and small[1, 1] == pytest.approx(1) and small[0, 1] == pytest.approx(2)
    assert small[2:].max() == 0 and np.allclose(anovl.enlarge(P + 1, 4) - small, 1)
    large = anovl.enlarge(P, 7)[0]
    np.testing.assert_allclose(large[::2, ::2], small, atol=1e-5)  # aligned corners
    np.testing.assert_allclose(anovl.enlarge(P, 4, 1)[0].ravel(), P[0], atol=1e-6)


def test_twenty_two_views(anovl):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    found = list(anovl.all_views(pictures))
    assert len(found) == 22 and all(v.shape == pictures.shape and v.dtype == np.uint8 for v in found)
    assert len({v.tobytes() for v in found}) == 22 and np.array_equal(found[0], pictures)
    assert np.array_equal(found[17], pictures[:, :, ::-1]) and np.ptp(found[18].astype(int), axis=-1).max() == 0
    assert np.array_equal(anovl.moved(pictures), pictures)
    shifted = anovl.moved(pictures, x=0.25)  # of half the width: two pixels
    assert np.array_equal(shifted[:, :, :-2], pictures[:, :, 2:])
    assert np.array_equal(shifted[:, :, -2:], pictures[:, :, :-3:-1])  # reflected
    quarter = anovl.moved(pictures, np.pi / 2).astype(int)
    assert min(np.abs(quarter - np.rot90(pictures, k, (1, 2))).max() for k in (1, 3)) <= 1


# the adapter


def test_loss_by_hand(anovl):
    half, third = torch.full((1, 4, 2), 0.5), torch.tensor([[[0.3, 0.7]]])
    assert anovl.adapter_loss(half, half).item() == pytest.approx(0.6931 + 0.5 * 1.3863, abs=1e-4)
    clean = torch.tensor([[[0.9, 0.1]]])
    assert anovl.adapter_loss(clean, third).item() == pytest.approx(0.3251 + 0.5 * 0.4620, abs=1e-4)
    assert anovl.adapter_loss(clean, third, 1.0, 0.0).item() == pytest.approx(0.3251, abs=1e-4)
    assert anovl.adapter_loss(clean, third, 0.0, 0.5).item() == pytest.approx(0.2310, abs=1e-4)


def test_an_adapter_of_zeros_changes_nothing(anovl, monkeypatch):
    f, T, E = features()
    monkeypatch.setattr(anovl, "first_weights", lambda n, E, _: [torch.zeros(n, *E.shape), torch.zeros(n, len(E))])
    np.testing.assert_allclose(anovl.adapt(f, T, E, 0.1, 0, steps=0), anovl.patch_scores(f, T), atol=1e-6)
    assert np.abs(anovl.adapt(f, T, E, 0.1, 0) - anovl.patch_scores(f, T)).max() > 1e-4


def test_first_weights_are_those_of_a_linear_layer(anovl):
    E = torch.zeros(200, 64)
    W, b = anovl.first_weights(30, E, torch.Generator().manual_seed(0))
    layer = torch.nn.Linear(64, 200)
    assert W.shape[1:] == layer.weight.shape and b.shape[1:] == layer.bias.shape
    for mine, theirs in ((W, layer.weight), (b, layer.bias)):
        assert mine.abs().max() <= 1 / 8 and mine.std() == pytest.approx(theirs.std().item(), rel=0.1)
        assert abs(mine.mean()) < 3e-3


def test_pictures_side_by_side_are_fitted_one_by_one(anovl):
    f, T, E = features()
    std, seed = 0.4, 11
    together = anovl.adapt(f, T, E, std, seed)
    generator = torch.Generator().manual_seed(seed)
    W, b = anovl.first_weights(3, torch.tensor(E), generator)
    noises = [std * torch.randn(f.shape, generator=generator) for _ in range(5)]
    T, E = torch.tensor(T, dtype=torch.float32), torch.tensor(E, dtype=torch.float32)
    for i in range(3):
        layer = torch.nn.Linear(8, 10)
        layer.load_state_dict({"weight": W[i], "bias": b[i]})
        optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-3)

        def probabilities(x, layer=layer):
            answer = torch.tanh(layer(x / x.norm(dim=-1, keepdim=True))) @ E
            x = 0.5 * x + 0.5 * answer
            return torch.softmax(x / x.norm(dim=-1, keepdim=True) @ T, -1)

        patches = torch.tensor(f[i])
        for noise in noises:
            clean, noisy = probabilities(patches), probabilities(patches + noise[i])
            entropy = -(clean * clean.log()).sum(-1).mean()
            loss = entropy + 0.5 * (-noisy[:, 1].log() - clean[:, 0].log()).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        np.testing.assert_allclose(together[i], probabilities(patches)[:, 1].detach(), atol=1e-5)


def test_each_term_pulls_its_way(anovl):
    f, T, E = features(patches=32)
    many = {"steps": 15, "rate": 3e-2}

    def after(weights, std=0.5):
        return anovl.adapt(f, T, E, std, 3, weights=weights, **many)

    entropy = lambda p: -(p * np.log(p) + (1 - p) * np.log(1 - p)).mean()  # noqa: E731
    start = anovl.adapt(f, T, E, 0.5, 3, steps=0)
    assert entropy(after((1.0, 0.0))) < entropy(start)
    clean_of = after((0.0, 0.5), std=8.0)  # noise that is easy to tell from patches
    assert clean_of.mean() < start.mean()
    assert np.array_equal(after((1.0, 0.5)), after((1.0, 0.5)))
    other = anovl.adapt(f, T, E, 0.5, 4)
    assert np.abs(other - anovl.adapt(f, T, E, 0.5, 3)).max() > 1e-4


# baselines


def test_saliency_marks_the_odd_patch(anovl):
    pictures = np.full((3, 16, 16, 3), 90, np.uint8)
    pictures[0, 4:8, 8:12] = (200, 40, 40)
    pictures[1, 12:, ::2] = 250
    found = anovl.saliency(pictures, 4)
    assert found.shape == (3, 16) and np.isfinite(found).all()
    assert found[0].argmax() == 6 and found[2].max() == 0
    assert set(np.argsort(found[1])[-4:]) == {12, 13, 14, 15}


# metrics


def scored(pictures=8, size=12, seed=0):
    rng = np.random.default_rng(seed)
    masks = np.zeros((pictures, size, size), bool)
    for mask in masks[::2]:
        mask[2:5, 3:7] = True
    groups = np.array(["cup", "urn"])[np.arange(pictures) // 2 % 2]
    maps = np.round(rng.normal(size=masks.shape) + 0.7 * masks + (groups == "urn")[:, None, None], 1)  # with ties
    return maps.astype(np.float32), masks, groups


def test_pixel_auroc_is_the_mean_over_kinds_of_pooled_pixels(anovl):
    from sklearn.metrics import roc_auc_score

    maps, masks, groups = scored()
    where = np.random.default_rng(1).random(masks.shape) < 0.6

    def reference(rows, where):
        each = []
        for kind in np.unique(groups[rows]):
            mine = [i for i in rows if groups[i] == kind]
            use = np.concatenate([where[i].ravel() for i in mine])
            labels, scores = (np.concatenate([a[i].ravel() for i in mine])[use] for a in (masks, maps))
            each.append(roc_auc_score(labels, scores))
        return np.mean(each)

    for area in (np.ones_like(masks), where):
        rows = anovl.pixel_rows(maps, masks, groups, area)
        assert rows.shape == (8, 4 + 4)
        assert anovl.pixel_auroc(rows) == pytest.approx(reference(range(8), area), abs=1e-9)
        for seed in range(5):
            draw = np.append(np.random.default_rng(seed).integers(8, size=8), [0, 2])  # a defect of each kind at least
            assert anovl.pixel_auroc(rows[draw]) == pytest.approx(reference(draw, area), abs=1e-9)
    assert anovl.pixel_auroc(anovl.pixel_rows(masks.astype(float), masks, groups)) == 1
    assert anovl.pixel_auroc(anovl.pixel_rows(np.zeros(masks.shape), masks, groups)) == 0.5
    shifted = maps + 100 * (groups == "urn")[:, None, None]  # kinds are not compared with each other
    assert anovl.pixel_auroc(anovl.pixel_rows(shifted, masks, groups)) == pytest.approx(
        reference(range(8), masks | True)
    )


def test_kinds_without_defects_in_a_draw_are_left_out(anovl):
    maps, masks, groups = scored()
    rows = anovl.pixel_rows(maps, masks, groups)
    sound_urns = rows[[0, 1, 3, 3]]  # picture 3 is an urn without defect
    assert anovl.pixel_auroc(sound_urns) == anovl.pixel_auroc(rows[[0, 1]])


def test_pro_by_hand(anovl):
    _, masks, _ = scored()
    assert anovl.pro(masks.astype(float), masks) == pytest.approx(1)
    assert anovl.pro(np.zeros(masks.shape), masks) == pytest.approx(0.15)  # the diagonal up to 0.3
    assert anovl.pro(-masks.astype(float), masks) == pytest.approx(0)
    rng = np.random.default_rng(0)
    assert anovl.pro(rng.random((40, 32, 32)), rng.random((40, 32, 32)) < 0.02) == pytest.approx(0.15, abs=0.02)
    masks = np.zeros((1, 10, 10), bool)
    masks[0, :6, :5], masks[0, 8, 8] = True, True  # a large defect and a small one count the same
    maps = np.zeros((1, 10, 10))
    maps[0, :6, :5] = 1.0
    assert anovl.pro(maps, masks) == pytest.approx(0.5 + 0.5 * 0.15)


def test_pro_is_a_plain_loop(anovl):
    from scipy.ndimage import label

    maps, masks, _ = scored()
    curve = [(0.0, 0.0)]
    for cut in np.unique(maps)[::-1]:
        shares = []
        for one, mask in zip(maps, masks):
            regions, count = label(mask, np.ones((3, 3)))
            shares += [(one[regions == k] >= cut).mean() for k in range(1, count + 1)]
        curve.append(((maps[~masks] >= cut).mean(), np.mean(shares)))
    rate, found = np.array(curve).T
    fine = np.linspace(0, 0.3, 30001)
    wanted = np.interp(fine, rate, found).mean()
    assert anovl.pro(maps, masks) == pytest.approx(wanted, abs=1e-3)


def test_image_auroc_is_the_mean_over_kinds(anovl):
    pictures = anovl.Pictures(None, np.zeros((6, 2, 2), bool), np.array(list("aaabbb")), None, [])
    pictures.masks[[0, 4]] = True
    rows = anovl.image_rows(np.array([5.0, 1, 2, 0.1, 0.2, 0.3]), pictures)
    assert anovl.image_statistic(rows) == pytest.approx((1 + 0.5) / 2)
    assert anovl.image_statistic(rows[[0, 1, 3, 3]]) == 1  # b has no defect in this draw


# data


def test_pictures_of_the_rendered_corpus(anovl, workspace):
    from lib.world import corpora

    corpora.write("damage", "smoke", workspace / "data" / "damage", progress=False)
    known, test = (anovl.read("damage", split, 64) for split in ("val", "test"))
    assert known.images.shape == (32, 64, 64, 3) and test.masks.shape == (40, 64, 64)
    assert set(known.nouns) & set(test.nouns) == set() and len(set(known.nouns)) == 8 and len(set(test.nouns)) == 10
    assert list(test.nouns[:3]) == ["rook", "envelope", "urn"] and {"brick", "wood"} <= set(test.nouns)
    for pictures in (known, test):
        assert np.array_equal(pictures.anomalous, pictures.parts[0].anomalous)
        assert not (pictures.masks & ~pictures.region).any()
    assert test.region[test.nouns == "wood"].all() and test.region[test.nouns == "urn"].mean() < 0.6


def test_photos_are_squashed(anovl):
    image, mask = np.zeros((20, 60, 3), np.uint8), np.zeros((20, 60), bool)
    image[:, 30:], mask[:, 30:] = 200, True
    images, masks = anovl.squash([image], [mask], 10)
    assert images.shape == (1, 10, 10, 3) and masks.dtype == bool
    assert masks[0, :, 5:].all() and not masks[0, :, :5].any() and images[0, 5, 9, 0] == 200
    whole = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    assert np.array_equal(anovl.squash(whole, whole[..., 0] > 9, 8)[0], whole)


def test_folders_in_the_layout_of_mvtec(anovl, tmp_path, workspace):
    from PIL import Image

    def picture(path, value=90):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((12, 18, 3), value, np.uint8)).save(path)

    for kind in ("metal_nut", "tile"):
        root = tmp_path / "mvtec" / kind
        picture(root / "train" / "good" / "000.png")
        for defect in ("good", "crack"):
            for k in range(2):
                picture(root / "test" / defect / f"00{k}.png")
        for k in range(2):
            mask = np.zeros((12, 18), np.uint8)
            mask[3:9, 6:12] = 255
            (root / "ground_truth" / "crack").mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(root / "ground_truth" / "crack" / f"00{k}_mask.png")
    found = anovl.read(f"folder:{tmp_path / 'mvtec'}", "test", 12)
    assert list(found.nouns) == ["metal nut"] * 4 + ["tile"] * 4 and found.region is None
    assert list(found.anomalous) == [True, True, False, False] * 2 and found.masks[0, 3:9, 4:8].all()
    one = anovl.read(f"folder:{tmp_path / 'mvtec' / 'tile'}", "test", 12, "floor tile")
    assert set(one.nouns) == {"floor tile"} and len(one.parts) == 1


@pytest.mark.real
def test_real_magnetic_tiles(anovl, real, tiny_encoder, workspace):
    found = anovl.read(f"folder:{real / 'images' / 'magnetic_tile'}", "test", 16 * 8, "magnetic tile")
    assert found.images.shape == (30, 128, 128, 3) and set(found.nouns) == {"magnetic tile"}
    sound = found.parts[0].label == found.parts[0].classnames.index("MT Free")
    assert np.array_equal(found.anomalous, ~sound) and 0 < found.masks[~sound].mean() < 0.1
    areas = [mask.mean() for mask in found.parts[0].mask]
    assert np.abs(found.masks.mean((1, 2)) - areas).max() < 0.01
    groups = found.nouns
    assert anovl.pixel_auroc(anovl.pixel_rows(found.masks.astype(float), found.masks, groups)) == 1
    small = anovl.read(f"folder:{real / 'images' / 'magnetic_tile'}", "test", 16, "magnetic tile")
    f = anovl.encode(tiny_encoder, small.images, "vv")
    T, E = anovl.prototypes(tiny_encoder, *anovl.sentences("magnetic tile", "single"))
    maps = anovl.enlarge(anovl.adapt(f, T, E, 0.1, 0), 16)
    assert 0.1 < anovl.pixel_auroc(anovl.pixel_rows(maps, small.masks, small.nouns)) < 0.9  # random weights
    low = anovl.enlarge(anovl.saliency(found.images, 16), 128)
    assert anovl.pixel_auroc(anovl.pixel_rows(low, found.masks, groups)) > 0.6  # cracks and holes differ in looks


@pytest.mark.slow
def test_the_notebook_runs_on_a_folder_of_photos(tmp_path, workspace, tiny_folder):
    from PIL import Image

    from lib import run

    rng = np.random.default_rng(0)
    for kind in ("good", "crack"):
        (tmp_path / "tiles" / kind).mkdir(parents=True)
        for k in range(12):  # a bootstrap draw without either kind has no AUROC: one in ten million
            image = rng.integers(90, 120, (20, 24, 3)).astype(np.uint8)
            mask = np.zeros((20, 24), np.uint8)
            if kind == "crack":
                image[5:9, 4 + k : 20], mask[5:9, 4 + k : 20] = 10, 255
            Image.fromarray(image).save(tmp_path / "tiles" / kind / f"{k}.jpg")
            Image.fromarray(mask).save(tmp_path / "tiles" / kind / f"{k}.png")
    overrides = {"corpus": f"folder:{tmp_path / 'tiles'}", "noun": "tile", "encoder": str(tiny_folder), "views": True}
    out = run.run("anovl", "smoke", in_process=True, overrides=overrides, quiet=True)
    document = json.loads((out / "claims.json").read_text())
    assert [claim["id"] for claim in document["claims"]] == [
        "mvtec_pixel_auroc",
        "visa_pixel_auroc",
        "tta_improves_tfa",
    ]
    assert document["claims"][0]["ours"]["n"] == 24
