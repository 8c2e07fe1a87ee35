"""The shipped ssl: golden vectors, what it has learnt, encoders without texts, and the functions of its notebook."""

import numpy as np
import pytest
import torch
from cells import definitions

import lib
from lib import datasets, encoders, features, forward, hooks, optim, vision, weights
from lib.world import corpora
from lib.world.render import render

POOLED = [-0.752, -1.096, 0.189, 1.105, 0.046, -0.449]  # first entries of the class token and of a patch
PATCH = [-2.060, -1.359, -0.707, -0.340, 0.373, -1.814]
UNTRAINED = {"embed_dim": 128, "vision_cfg": encoders.small_config(0)["vision_cfg"]}
CONFIG = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16},
}


@pytest.fixture(scope="module")
def ssl():
    if not (lib.find("models/ssl") / weights.WEIGHTS).is_file():
        pytest.skip("models/ssl is not trained yet: python -m lib.run ssl")
    return encoders.load("models/ssl", device="cpu")


@pytest.fixture(scope="module")
def notebook():
    return definitions("ssl")


@pytest.fixture(scope="module")
def scenes():
    return np.stack([image for image, _, _ in corpora.stream("scenes/base", "golden", 0, 6)])


# ---- the shipped model


def test_golden_vectors(ssl, scenes):
    np.testing.assert_allclose(ssl.encode_images(scenes[:1], normalize=False)[0, :6], POOLED, atol=5e-3)
    with torch.inference_mode():
        patch = hooks.tokens(ssl, scenes[:1], norm=True).tokens[0, 27, :6]
    np.testing.assert_allclose(patch, PATCH, atol=5e-3)


def test_it_has_the_shape_of_vit_base_and_no_texts(ssl):
    tower = encoders.load("models/vit_base", device="cpu").model.visual
    ours = {name: tuple(p.shape) for name, p in ssl.model.visual.named_parameters()}
    assert ours == {name: tuple(p.shape) for name, p in tower.named_parameters() if name != "proj"}
    assert ssl.dim == 128 and ssl.image_size == 64 and ssl.context == 0 and ssl.frozen


def test_it_tells_instances_apart_better_than_clip_and_an_untrained_tower_do(ssl, notebook, tmp_path):
    specs = [corpora.example("scenes/base", "tests", index)[0] for index in range(60)]
    drawn = [render(spec) for spec in specs]
    images, inst = np.stack([d.image for d in drawn]), np.stack([d.inst for d in drawn])
    clip, untrained = encoders.load("models/vit_base", device="cpu"), encoders.create(UNTRAINED, 0)
    start = encoders.save(tmp_path / "start", untrained, UNTRAINED, encoders.PREPROCESS, None)
    others = {
        "untrained": notebook.value_features(encoders.load(str(start), device="cpu"), images),
        "CLIP": notebook.own_features(clip, images)["CLIP, value path"],
    }
    for kind in ("all", "objects"):
        pairs = notebook.patch_pairs(inst, kind)
        own = notebook.same_instance(notebook.value_features(ssl, images), pairs)
        assert own > notebook.same_instance(others["CLIP"], pairs) + 0.01
        if kind == "objects":  # over all pairs, an untrained tower does as well (the model card says so)
            assert own > notebook.same_instance(others["untrained"], pairs) + 0.02


# ---- encoders without a text tower


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "blind"
    encoders.save(folder, encoders.create(CONFIG, 3), CONFIG, encoders.PREPROCESS, None)
    return folder


def test_a_folder_without_texts_comes_back(small, scenes):
    encoder, model = encoders.load(str(small), device="cpu"), encoders.create(CONFIG, 3)
    assert isinstance(encoder.model, vision.ImageModel) and encoder.tokenizer is None
    found = encoder.encode_images(scenes, normalize=False)
    with torch.inference_mode():
        expected = model.eval().visual(encoder.pixels(scenes))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(encoder.encode_images(scenes), axis=1), 1, atol=1e-5)
    assert sorted(p.name for p in small.iterdir()) == [weights.CONFIG, weights.WEIGHTS]


def test_texts_are_refused(small):
    encoder = encoders.load(str(small), device="cpu")
    with pytest.raises(ValueError, match="blind has no text tower"):
        encoder.encode_texts(["a cat"])
    with pytest.raises(ValueError, match="no scale"):
        encoder.scale  # noqa: B018


def test_identity_follows_the_weights(small):
    encoder, other = encoders.load(str(small), device="cpu"), encoders.load(str(small), device="cpu")
    assert encoder.identity == other.identity and encoder.identity.startswith("blind@")
    with torch.no_grad():
        other.model.visual.class_embedding += 1
    assert encoder.identity != other.identity


def test_half_precision_costs_little(small, tmp_path, scenes):
    encoder = encoders.load(str(small), device="cpu")
    half = encoders.save(tmp_path / "half", encoder.model, CONFIG, encoders.PREPROCESS, None, half=True)
    loaded = encoders.load(str(half), device="cpu")
    assert all(p.dtype == torch.float32 for p in loaded.model.parameters())
    np.testing.assert_allclose(loaded.encode_images(scenes), encoder.encode_images(scenes), atol=3e-3)
    assert (half / weights.WEIGHTS).stat().st_size < 0.55 * (small / weights.WEIGHTS).stat().st_size


def test_hooks_and_the_feature_store_take_it(small, scenes, workspace, monkeypatch):
    encoder = encoders.load(str(small), device="cpu")
    tokens = hooks.tokens(encoder, scenes, norm=True)
    np.testing.assert_allclose(tokens.pooled.detach(), encoder.encode_images(scenes, normalize=False), atol=1e-5)
    assert tokens.tokens.shape == (6, 64, 32)
    corpus = datasets.Corpus("some", "val", "some/val@1", 6, {"image": lambda: scenes})
    stored = features.images(encoder, corpus)
    np.testing.assert_allclose(stored, encoder.encode_images(scenes), atol=1e-6)


def test_configs_that_are_not_plain_are_refused():
    odd = {"embed_dim": 32, "vision_cfg": CONFIG["vision_cfg"] | {"pool_type": "avg"}}
    with pytest.raises(ValueError, match="pool_type"):
        encoders.create(odd, 0)
    with pytest.raises(ValueError, match="embed_dim 16"):
        encoders.create(CONFIG | {"embed_dim": 16}, 0)


def test_wrong_weights_are_named(small, tmp_path):
    other = CONFIG | {"vision_cfg": CONFIG["vision_cfg"] | {"layers": 3}}
    folder = encoders.save(tmp_path / "other", encoders.create(CONFIG, 3), other, encoders.PREPROCESS, None)
    with pytest.raises(ValueError, match="weights do not fit"):
        encoders.load(str(folder), device="cpu")


# ---- views and masks


def test_masks_hide_the_drawn_share_in_blocks(notebook):
    rng = np.random.default_rng(0)
    masks = notebook.block_masks(200, 8, (0.25, 0.25), rng)
    assert masks.shape == (200, 64) and masks.dtype == bool and (masks.sum(1) == 16).all()
    grid = masks.reshape(-1, 8, 8)
    beside = (grid[:, :, 1:] & grid[:, :, :-1]).sum() / grid[:, :, 1:].sum()
    assert beside > 0.5  # of scattered patches a quarter would have a masked neighbour to the left
    shares = notebook.block_masks(300, 8, (0.2, 0.5), rng).mean(1)
    assert shares.min() >= 0.18 and shares.max() <= 0.52 and shares.std() > 0.05
    assert notebook.block_masks(2, 8, (0.0, 0.0), rng).sum() == 0


def test_views_have_their_sizes_and_differ(notebook, scenes):
    large, small = notebook.views(scenes, np.random.default_rng(1), (0.4, 1.0), (0.15, 0.4), 3, 0.25)
    assert large.shape == (2, 6, 64, 64, 3) and small.shape == (3, 6, 32, 32, 3) and large.dtype == np.uint8
    assert not np.array_equal(large[0], large[1])
    again, _ = notebook.views(scenes, np.random.default_rng(1), (0.4, 1.0), (0.15, 0.4), 3, 0.25)
    assert np.array_equal(large, again)
    _, none = notebook.views(scenes, np.random.default_rng(1), (0.4, 1.0), (0.15, 0.4), 0, 0.25)
    assert none.shape == (0, 6, 32, 32, 3)


def test_colour_jitter(notebook, scenes):
    assert np.array_equal(notebook.recoloured(scenes, 0.0, np.random.default_rng(0)), scenes)
    changed = notebook.recoloured(scenes, 0.3, np.random.default_rng(0))
    assert 2 < np.abs(changed.astype(int) - scenes).mean() < 60
    grey = np.full((4, 8, 8, 3), 120, np.uint8)
    one = notebook.recoloured(grey, 0.3, np.random.default_rng(0))
    assert (one == one[:, :1, :1, :1]).all()  # grey stays grey, and even


# ---- losses, centre, collapse


def test_the_entropy_of_equal_and_of_flat_distributions(notebook):
    logits = torch.tensor([[0.3, -0.1, 0.5, 0.0]])
    target = notebook.targets(logits, torch.zeros(4), 0.1)
    entropy = -(target * target.log()).sum()
    torch.testing.assert_close(notebook.entropy_between(target, logits, 0.1), entropy)
    flat = torch.full((3, 4), 0.25)
    assert float(notebook.entropy_between(flat, torch.zeros(3, 4), 0.1)) == pytest.approx(np.log(4))
    sure = torch.eye(4)
    expected = np.log(1 + 3 * np.exp(-10))
    assert float(notebook.entropy_between(sure, torch.eye(4), 0.1)) == pytest.approx(expected, rel=1e-3)


def test_targets_are_centred_and_sharpened(notebook):
    logits = torch.tensor([[0.5, 0.1], [0.5, 0.3]])
    even = notebook.targets(logits, torch.tensor([0.5, 0.2]), 0.1)
    torch.testing.assert_close(even, torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).mul(0.5).softmax(-1))
    shifted = notebook.targets(logits + 7, torch.tensor([0.5, 0.2]), 0.1)
    torch.testing.assert_close(even, shifted)
    assert notebook.confidence(notebook.targets(logits, torch.zeros(2), 0.02)) > notebook.confidence(even)


def test_the_class_loss_skips_the_crop_itself(notebook):
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, 5, 4, generator=generator).softmax(-1)
    logits = torch.rand(4, 5, 4, generator=generator)
    plain = [
        -(target[u, b] * torch.log_softmax(logits[v, b] / 0.2, -1)).sum()
        for u in range(2)
        for v in range(4)
        if u != v
        for b in range(5)
    ]
    torch.testing.assert_close(notebook.class_loss(target, logits, 0.2), torch.stack(plain).mean())
    changed = logits.clone()
    changed[0] += 1 * torch.arange(4)
    one_crop = notebook.class_loss(target[:1], logits[:1].repeat(2, 1, 1), 0.2)
    other = notebook.class_loss(target[:1], torch.stack([changed[0], logits[0]]), 0.2)
    torch.testing.assert_close(one_crop, other)  # the student's own view of the only target crop does not count


def test_the_centre_is_a_running_mean(notebook):
    logits = torch.arange(12.0).reshape(2, 3, 2)
    torch.testing.assert_close(notebook.moved(torch.zeros(2), logits, 0.9), torch.tensor([0.5, 0.6]))
    torch.testing.assert_close(notebook.moved(torch.ones(2), logits, 0.0), torch.tensor([5.0, 6.0]))
    by_place = notebook.moved(torch.zeros(3, 2), logits, 0.0)
    torch.testing.assert_close(by_place, torch.tensor([[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]))


def test_a_code_of_places_says_nothing_once_it_is_centred(notebook):
    places = torch.eye(4).expand(10, 4, 4)  # patch i of every picture takes prototype i
    centre = notebook.moved(torch.zeros(4, 4), places, 0.0)
    torch.testing.assert_close(notebook.targets(places, centre, 0.05), torch.full((10, 4, 4), 0.25))
    for one in (torch.zeros(4), notebook.moved(torch.zeros(4), places, 0.0)):  # a common centre leaves it as it is
        assert notebook.confidence(notebook.targets(places, one, 0.05)) > 0.99


def test_collapse_is_seen(notebook):
    one = torch.zeros(10, 8)
    one[:, 3] = 1
    assert notebook.prototypes_in_use(one) == pytest.approx(1.0) and notebook.confidence(one) == 1.0
    assert notebook.prototypes_in_use(torch.eye(8)) == pytest.approx(8.0)
    flat = torch.full((10, 8), 1 / 8)
    assert notebook.prototypes_in_use(flat) == pytest.approx(8.0, rel=1e-4) and notebook.confidence(flat) == 1 / 8


# ---- student, teacher, a step


@pytest.fixture
def pair(notebook):
    torch.manual_seed(0)
    student = notebook.Distilled(encoders.create(CONFIG, 3), 16, hidden=24, bottleneck=8).train()
    return student, notebook.ema.teacher(student)


RULES = {
    "precision": "float32",
    "student_temperature": 0.1,
    "teacher_temperature": 0.05,
    "patch_weight": 1.0,
    "centre_momentum": 0.9,
}


def test_masked_patches_are_not_seen(notebook, pair, scenes):
    student, _ = pair
    pixels, masks = notebook.to_pixels(scenes, torch.device("cpu")), torch.zeros(6, 64, dtype=torch.bool)
    masks[:, [3, 40]] = True
    changed = pixels.clone()
    changed[:, :, 0:8, 24:32] += 1.0  # patch 3
    with torch.no_grad():
        torch.testing.assert_close(student.tokens(pixels, masks), student.tokens(changed, masks))
        assert (student.tokens(pixels) - student.tokens(changed)).abs().max() > 1e-3
        unmasked = student.tokens(pixels, torch.zeros_like(masks))
        torch.testing.assert_close(unmasked, student.tokens(pixels))
        np.testing.assert_allclose(unmasked[:, 0], student.tower.encode_image(pixels), atol=1e-5)


def test_pixels_are_normalised_as_encoders_do(notebook, small, scenes):
    encoder = encoders.load(str(small), device="cpu")
    torch.testing.assert_close(notebook.to_pixels(scenes, torch.device("cpu")), encoder.pixels(scenes))


def test_logits_are_cosines(pair):
    student, _ = pair
    logits = student.logits(torch.randn(5, 7, 32))
    assert logits.shape == (5, 7, 16) and logits.abs().max() <= 1 + 1e-5


def test_a_step_changes_the_student_alone_and_lowers_the_loss(notebook, pair, scenes):
    student, teacher = pair
    optimizer = optim.adamw(student, 3e-3, 0.0)
    rng = np.random.default_rng(0)
    large, small = notebook.views(scenes, rng, (0.6, 1.0), (0.3, 0.5), 1, 0.2)
    masks = torch.as_tensor(notebook.block_masks(12, 8, (0.3, 0.3), rng).reshape(2, 6, 64))
    before, centres, sums = [p.clone() for p in teacher.parameters()], (torch.zeros(16), torch.zeros(64, 16)), []
    for _ in range(10):
        terms, moved, target = notebook.train_step(student, teacher, optimizer, centres, large, small, masks, RULES)
        sums.append(sum(terms))
    assert sums[-1] < sums[0] - 0.05
    assert all(torch.equal(a, b) for a, b in zip(before, teacher.parameters()))
    assert target.shape == (2, 6, 16) and not target.requires_grad and moved[0].abs().sum() > 0


def test_without_the_patch_term_masks_still_hide(notebook, pair, scenes):
    student, teacher = pair
    rng = np.random.default_rng(0)
    large, small = notebook.views(scenes, rng, (0.6, 1.0), (0.3, 0.5), 0, 0.2)
    masks = torch.as_tensor(notebook.block_masks(12, 8, (0.3, 0.3), rng).reshape(2, 6, 64))
    optimizer = optim.adamw(student, 0.0, 0.0)
    rules = RULES | {"patch_weight": 0.0}
    notebook.train_step(student, teacher, optimizer, (torch.zeros(16), torch.zeros(64, 16)), large, small, masks, rules)
    assert student.mask_token.grad.abs().sum() > 0  # through the class token


def test_small_crops_use_interpolated_positions(notebook, pair, scenes):
    student, _ = pair
    states = student.tokens(notebook.to_pixels(scenes[:, :32, :32], torch.device("cpu")))
    assert states.shape == (6, 17, 32)
    assert forward.image_positions(student.tower, (4, 4)).shape == (17, 32)


def test_training_stops_at_a_loss_that_is_not_finite(notebook, pair, scenes):
    student, teacher = pair
    rng = np.random.default_rng(0)
    large, small = notebook.views(scenes, rng, (0.6, 1.0), (0.3, 0.5), 1, 0.2)
    masks = torch.as_tensor(notebook.block_masks(12, 8, (0.3, 0.3), rng).reshape(2, 6, 64))
    optimizer, centres = optim.adamw(student, 1e-3, 0.05), (torch.zeros(16), torch.zeros(64, 16))
    with torch.no_grad():
        student.mask_token[0] = torch.nan
    before = student.prototypes.clone()
    with pytest.raises(ValueError, match="nan"):
        notebook.train_step(student, teacher, optimizer, centres, large, small, masks, RULES)
    assert torch.equal(before, student.prototypes)  # no step was made


def test_an_interrupted_training_goes_on_as_it_would_have(notebook, scenes, tmp_path, monkeypatch):
    drawn = [(image, None, None) for image in scenes[:2]]
    monkeypatch.setattr(notebook.corpora, "stream", lambda name, split, first, last: drawn[: last - first])
    rules = dict(global_scale=(0.6, 1.0), local_scale=(0.3, 0.5), local_crops=1, jitter=0.2)

    def started():
        torch.manual_seed(0)
        student = notebook.Distilled(encoders.create(CONFIG, 3), 16, hidden=24, bottleneck=8).train()
        return student, notebook.ema.teacher(student), optim.adamw(student, 1e-3, 0.05)

    def steps(first, last, student, teacher, optimizer, centres):
        for large, small, masks in notebook.Views(first, last, 2, 7, (0.2, 0.5), **rules):
            found = notebook.train_step(
                student, teacher, optimizer, centres, large, small, torch.as_tensor(masks), RULES
            )
            notebook.ema.update(teacher, student, 0.9)
            centres = found[1]
        return centres

    blank = (torch.zeros(16), torch.zeros(64, 16))
    whole = started()
    centres = steps(0, 2, *whole, blank)
    notebook.save_checkpoint(tmp_path / "c.pt", *whole, centres, 2, [])
    centres = steps(2, 4, *whole, centres)
    again = started()
    found, step, _ = notebook.load_checkpoint(tmp_path / "c.pt", *again, blank)
    assert step == 2
    found = steps(step, 4, *again, found)
    assert all(map(torch.equal, found, centres))
    for ours, theirs in zip(whole[:2], again[:2]):
        assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values()))


def test_checkpoints_restore_all_of_it(notebook, pair, tmp_path):
    student, teacher = pair
    optimizer = optim.adamw(student, 1e-3, 0.05)
    student.logits(torch.randn(3, 32)).sum().backward()
    optimizer.step()
    centres = (torch.arange(16.0), torch.ones(64, 16))
    notebook.save_checkpoint(tmp_path / "c.pt", student, teacher, optimizer, centres, 7, [{"samples": 448}])
    other = notebook.Distilled(encoders.create(CONFIG, 5), 16, hidden=24, bottleneck=8)
    follower = notebook.ema.teacher(other)
    fresh = optim.adamw(other, 1e-3, 0.05)
    found, step, history = notebook.load_checkpoint(tmp_path / "c.pt", other, follower, fresh, (torch.zeros(16),) * 2)
    assert step == 7 and history == [{"samples": 448}] and all(map(torch.equal, found, centres))
    for ours, theirs in ((student, other), (teacher, follower)):
        assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values()))
    assert notebook.load_checkpoint(tmp_path / "none.pt", other, follower, fresh, centres) == (centres, 0, [])


# ---- affinities and probes


def test_affinities_of_perfect_and_of_equal_features(notebook):
    inst = np.zeros((2, 64, 64), np.uint8)
    inst[0, :32, :32], inst[1, 16:40, 16:40] = 1, 2
    pairs = notebook.patch_pairs(inst)
    assert pairs[0].shape == (2, 64 * 63 // 2)
    labels = inst[:, 4::8, 4::8].reshape(2, 64)
    perfect = np.eye(3)[labels]
    assert notebook.same_instance(perfect, pairs) == 1.0
    assert notebook.same_instance(np.ones((2, 64, 4)), pairs) == 0.5
    keep, same = notebook.patch_pairs(inst, "objects")
    assert keep.sum() == 16 * 15 // 2 + 9 * 8 // 2 and same[keep].all()


def test_patches_on_a_border_do_not_count(notebook):
    inst = np.zeros((1, 64, 64), np.uint8)
    inst[0, :4] = 1  # half of the first row of patches
    keep, _ = notebook.patch_pairs(inst)
    assert keep.sum() == 56 * 55 // 2


def test_value_features_are_the_last_blocks_values(notebook, small, scenes):
    encoder = encoders.load(str(small), device="cpu")
    found = notebook.value_features(encoder, scenes)
    assert found.shape == (6, 64, 32) and found.dtype == np.float32
    block = encoder.model.visual.transformer.resblocks[1]
    with torch.inference_mode():
        entering = hooks.states(encoder, scenes, 0)
        weight, bias = block.attn.in_proj_weight[64:], block.attn.in_proj_bias[64:]
        expected = torch.nn.functional.linear(block.ln_1(entering), weight, bias)[:, 1:]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert notebook.value_features(encoder, scenes, 0).shape == (6, 64, 32)


def test_clips_own_features(notebook, scenes):
    clip = encoders.load("models/vit_base", device="cpu")
    found = notebook.own_features(clip, scenes)
    assert {one.shape for one in found.values()} == {(6, 64, 128)}
    block, caught = clip.model.visual.transformer.resblocks[-3], []
    handle = block.ln_2.register_forward_hook(lambda module, given, result: caught.append(result))
    clip.encode_images(scenes)
    handle.remove()
    np.testing.assert_allclose(found["CLIP, ln_2 of block -3"], caught[0][:, 1:], atol=1e-4)


def test_mean_colours(notebook):
    image = np.zeros((1, 64, 64, 3), np.uint8)
    image[0, 8:16, :8] = (255, 0, 51)
    found = notebook.mean_colours(image)
    np.testing.assert_allclose(found[0, 8], [0.5, -0.5, -0.3], atol=1e-6)
    np.testing.assert_allclose(found[0, 0], -0.5)


def test_pooled_features(notebook, small, scenes):
    encoder = encoders.load(str(small), device="cpu")
    first, patches = notebook.pooled(encoder, scenes)
    np.testing.assert_allclose(first, encoder.encode_images(scenes, normalize=False), atol=1e-5)
    with torch.inference_mode():
        expected = hooks.tokens(encoder, scenes, norm=True).tokens.mean(1)
    np.testing.assert_allclose(patches, expected, atol=1e-5)


def test_a_probe_finds_what_is_linear(notebook):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 240)
    rows = np.eye(3)[labels] @ rng.normal(size=(3, 10)) + 0.2 * rng.normal(size=(240, 10))
    predicted = notebook.linear_probe(rows[:160] * 1000, labels[:160], rows[160:] * 1000, (0.003, 0.03, 0.3))
    assert (predicted == labels[160:]).mean() > 0.95
    noise = notebook.linear_probe(rng.normal(size=(160, 10)), labels[:160], rng.normal(size=(80, 10)), (0.03,))
    assert (noise == labels[160:]).mean() < 0.6


def test_a_probe_chooses_its_penalty_where_labels_come_in_turn(notebook):
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1, 2, 1, 1], 60)  # every fifth picture shows the same class
    rows = np.eye(3)[labels] @ rng.normal(size=(3, 8)) + 0.3 * rng.normal(size=(300, 8))
    weak, chosen = (notebook.linear_probe(rows[:200], labels[:200], rows[200:], p) for p in ((1e-6,), (1e-6, 1.0)))
    assert (weak == 1).all() and (chosen == labels[200:]).mean() > 0.9
