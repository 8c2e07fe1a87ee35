"""The shipped vit_base: golden vectors, what it has learnt, and the functions of its training notebook."""

import numpy as np
import pytest
import torch
from cells import definitions

from lib import encoders, losses, optim
from lib.world import corpora, grammar, presets
from lib.world.spec import Background, Light, Object, Spec

IMAGE = [0.0896, 0.0682, 0.0622, -0.1183, 0.0253, -0.0058]  # first entries of two embeddings
TEXT = [-0.0033, 0.0904, 0.0747, -0.0120, -0.1489, -0.0646]


@pytest.fixture(scope="module")
def encoder():
    return encoders.load("models/vit_base")


@pytest.fixture(scope="module")
def notebook():
    return definitions("vit_base")


def test_golden_vectors(encoder):
    image, _, _ = next(corpora.stream("scenes/base", "golden", 0, 1))
    np.testing.assert_allclose(encoder.encode_images(image[None])[0, :6], IMAGE, atol=2e-3)
    np.testing.assert_allclose(encoder.encode_texts(["a picture of a red cat"])[0, :6], TEXT, atol=2e-3)
    assert encoder.image_size == 64 and encoder.dim == 128 and encoder.context == 32


def test_it_is_the_architecture_that_notebooks_rely_on(encoder):
    assert len(encoder.model.visual.transformer.resblocks) == 6 and len(encoder.model.transformer.resblocks) == 3
    assert encoder.model.positional_embedding.shape == (32, 128) and encoder.model.visual.class_embedding.shape == (
        128,
    )
    assert sum(p.numel() for p in encoder.model.parameters()) < 2.2e6


def test_it_tells_shapes_apart(encoder, notebook):
    images, specs = notebook.factor_scenes("tests", 300)
    accuracy, count = notebook.class_accuracy(encoder, images, specs, list(presets.solid_classes()))
    assert count > 150 and accuracy > 0.5  # 66 classes; the model card has the measured value
    colours, options = notebook.ability(encoder, "colour", 120)
    assert options == 11 and colours.mean() > 0.35


def test_easy_scenes_fade_out(notebook):
    shares = [notebook.easy_share(index, 100, 300) for index in (0, 100, 200, 300, 10**6)]
    assert shares == [1.0, 1.0, 0.5, 0.0, 0.0]
    busy = Spec(
        (Object("cat", radius=8.0, x=0.02, y=0.9, angle=97.0), Object("sun")), Background(), Light(0.3, word="dark")
    )
    easy = notebook.simplify(busy)
    assert [thing.name for thing in easy.objects] == ["cat"] and easy.light == Light()
    assert easy.objects[0].radius == 15.0 and abs(easy.objects[0].angle) <= 45
    assert 0.2 < easy.objects[0].x < 0.8 and easy.background == busy.background


@pytest.mark.parametrize("factor", ["colour", "fill", "size", "position", "orientation", "background", "style"])
def test_variants_differ_in_one_factor_and_hold_the_truth(notebook, factor):
    spec = presets.sample("scenes/base", np.random.default_rng(4), num_objects={1: 1.0}, same_class=0.0)
    others, true = notebook.variants(spec, factor)
    assert len({other.to_json() for other in others}) == len(others) > true
    mention = dict.fromkeys(grammar.MENTION, 0.0) | {"class": 1.0, factor: 1.0}
    texts = [
        grammar.caption(other, "short", np.random.default_rng(0), mention=mention).text for other in [spec, *others]
    ]
    assert texts[0] == texts[1 + true]


def test_a_training_step_lowers_the_loss_and_resumes(notebook, tiny_encoder, tmp_path):

    encoder = tiny_encoder.copy()
    model = encoder.model.train()
    optimizer = optim.adamw(model, 1e-3, 0.1)
    image = np.stack([i for i, _, _ in corpora.stream("scenes/base", "step", 0, 8)])
    side = encoder.image_size
    pixels = torch.nn.functional.interpolate(torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255, side)
    texts = [f"a picture of a {name}" for name in ("cat", "cow", "sun", "cup", "gear", "flag", "urn", "skull")]
    tokens, same = encoder.tokenizer(texts), losses.same(texts)
    cpu = torch.device("cpu")
    values = [notebook.train_step(model, optimizer, pixels, tokens, same, cpu, "float32") for _ in range(12)]
    assert values[-1] < values[0] - 0.1
    notebook.save_checkpoint(tmp_path / "checkpoint.pt", model, optimizer, 12, [{"loss": values[-1]}])
    other = tiny_encoder.copy().model
    again = optim.adamw(other, 1e-3, 0.1)
    assert notebook.load_checkpoint(tmp_path / "checkpoint.pt", other, again) == (12, [{"loss": values[-1]}])
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values()))
    assert notebook.load_checkpoint(tmp_path / "none.pt", other, again) == (0, [])
