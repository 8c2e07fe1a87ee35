"""The method cells of notebooks/generation/clip_lit.ipynb: checks of the card, traps, the published network."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cells import definitions
from PIL import Image

from lib import forward


@pytest.fixture(scope="module")
def clip_lit():
    return definitions("clip_lit")


@pytest.fixture
def pictures():
    return torch.from_numpy(np.random.default_rng(0).random((4, 3, 16, 16))).float()


def features(count, dim=32, seed=0):
    return F.normalize(torch.from_numpy(np.random.default_rng(seed).normal(size=(count, dim))).float(), dim=-1)


# prompts


def test_equal_rows_give_one_half_and_opposite_gradients(clip_lit, tiny_encoder):
    P, end = clip_lit.start_prompts(tiny_encoder, "red", 6)
    assert P.shape == (2, tiny_encoder.context, 32) and end == 7 and torch.equal(P[0], P[1]) and P.requires_grad
    T = clip_lit.prompt_features(tiny_encoder, P, end)
    np.testing.assert_array_equal(clip_lit.p_neg(features(9), T).detach(), 0.5)
    T = T.detach().requires_grad_(True)
    labels = torch.arange(2).repeat(4)
    F.cross_entropy(100 * features(8) @ T.T, labels).backward()
    torch.testing.assert_close(T.grad[0], -T.grad[1])
    assert T.grad.abs().max() > 0


def test_prompt_features_of_a_text_are_those_of_the_encoder(clip_lit, tiny_encoder):
    ids = tiny_encoder.tokenizer(["red cup", "blue cup"])
    P = forward.text(tiny_encoder).token_embedding(ids).detach()
    T = clip_lit.prompt_features(tiny_encoder, P, int(ids[0].argmax()))
    np.testing.assert_allclose(T.numpy(), tiny_encoder.encode_texts(["red cup", "blue cup"]), atol=1e-5)


def test_a_filler_of_several_tokens_is_refused(clip_lit, tiny_encoder):
    with pytest.raises(ValueError, match="one token"):
        clip_lit.start_prompts(tiny_encoder, "zqx", 4)


def test_p_neg_is_a_sigmoid_of_the_difference_and_row_0_is_negative(clip_lit):
    I, T = features(7), features(2, seed=1)
    expected = torch.sigmoid(100 * (I @ T[0] - I @ T[1]))
    torch.testing.assert_close(clip_lit.p_neg(I, T), expected)
    assert clip_lit.p_neg(T[:1], T) > 0.99 and clip_lit.p_neg(T[1:], T) < 0.01
    assert ((clip_lit.p_neg(0.001 * I, T) > 0.3) & (clip_lit.p_neg(0.001 * I, T) < 0.7)).all()


def test_first_prompts_learn_to_tell_two_clouds_apart(clip_lit, tiny_encoder):
    P, end = clip_lit.start_prompts(tiny_encoder, "red", 6)
    a, b = features(2, tiny_encoder.dim, 3)
    backlit, lit = (
        F.normalize(c + 0.05 * features(20, tiny_encoder.dim, k), dim=-1)[None] for k, c in enumerate((a, b))
    )
    optimizer = torch.optim.Adam([P], lr=1e-2)
    losses = clip_lit.first_prompts(tiny_encoder, P, end, optimizer, backlit, lit, 30, 8, np.random.default_rng(0))
    assert losses[0] == pytest.approx(np.log(2), abs=1e-4)
    T = clip_lit.prompt_features(tiny_encoder, P, end).detach()
    assert clip_lit.p_neg(backlit[0], T).mean() > 0.9 and clip_lit.p_neg(lit[0], T).mean() < 0.1
    assert tiny_encoder.frozen and all(p.grad is None for p in tiny_encoder.model.parameters())


# ranking


def test_rankings_by_hand(clip_lit):
    one = lambda value: torch.tensor([value])  # noqa: E731
    assert float(clip_lit.ranking(one(0.9), one(0.1), 0.9)) == pytest.approx(0.1)
    assert 200 * float(clip_lit.ranking(one(0.9), one(0.1), 0.9)) == pytest.approx(20, abs=1e-4)
    for m in (0.1, 0.2, 0.9):
        assert float(clip_lit.ranking(one(0.4), one(0.4), m)) == pytest.approx(m)
    b, E1, E2, w = (one(value) for value in (0.9, 0.6, 0.5, 0.1))
    assert float(clip_lit.ranking_loss(b, [E1, E2], w)) == pytest.approx(140, abs=1e-3)
    assert float(clip_lit.ranking_loss(b, [E1], w)) == pytest.approx(200 * (0.1 + 0.6 + 0), abs=1e-3)
    assert float(clip_lit.ranking_loss(b, [], w)) == pytest.approx(200 * 0.2, abs=1e-3)
    assert float(clip_lit.ranking_loss(b, [E2, E1], w)) == pytest.approx(200 * (0.1 + 0.5 + 0.2 + 0), abs=1e-3)
    pair = clip_lit.ranking(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5)
    assert float(pair) == pytest.approx(0.75)  # a mean over the batch


def test_tuning_moves_prompts_towards_the_ranking(clip_lit, tiny_encoder):
    P, end = clip_lit.start_prompts(tiny_encoder, "red", 6)
    with torch.no_grad():
        P[0, 1] += 0.01
    a, b = features(2, tiny_encoder.dim, 3)
    b_, E, w = (
        F.normalize(c + 0.05 * features(20, tiny_encoder.dim, k), dim=-1)[None] for k, c in enumerate((a, a + b, b))
    )
    optimizer = torch.optim.Adam([P], lr=1e-2)
    rng = np.random.default_rng(0)
    losses = clip_lit.tune_prompts(tiny_encoder, P, end, optimizer, b_, [E], w, 30, 8, rng)
    assert np.mean(losses[-5:]) < 0.7 * losses[0]
    T = clip_lit.prompt_features(tiny_encoder, P, end)
    assert clip_lit.p_neg(b_[0], T).mean() > clip_lit.p_neg(w[0], T).mean() + 0.5


def test_a_picture_and_its_results_are_drawn_in_the_same_view(clip_lit):
    b = torch.arange(30.0).reshape(3, 5, 2)
    first, second = clip_lit.sample([b, b + 100], 300, np.random.default_rng(0))
    torch.testing.assert_close(first + 100, second)
    assert len(first.unique(dim=0)) == 15


# the net


def test_numbers_of_parameters(clip_lit):
    for width, count in ((32, 278_790), (16, 70_022), (8, 17_670)):
        assert sum(p.numel() for p in clip_lit.LightNet(width).parameters()) == count


def test_the_start_returns_the_input_and_costs_nothing(clip_lit, tiny_encoder, pictures):
    net = clip_lit.LightNet(8)
    for mode in (True, False):
        M = net.train(mode)(pictures)
        assert M.shape == (4, 1, 16, 16) and torch.equal(M, torch.ones_like(M))
    J = clip_lit.relight(pictures, M)
    torch.testing.assert_close(J, pictures, atol=1e-8, rtol=1e-7)
    layers = [clip_lit.look(tiny_encoder, each, [0, 1])[1] for each in (J, pictures)]
    assert float(clip_lit.content_loss(*layers, [1, 0.5]).detach()) < 1e-10


def test_halving_the_light_map_doubles_dark_pixels_until_the_clamp(clip_lit):
    x = torch.tensor([0.1, 0.3, 0.5, 0.8]).expand(1, 3, 1, 4)
    J = clip_lit.relight(x, torch.full((1, 1, 1, 4), 0.5))
    torch.testing.assert_close(J[0, 0, 0], torch.tensor([0.2, 0.6, 1.0, 1.0]))
    M = torch.zeros(1, 1, 1, 4, requires_grad=True)
    white = clip_lit.relight(x, M)
    white.sum().backward()
    assert (white == 1).all() and (M.grad == 0).all()  # the trap: a light map of 0 is white, without gradient


def test_training_pads_with_zeros_and_inference_by_reflection(clip_lit, pictures):
    torch.manual_seed(0)
    net = clip_lit.LightNet(8, "official")
    torch.nn.init.normal_(net.leave.weight, 0, 1.0)
    torch.nn.init.ones_(net.leave.bias)
    big = F.interpolate(pictures, (96, 96))
    net.pyramid.features = torch.nn.ModuleList()  # without it the net sees a neighbourhood only
    net.pyramid.fuse[0] = torch.nn.Conv2d(8, 8, 3, padding=1, bias=False)
    train, test = net.train()(big), net.eval()(big)
    border = (train - test).abs()
    assert border[..., :4, :].max() > 0 and border[..., 40:56, 40:56].max() < 1e-6


def test_the_content_loss_sums_over_pictures_and_averages_elements(clip_lit):
    a, b = [torch.zeros(8, 5, 3), torch.zeros(8, 2)], [torch.full((8, 5, 3), 2.0), torch.ones(8, 2)]
    assert float(clip_lit.content_loss(a, b, [1, 0.5])) == pytest.approx(8 * (4 + 0.5))
    with pytest.raises(ValueError, match="zip"):
        clip_lit.content_loss(a, b, [1])


def test_look_gives_the_encoders_feature_and_blocks(clip_lit, tiny_encoder):
    u8 = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    x = torch.from_numpy(u8).permute(0, 3, 1, 2).float() / 255
    I, layers = clip_lit.look(tiny_encoder, x, [1])
    np.testing.assert_allclose(I.numpy(), tiny_encoder.encode_images(u8), atol=1e-5)
    from lib import hooks

    torch.testing.assert_close(layers[0], hooks.tokens(tiny_encoder, tiny_encoder.pixels(u8), 1).tokens)
    larger = F.interpolate(x, (32, 32), mode="bilinear", align_corners=False)
    small = F.interpolate(larger, (16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(clip_lit.look(tiny_encoder, larger)[0], clip_lit.look(tiny_encoder, small)[0])


def test_look_through_a_resnet(clip_lit, pictures):
    from types import SimpleNamespace

    from open_clip.modified_resnet import ModifiedResNet

    torch.manual_seed(0)
    tower = ModifiedResNet([1, 1, 1, 1], output_dim=8, heads=4, image_size=32, width=8).eval()
    cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    encoder = SimpleNamespace(image_size=32, preprocess_cfg=cfg, model=SimpleNamespace(visual=tower))
    I, layers = clip_lit.look(encoder, pictures, range(5))
    assert [each.shape[1] for each in layers] == [8, 32, 64, 128, 256]
    resized = F.interpolate(pictures, (32, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(I, F.normalize(tower((resized - 0.5) / 0.25), dim=-1))


# training


def phase(clip_lit, encoder, net, x, T, steps=1, **settings):
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    given = {"layers": [0, 1], "w": [1, 0.5], "content": 0.01, "guidance": 320.0, "zoom": (0.7, 1.3)} | settings
    batches = [np.arange(len(x))] * steps
    return clip_lit.net_phase(net, optimizer, x, batches, T, encoder, encoder, rng=np.random.default_rng(0), **given)


def test_the_encoder_gets_no_gradient_and_the_picture_does(clip_lit, tiny_encoder, pictures):
    T = features(2, tiny_encoder.dim, 1)
    x = pictures.clone().requires_grad_(True)
    clip_lit.p_neg(clip_lit.look(tiny_encoder, x)[0], T, 10.0).mean().backward()
    assert x.grad.abs().max() > 0
    before, net = tiny_encoder.identity, clip_lit.LightNet(8)
    start = {name: value.clone() for name, value in net.state_dict().items()}
    phase(clip_lit, tiny_encoder, net, pictures, T)
    assert tiny_encoder.identity == before and all(p.grad is None for p in tiny_encoder.model.parameters())
    assert any(not torch.equal(value, start[name]) for name, value in net.state_dict().items())


def test_guidance_lowers_p_neg_and_swapped_prompts_do_the_opposite(clip_lit, tiny_encoder, pictures):
    x = 0.4 * pictures
    dark, bright = (clip_lit.look(tiny_encoder, each)[0].mean(dim=0) for each in (x, (2 * x).clamp(0, 1)))
    T = F.normalize(torch.stack([dark, bright]), dim=-1)
    means = {}
    for name, pair in (("right", T), ("swapped", T.flip(0))):
        torch.manual_seed(0)
        net = clip_lit.LightNet(8)
        phase(clip_lit, tiny_encoder, net, x, pair, steps=8, content=0.0)
        means[name] = float(clip_lit.light_maps(net, x).mean())
    assert means["right"] < 1 < means["swapped"]  # the trap: index 0 is the negative prompt


def test_without_guidance_the_net_stays(clip_lit, tiny_encoder, pictures):
    net = clip_lit.LightNet(8)
    terms = phase(clip_lit, tiny_encoder, net, pictures, features(2, tiny_encoder.dim), steps=3, guidance=0.0)
    assert terms.shape == (3, 2) and np.abs(terms).max() < 1e-4
    assert float((clip_lit.light_maps(net, pictures) - 1).abs().max()) < 1e-3


def test_asked_light_is_the_slope_of_the_logit(clip_lit, tiny_encoder, pictures):
    T, h = features(2, tiny_encoder.dim, 1), 1e-2
    asked = clip_lit.asks(tiny_encoder, pictures, T, 10.0)

    def z(M):
        return 10 * clip_lit.look(tiny_encoder, pictures / M)[0] @ (T[0] - T[1])

    numeric = (z(torch.tensor(1 + h)) - z(torch.tensor(1 - h))) / (2 * h)
    torch.testing.assert_close(asked.sum(dim=(1, 2)), numeric, rtol=5e-2, atol=1e-3)


def test_views_are_flips_turns_and_zooms(clip_lit, pictures):
    theta = clip_lit.maps(np.random.default_rng(0), 2000, (0.5, 1.5))
    A = theta[:, :, :2]
    size = torch.linalg.det(A).abs().sqrt()
    torch.testing.assert_close(A @ A.transpose(1, 2), size[:, None, None] ** 2 * torch.eye(2).expand(2000, 2, 2))
    assert 0.64 < float(((size - 1).abs() < 1e-6).float().mean()) < 0.76  # zoom with p 0.3
    assert float(size.min()) >= 1 / 1.5 - 1e-6 and float(size.max()) <= 2 + 1e-6
    axes = ((A / size[:, None, None]).abs().round(decimals=5) % 1 == 0).all(dim=(1, 2))
    assert 0.64 < float(axes.float().mean()) < 0.76  # rotation with p 0.3
    assert theta[:, :, 2].abs().max() == 0
    flip = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]]).expand(4, 2, 3)
    torch.testing.assert_close(clip_lit.view(pictures, flip), pictures.flip(-1), atol=1e-5, rtol=0)
    assert torch.equal(
        clip_lit.maps(np.random.default_rng(3), 4, (1, 1)), clip_lit.maps(np.random.default_rng(3), 4, (1, 1))
    )


# measures and rivals


def test_measures_equal_scikit_images(clip_lit):
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    rng = np.random.default_rng(0)
    a, b = rng.random((2, 3, 24, 24, 3))
    expected = [peak_signal_noise_ratio(one, other, data_range=1.0) for one, other in zip(b, a)]
    np.testing.assert_allclose(clip_lit.psnr_each(a, b), expected)
    where = np.zeros((3, 24, 24), bool)
    where[:, :, :12] = True
    np.testing.assert_allclose(clip_lit.psnr_each(a, b, where), clip_lit.psnr_each(a[:, :, :12], b[:, :, :12]))
    np.testing.assert_allclose(clip_lit.psnr_each(np.full((1, 2, 2, 3), 0.5), np.full((1, 2, 2, 3), 0.4)), 20)
    assert np.isfinite(clip_lit.psnr_each(a, a)).all()
    settings = {"data_range": 1.0, "channel_axis": -1, "gaussian_weights": True, "use_sample_covariance": False}
    fields = clip_lit.ssim_maps(a, b)
    assert fields.shape == (3, 24, 24)
    full = structural_similarity(a[0], b[0], full=True, **settings)[1]
    np.testing.assert_allclose(fields[0], full.mean(axis=-1))
    np.testing.assert_allclose(clip_lit.ssim_maps(a, a), 1)


def test_rivals_without_learning(clip_lit):
    x = np.random.default_rng(0).random((3, 8, 8, 3))
    assert clip_lit.fitted_gamma(x, float((x**0.6 @ clip_lit.LUMA).mean())) == pytest.approx(0.6, abs=1e-6)
    np.testing.assert_allclose(clip_lit.by_luminance(0.4 * x, lambda Y: 2 * Y), 0.8 * x, atol=0.02)
    light = np.random.default_rng(1).uniform(0.2, 1.0, (3, 8, 8, 1))
    np.testing.assert_allclose(clip_lit.best_light(x * light, x), x, atol=1e-6)


# the published network, the real architecture, the whole notebook


def test_the_published_network_lights_real_photographs(clip_lit, real):
    path, folder = real / "weights" / "clip_lit_enhancement_model.pth", real / "images" / "backlit3"
    if not path.is_file() or not folder.is_dir():
        pytest.skip("the folder of real data has no published CLIP-LIT network, or no backlit photographs")
    net = clip_lit.LightNet(32)
    net.load_state_dict(clip_lit.published(torch.load(path, weights_only=True, map_location="cpu")))  # strict
    photos = sorted(folder.glob("*.jpg"))
    assert len(photos) == 3
    for photo in photos:
        with Image.open(photo) as opened:
            opened.thumbnail((256, 256))
            x = torch.from_numpy(np.asarray(opened.convert("RGB")).copy()).permute(2, 0, 1)[None].float() / 255
        M = clip_lit.light_maps(net, x)
        J = clip_lit.relight(x, M)
        luminance = x.mean(dim=1)
        dark, bright = luminance < luminance.quantile(0.3), luminance >= luminance.quantile(0.9)
        assert float(M.min()) > 0.02 and float(M.max()) < 1.5 and float(M.std()) > 0.02
        assert float(J.mean(dim=1)[dark].mean()) > 1.3 * float(luminance[dark].mean()), photo.name
        gain = [float((J.mean(dim=1) / luminance.clamp(min=1 / 255))[part].mean()) for part in (dark, bright)]
        assert gain[0] > gain[1], f"{photo.name}: dark places gain {gain[0]:.2f}, bright ones {gain[1]:.2f}"
        assert float((J >= 1).float().mean()) < 0.5, "burnt to white"


@pytest.mark.slow
def test_a_real_architecture_takes_the_same_path(clip_lit, vit_b16):
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.random((2, 3, 64, 64))).float()
    P, end = clip_lit.start_prompts(vit_b16, "X", 16)
    assert P.shape == (2, 77, 512) and end == 17
    I = clip_lit.look(vit_b16, x)[0].detach()
    optimizer = torch.optim.Adam([P], lr=1e-3)
    clip_lit.first_prompts(vit_b16, P, end, optimizer, I[None, :1], I[None, 1:], 1, 4, rng)
    clip_lit.tune_prompts(vit_b16, P, end, optimizer, I[None, :1], [I[None, 1:]], I[None, 1:], 1, 2, rng)
    T, net = clip_lit.prompt_features(vit_b16, P, end).detach(), clip_lit.LightNet(32)
    terms = phase(clip_lit, vit_b16, net, x, T, layers=[0, 1, 2, 3, 4], w=[1, 1, 1, 1, 0.5])
    assert np.isfinite(terms).all() and not torch.equal(net.leave.bias, torch.ones(1))
    assert vit_b16.frozen and clip_lit.light_maps(net, x).shape == (2, 1, 64, 64)


@pytest.mark.slow
def test_the_notebook_runs_on_a_folder_of_photographs(tmp_path, workspace, tiny_folder):
    from lib import run

    rng = np.random.default_rng(0)
    for part, count in (("backlit", 8), ("well_lit", 8), ("val/input", 4), ("test/input", 4)):
        for name in (part, part.replace("input", "target")):
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        for k in range(count):
            lit = rng.integers(0, 256, (20, 24, 3)).astype(np.uint8)
            seen = lit if part == "well_lit" else lit // 3
            Image.fromarray(seen).save(tmp_path / "photos" / part / f"{k}.png")
            if "input" in part:
                Image.fromarray(lit).save(tmp_path / "photos" / part.replace("input", "target") / f"{k}.png")
    overrides = {"photos": str(tmp_path / "photos"), "encoder": str(tiny_folder), "size": 64, "layers": [0, 1]}
    overrides |= {"layer_weights": [1.0, 0.5], "prompt_length": 6, "net_steps": 1, "prompt_steps": 1, "first_steps": 2}
    overrides |= {"batch_size": 2, "prompt_batch": 4, "views": 1, "separable": 0.0}
    out = run.run("clip_lit", "smoke", in_process=True, overrides=overrides, quiet=True)
    document = json.loads((out / "claims.json").read_text())
    assert [each["name"].split("/")[0] for each in document["identity"]["data"]] == ["photos"] * 4
    assert all(claim["ours"]["n"] == 4 for claim in document["claims"])
