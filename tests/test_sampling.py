import numpy as np
import pytest
import torch
from PIL import Image

from lib import sampling


def draw(seed=0):
    return np.random.default_rng(seed)


class TestFewshot:
    labels = np.array([2, 0, 1, 0, 1, 2, 0, 1, 2, 0])

    def test_counts_and_order(self):
        chosen = sampling.fewshot(self.labels, 2, draw())
        assert self.labels[chosen].tolist() == [0, 0, 1, 1, 2, 2]
        assert len(set(chosen.tolist())) == 6

    def test_one_shot_lies_within_more_of_the_same_seed(self):
        for seed in range(20):
            one, three = sampling.fewshot(self.labels, 1, draw(seed)), sampling.fewshot(self.labels, 3, draw(seed))
            assert three.reshape(3, 3)[:, 0].tolist() == one.tolist()

    def test_every_example_is_drawn_equally_often(self):
        counts = np.bincount(np.concatenate([sampling.fewshot(self.labels, 1, draw(s)) for s in range(3000)]))
        assert np.allclose(counts[self.labels == 0] / 3000, 1 / 4, atol=0.04)  # 5 standard errors
        assert np.allclose(counts[self.labels == 1] / 3000, 1 / 3, atol=0.045)

    def test_all_of_a_class_and_too_many(self):
        assert sorted(sampling.fewshot(self.labels, 3, draw())[:3]) != []
        with pytest.raises(ValueError, match="class 1 has 3 examples, fewer than the 4 shots"):
            sampling.fewshot(self.labels, 4, draw())

    def test_wrong_input(self):
        for labels, shots in ((self.labels, 0), (self.labels[None], 1)):
            with pytest.raises(ValueError, match="one-dimensional and shots at least 1"):
                sampling.fewshot(labels, shots, draw())


@pytest.mark.parametrize(("count", "middle"), [(4, 2), (5, 3), (1, 1), (0, 0)])
def test_base_new_are_the_halves(count, middle):
    base, new = sampling.base_new(["x"] * count)
    assert base.tolist() == list(range(middle)) and new.tolist() == list(range(middle, count))


class TestAugment:
    images = draw(1).integers(0, 256, (6, 32, 32, 3), np.uint8)

    def test_views_depend_on_the_generator_alone(self):
        first, again = sampling.augment(self.images, draw()), sampling.augment(self.images, draw())
        assert first.dtype == np.uint8 and first.shape == self.images.shape
        assert np.array_equal(first, again)
        assert not np.array_equal(first, sampling.augment(self.images, draw(1)))
        torch.manual_seed(3)
        assert np.array_equal(first, sampling.augment(self.images, draw()))

    def test_first_views_do_not_depend_on_how_many_follow(self):
        assert np.array_equal(sampling.augment(self.images, draw())[:2], sampling.augment(self.images[:2], draw()))

    def test_whole_picture_without_flip_is_unchanged(self):
        views = sampling.augment(self.images, draw(), scale=(1, 1), ratio=(1, 1), flip=False)
        assert np.array_equal(views, self.images)

    def test_half_of_the_views_are_mirrored(self):
        many = np.repeat(self.images[:1], 400, axis=0)
        views = sampling.augment(many, draw(), scale=(1, 1), ratio=(1, 1))
        mirrored = (views == many[:, :, ::-1]).all(axis=(1, 2, 3))
        assert ((views == many).all(axis=(1, 2, 3)) ^ mirrored).all()
        assert 160 < mirrored.sum() < 240  # 4 standard errors

    def test_flip_changes_no_other_choice(self):
        plain, flipped = sampling.augment(self.images, draw(), flip=False), sampling.augment(self.images, draw())
        assert all(np.array_equal(a, b) or np.array_equal(a[:, ::-1], b) for a, b in zip(plain, flipped))

    def test_crops_keep_area_and_ratio(self):
        rng = draw()
        for _ in range(300):
            top, left, rows, columns = sampling._crop(
                64, 64, rng.random((10, 2)), rng.random(2), (0.5, 1), (0.75, 4 / 3)
            )
            assert 0 <= top <= 64 - rows and 0 <= left <= 64 - columns
            assert 0.48 < rows * columns / 64**2 <= 1 and 0.72 < columns / rows < 1.38  # rounding to pixels

    def test_a_crop_that_never_fits_is_the_largest_centred_one(self):
        tries = np.full((10, 2), 1.0)  # the whole area at the widest ratio
        assert sampling._crop(60, 60, tries, (0.5, 0.5), (0.5, 1), (0.75, 4 / 3)) == (0, 0, 60, 60)
        assert sampling._crop(30, 90, tries, (0.5, 0.5), (0.5, 1), (0.75, 4 / 3)) == (0, 25, 30, 40)

    @pytest.mark.parametrize("size", [13, 32])
    def test_view_equals_the_bicubic_of_pillow(self, size):
        """Both round after each direction; their fixed-point weights differ by one level at most."""
        crop = self.images[0, 3:27, 5:25]
        plain = np.asarray(Image.fromarray(crop).resize((size, size), Image.Resampling.BICUBIC)).astype(int)
        assert np.abs(sampling._resize(crop, size).astype(int) - plain).max() <= 1

    def test_size_and_rectangles(self):
        wide = draw().integers(0, 256, (2, 20, 40, 3), np.uint8)
        assert sampling.augment(wide, draw(), size=24).shape == (2, 24, 24, 3)
        with pytest.raises(ValueError, match="20 x 40 need a size"):
            sampling.augment(wide, draw())
        assert sampling.augment(self.images[:0], draw()).shape == (0, 32, 32, 3)

    @pytest.mark.parametrize(
        ("images", "options", "message"),
        [
            (images.astype(np.float32), {}, "uint8"),
            (images[0], {}, "uint8"),
            (images, {"scale": (0, 1)}, "must lie"),
            (images, {"scale": (0.9, 0.5)}, "must lie"),
            (images, {"ratio": (2, 1)}, "ratio"),
        ],
    )
    def test_wrong_input(self, images, options, message):
        with pytest.raises(ValueError, match=message):
            sampling.augment(images, draw(), **options)
