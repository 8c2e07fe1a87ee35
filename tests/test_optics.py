"""Backlight, camera, corruptions and clutter: identity, exactness, monotone strength, fixed bytes."""

import hashlib

import numpy as np
import pytest

from lib.world import clutter, optics
from lib.world.spec import Camera, Corruption, Light

GOLDEN = {
    "corrupt": "4a65043cad9bd52d",
    "view": "4962aa8e6a93c1a4",
    "light": "13b65242969223e4",
    "clutter": "5f8688020cfd8afe",
}


def picture(seed=0):
    """A smooth scene with a striped square on it, its instance mask and depth."""
    noise = np.random.default_rng(seed)
    image = np.stack([optics.smooth(noise, (5, 5), 40, 220) for _ in range(3)], -1)
    inst = np.zeros((64, 64), np.uint8)
    top, left = noise.integers(6, 30, 2)
    inst[top : top + 26, left : left + 22] = 1
    stripes = np.where((np.arange(64) // 3 % 2 == 0)[:, None, None], (214, 48, 44), (240, 240, 236))  # level bars
    image = np.where(inst[..., None] > 0, stripes, image)
    depth = np.where(inst > 0, 0.25, np.linspace(1, 11 / 12, 64)[:, None]).astype(np.float32)
    return image.astype(np.uint8), inst, depth


def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()[:16]


def error(image, kind, strength, depth):
    spoilt = optics.corrupt(image, Corruption(kind, strength, 3), depth)
    assert spoilt.dtype == np.uint8 and spoilt.shape == image.shape
    return np.abs(spoilt.astype(int) - image).mean()


@pytest.mark.parametrize("kind", optics.KINDS)
def test_strength_zero_changes_nothing_and_more_strength_more_error(kind):
    scenes = [picture(seed) for seed in range(6)]
    image, _, depth = scenes[0]
    assert optics.corrupt(image, Corruption(kind, 0.0, 3), depth) is image
    errors = [np.mean([error(i, kind, s, d) for i, _, d in scenes]) for s in (0.1, 0.25, 0.4, 0.6, 0.8, 1.0)]
    assert errors[0] > 0 and (np.diff(errors) > 0).all() and errors[-1] > 1


@pytest.mark.parametrize(("kind", "plain"), [("depth_blur", "blur"), ("depth_blur_near", "blur"), ("depth_fog", "fog")])
def test_constant_depth_gives_the_ordinary_corruption(kind, plain):
    image, _, _ = picture()
    flat = np.full((64, 64), 0.6, np.float32)
    for strength in (0.2, 0.5, 0.9):
        expected = optics.corrupt(image, Corruption(plain, strength, 3))
        assert np.array_equal(optics.corrupt(image, Corruption(kind, strength, 3), flat), expected)


def test_depth_says_what_is_spoilt_most():
    image, inst, depth = picture()
    change = {k: optics.corrupt(image, Corruption(k, 0.7, 3), depth).astype(int) - image for k in optics.DEPTH_KINDS}
    noisy = {k: np.abs(v).mean(-1) for k, v in change.items()}
    inner = np.zeros_like(inst, bool)
    rows, columns = np.nonzero(inst)
    inner[rows.min() + 6 : rows.max() - 5, columns.min() + 6 : columns.max() - 5] = True
    assert noisy["depth_blur"][inner].mean() < 0.3 * noisy["depth_blur_near"][inner].mean()
    grey = np.full((64, 64, 3), 60, np.uint8)
    fog = optics.corrupt(grey, Corruption("depth_fog", 0.7, 3), depth)[..., 0]
    assert fog[inner].max() < fog[inst == 0].min()
    assert not change["depth_motion"][8 + rows.min() : rows.max() - 8, columns.min() + 9 : columns.max() - 8].any()


def test_blur_keeps_the_mean_and_jpeg_keeps_flat_blocks():
    image, _, _ = picture()
    blurred = optics.corrupt(image, Corruption("blur", 0.6))
    assert abs(blurred.mean() - image.mean()) < 1
    flat = np.full((64, 64, 3), 128, np.uint8)
    assert np.abs(optics.corrupt(flat, Corruption("jpeg", 1.0)).astype(int) - 128).max() <= 2
    fine = optics.corrupt(image, Corruption("jpeg", 0.004)).astype(int) - image
    assert np.abs(fine).mean() < 4


def test_refused_corruptions_name_the_value_and_the_fix():
    image, _, _ = picture()
    with pytest.raises(ValueError, match="'snow'.*noise, blur"):
        optics.corrupt(image, Corruption("snow", 0.5))
    with pytest.raises(ValueError, match=r"1\.5 of blur"):
        optics.corrupt(image, Corruption("blur", 1.5))
    with pytest.raises(ValueError, match="layer 'depth'"):
        optics.corrupt(image, Corruption("depth_fog", 0.5))
    with pytest.raises(ValueError, match="negative"):
        clutter.draw(image.astype(np.int32), -1, np.random.default_rng(0))


def test_backlight_darkens_the_objects_and_nothing_far_from_them():
    for seed in range(30):
        _, inst, _ = picture(seed)
        assert (optics.light_map(Light(), inst) == 256).all()
        for share in (0.6, 0.75, 0.85):
            factors = optics.light_map(Light(backlit=share, noise=seed), inst) / 256
            assert factors.dtype == float and np.abs(factors[inst > 0] - (1 - share)).max() < 0.065
            assert factors[inst == 0].max() <= 1.2 and factors.min() > 0
            assert (factors > 0.88).mean() > 0.15
    with pytest.raises(ValueError, match="outside"):
        optics.light_map(Light(backlit=1.0), inst)


def test_backlit_regions_differ_in_shape():
    _, inst, _ = picture(1)
    dark = [optics.light_map(Light(backlit=0.7, noise=n), inst) < 160 for n in range(20)]
    assert len({d.tobytes() for d in dark}) == 20
    assert np.std([d.sum() for d in dark]) > 40


def test_a_default_camera_returns_its_input():
    arrays = {"image": picture()[0]}
    assert optics.view(arrays, Camera()) is arrays


def test_a_shifted_camera_shows_the_neighbouring_pixels():
    image, inst, depth = picture()
    seen = optics.view({"image": image, "inst": inst, "depth": depth, "region": (inst > 0)[None]}, Camera(dx=3, dy=-2))
    for key, whole in (("image", image), ("inst", inst), ("depth", depth)):
        assert np.array_equal(seen[key][2:, :61], whole[:62, 3:]) and seen[key].dtype == whole.dtype
    assert np.array_equal(seen["region"][0], seen["inst"] > 0)
    corners = ((3 / 64, -2 / 64),) * 4
    assert np.array_equal(optics.view({"image": image}, Camera(tilt=corners))["image"], seen["image"])


def test_zoom_and_tilt_keep_layers_together():
    for seed in range(8):
        _, inst, depth = picture(seed)
        marked = np.repeat((inst * 200)[..., None], 3, -1)
        tilt = tuple(map(tuple, np.random.default_rng(seed).uniform(-0.08, 0.08, (4, 2))))
        for camera in (Camera(zoom=1.25), Camera(zoom=0.85, dx=2), Camera(dx=-4, tilt=tilt)):
            seen = optics.view({"image": marked, "inst": inst, "depth": depth}, camera)
            wrong = (seen["image"][..., 0] > 100) != (seen["inst"] > 0)
            assert wrong.mean() < 0.02 and set(np.unique(seen["inst"])) <= {0, 1}
            assert np.array_equal(seen["depth"] == 0.25, seen["inst"] > 0)
    area = (optics.view({"inst": inst}, Camera(zoom=1.25))["inst"] > 0).sum()
    assert 1.2 < area / (inst > 0).sum() < 1.6


def test_refused_cameras_say_why():
    arrays = {"image": picture()[0]}
    with pytest.raises(ValueError, match="not positive"):
        optics.view(arrays, Camera(zoom=0))
    with pytest.raises(ValueError, match="four"):
        optics.view(arrays, Camera(tilt=((0, 0), (0, 0))))
    with pytest.raises(ValueError, match="'boxes'"):
        optics.view(arrays | {"boxes": np.zeros((2, 4))}, Camera(dx=1))


def test_homographies_meet_their_corners_and_have_inverses():
    corners = ((0.1, 0.0), (0.9, 0.1), (1.0, 0.8), (-0.1, 1.1))
    matrix = optics.quad_map(corners)
    for (u, v), (x, y) in zip(((0, 0), (1, 0), (1, 1), (0, 1)), corners):
        bottom = matrix[6] * u + matrix[7] * v + 1
        found = (
            (matrix[0] * u + matrix[1] * v + matrix[2]) / bottom,
            (matrix[3] * u + matrix[4] * v + matrix[5]) / bottom,
        )
        assert np.allclose(found, (x, y))
    product = np.reshape(optics.inverse(matrix), (3, 3)) @ np.reshape(matrix, (3, 3))
    assert np.allclose(product / product[2, 2], np.eye(3))
    with pytest.raises(ValueError, match="no quadrilateral"):
        optics.quad_map(((0, 0), (1, 0), (2, 0), (3, 0)))


def test_wire_prints_are_grey_differ_and_keep_the_scene():
    image, _, _ = picture()
    prints = [optics.wire(image, n) for n in range(6)]
    assert all((p[..., 0] == p[..., 1]).all() for p in prints) and len({p.tobytes() for p in prints}) == 6
    grey = [p.reshape(8, 8, 8, 8, 3).mean((1, 3, 4)).ravel() for p in (*prints, image)]
    assert min(np.corrcoef(grey)[:6, 6]) > 0.5


def test_clutter_is_nested_and_stays_within_its_mask():
    ground = np.full((64, 64, 3), 150, np.int32)
    few, many, masked, none = (ground.copy() for _ in range(4))
    mask = np.zeros((64, 64), bool)
    mask[20:40, 10:50] = True
    clutter.draw(few, 4, np.random.default_rng(5))
    clutter.draw(many, 9, np.random.default_rng(5))
    clutter.draw(masked, 30, np.random.default_rng(5), mask)
    clutter.draw(none, 0, np.random.default_rng(5))
    assert np.array_equal(none, ground) and (masked == ground)[~mask].all() and (masked != ground)[mask].any()
    assert ((many != ground).any(-1).sum() > (few != ground).any(-1).sum()) and many.min() >= 0 and many.max() <= 255


def test_optics_have_the_golden_bytes():
    image, inst, depth = picture(2)
    ground = np.full((64, 64, 3), 150, np.int32)
    clutter.draw(ground, 12, np.random.Generator(np.random.PCG64(1)))
    tilt = ((0.05, 0.02), (-0.03, 0), (0, 0.04), (0.02, -0.06))
    found = {
        "corrupt": digest(
            *(optics.corrupt(image, Corruption(k, s, 5), depth) for k in optics.KINDS for s in (0.3, 0.8))
        ),
        "view": digest(*optics.view({"image": image, "inst": inst}, Camera(1.5, -2, 1.1, tilt)).values()),
        "light": digest(*(optics.light_map(Light(backlit=0.7, noise=n), inst) for n in range(5))),
        "clutter": digest(ground, optics.wire(image, 7)),
    }
    assert found == GOLDEN
