"""The method cells of notebooks/adaptation/gda.ipynb: the card's checks, its traps, and plain loops as references."""

import json

import numpy as np
import pytest
from cells import definitions
from examples import unit

from lib import datasets
from lib.metrics import accuracy_each

ALPHAS = [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0]


@pytest.fixture(scope="module")
def gda():
    return definitions("gda")


def clouds(C=4, per_class=12, D=6, nuisance=1.0, seed=0):
    """Unit features X (N, D) of balanced classes with labels y; the first axis is loud and says nothing of them."""
    rng = np.random.default_rng(seed)
    centres, y = rng.normal(size=(C, D)), np.repeat(np.arange(C), per_class)
    X = centres[y] + 0.4 * rng.normal(size=(len(y), D))
    X[:, 0] += nuisance * rng.normal(size=len(y))
    return unit(X), y


def a_draw(gda, C=4, K=3, A=2, D=6, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(C, D))
    labels = np.repeat(np.arange(C), 8)

    def features(y, *shape):
        return centres[y].reshape(len(y), *[1] * len(shape), D) + 0.7 * rng.normal(size=(len(y), *shape, D))

    val, test = np.repeat(np.arange(C), 6), np.repeat(np.arange(C), 25)
    T = unit(centres + 0.8 * rng.normal(size=(C, D)))
    data = gda.Data(features(labels, A), labels, unit(features(val)), val, unit(features(test)), test, T, 100.0)
    return data, gda.draw_shots(data, K, seed)


# the card's checks


def test_kubokawa_srivastava_is_ridge_shrinkage(gda):
    X, y = clouds(C=4, per_class=5)
    S = gda.shared_covariance(X, y, gda.class_means(X, y, 4))
    N, D = X.shape
    assert (N, D) == (20, 6)
    lam = gda.ks_lambda(N, D)
    assert lam == pytest.approx(0.24)
    assert gda.ks_lambda(16000, 512) == pytest.approx(0.031, abs=5e-4)
    np.testing.assert_allclose(gda.ks_precision(S, N), lam * gda.shrunk_precision(S, lam), rtol=1e-10)
    np.testing.assert_allclose(gda.ks_precision(S, N), D * np.linalg.pinv((N - 1) * S + np.trace(S) * np.eye(D)))


def test_full_shrinkage_is_nearest_class_mean(gda):
    X, y = clouds()
    mu = gda.class_means(X, y, 4)
    P = gda.shrunk_precision(gda.shared_covariance(X, y, mu), 1.0)
    np.testing.assert_allclose(P, P[0, 0] * np.eye(6), atol=1e-9 * P[0, 0])
    W, b = gda.gaussian_head(mu, P)
    f, _ = clouds(seed=1)
    distance = ((f[:, None] - mu) ** 2).sum(axis=-1)
    np.testing.assert_array_equal(np.argsort(-(f @ W + b), axis=1), np.argsort(distance, axis=1))


def test_scaling_the_precision_is_scaling_alpha(gda):
    X, y = clouds()
    mu = gda.class_means(X, y, 4)
    P = gda.ks_precision(gda.shared_covariance(X, y, mu), len(X))
    f, _ = clouds(seed=1)
    text_logits = 100 * f @ unit(np.random.default_rng(2).normal(size=(4, 6))).T

    def guess(P, alpha):
        W, b = gda.gaussian_head(mu, P)
        return np.argmax(text_logits + alpha * (f @ W + b), axis=1)

    assert (guess(P, 35.0) != np.argmax(text_logits, axis=1)).any()
    np.testing.assert_array_equal(guess(7 * P, 5.0), guess(P, 35.0))


def test_equals_linear_discriminant_analysis_of_sklearn(gda):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    X, y = clouds(per_class=10)
    mu, lam = gda.class_means(X, y, 4), gda.ks_lambda(*X.shape)
    W, b = gda.gaussian_head(mu, gda.ks_precision(gda.shared_covariance(X, y, mu), len(X)))
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=lam, priors=np.full(4, 0.25)).fit(X, y)
    f, labels = clouds(seed=3, per_class=200)
    guess = np.argmax(f @ W + b, axis=1)
    np.testing.assert_array_equal(guess, theirs.predict(f))
    assert 0.5 < (guess == labels).mean() < 1


def test_two_classes_by_hand(gda):
    mu, x = np.eye(2), np.array([0.6, 0.55])
    W, b = gda.gaussian_head(mu, np.linalg.inv(np.diag([2.0, 0.5])))
    np.testing.assert_allclose(x @ W + b - np.log(0.5), [0.05, 0.10], atol=1e-12)
    assert np.argmin(((x - mu) ** 2).sum(axis=1)) == 0 and np.argmax(x @ W + b) == 1


def test_vanishing_alpha_is_zero_shot_and_rotation_changes_nothing(gda):
    data, draw = a_draw(gda)
    scores, alpha = gda.gda(draw, [1e-12])
    assert alpha == 1e-12
    np.testing.assert_array_equal(np.argmax(scores, 1), np.argmax(draw.test @ draw.T.T, 1))
    Q = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    turned = gda.Draw(
        draw.X @ Q,
        draw.y,
        draw.F @ Q,
        draw.F_labels,
        draw.val @ Q,
        draw.val_labels,
        draw.test @ Q,
        draw.T @ Q,
        draw.scale,
    )
    for arm in (gda.gda, gda.gda_pinv, gda.nearest_mean):
        np.testing.assert_allclose(arm(turned, ALPHAS)[0], arm(draw, ALPHAS)[0], rtol=1e-6, atol=1e-6)


# traps


def test_divisor_is_n_minus_1_and_centring_again_changes_nothing(gda):
    X, y = clouds()
    mu = gda.class_means(X, y, 4)
    S = gda.shared_covariance(X, y, mu)
    R = X - mu[y]
    np.testing.assert_allclose(S, np.cov(R, rowvar=False), rtol=1e-10)
    np.testing.assert_allclose(S * (len(X) - 1), R.T @ R)


def test_means_are_not_normalised_again(gda):
    X, y = clouds()
    mu = gda.class_means(X, y, 4)
    assert (np.linalg.norm(mu, axis=1) < 0.99).all()
    np.testing.assert_allclose(mu[2], X[y == 2].sum(axis=0) / 12)


def test_one_sample_per_class_is_refused(gda):
    X, y = clouds(per_class=1)
    with pytest.raises(ValueError, match="K \\* A >= 2"):
        gda.shared_covariance(X, y, gda.class_means(X, y, 4))
    with pytest.raises(ValueError, match="singular"):
        gda.ks_precision(np.zeros((3, 3)), 4)
    _, draw = a_draw(gda, K=1, A=1)
    with pytest.raises(ValueError, match="K \\* A >= 2"):
        gda.gda(draw, ALPHAS)
    assert np.isfinite(gda.nearest_mean(draw, ALPHAS)[0]).all()  # needs no covariance


def test_a_singular_covariance_gives_finite_heads(gda):
    X, y = clouds(per_class=3, D=40)  # N = 12, D = 40: S has rank 8 at most
    S = gda.shared_covariance(X, y, gda.class_means(X, y, 4))
    assert np.linalg.matrix_rank(S) == 8
    pinv = gda.shrunk_precision(S, 0.0)
    np.testing.assert_allclose(S @ pinv @ S, S, atol=1e-12)
    assert np.linalg.matrix_rank(pinv, tol=1e-6) == 8  # no direction that was never seen is blown up
    assert np.linalg.eigvalsh(gda.ks_precision(S, 12)).min() > 0


def test_whitening_pays_where_nuisance_is_loud(gda):
    def right(nuisance):
        X, y = clouds(C=6, per_class=30, D=12, nuisance=nuisance, seed=4)
        f, labels = clouds(C=6, per_class=200, D=12, nuisance=nuisance, seed=4)
        mu = gda.class_means(X, y, 6)
        S = gda.shared_covariance(X, y, mu)
        heads = [gda.gaussian_head(mu, P) for P in (gda.ks_precision(S, len(X)), np.eye(12))]
        return [(np.argmax(f @ W + b, 1) == labels).mean() for W, b in heads]

    (loud, loud_mean), (quiet, quiet_mean) = right(6.0), right(0.4)
    assert loud - loud_mean > 0.2 > quiet - quiet_mean


def test_alpha_is_the_first_best_of_the_grid(gda):
    text_logits, scores = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 0.5], [0.5, 0.0]])
    assert gda.best_alpha(text_logits, scores, np.array([1, 0]), [0.1, 10.0, 100.0]) == 10.0
    assert gda.best_alpha(text_logits, scores, np.array([0, 1]), [0.1, 1.0, 10.0]) == 0.1
    wrong = np.array([[0.0, 0.0, 1.0]])
    assert gda.best_alpha(wrong, wrong, np.array([0]), [1.0, 10.0]) == 0.1  # start value of the official code


def test_draws_nest_and_keep_views_together(gda):
    data, _ = a_draw(gda)
    one, three = gda.draw_shots(data, 1, 5), gda.draw_shots(data, 3, 5)
    assert len(one.X) == 4 * 1 * 2 and len(three.X) == 4 * 3 * 2 and len(three.F) == 12
    assert {tuple(row) for row in one.X} <= {tuple(row) for row in three.X}
    assert (
        len(one.val) == 4 and len(three.val) == 12 and len(gda.draw_shots(data, 8, 5).val) == 16
    )  # min(K, 4) per class
    raw = data.raw[[i for i in range(len(data.raw)) if unit(data.raw[i, 0]) in three.X]]
    np.testing.assert_allclose(np.linalg.norm(three.X, axis=1), 1)
    assert len(raw) == 12 and sorted(map(tuple, unit(raw.mean(axis=1)))) == sorted(map(tuple, three.F))  # RAW mean
    other = gda.draw_shots(data, 3, 6)
    assert not np.array_equal(other.X, three.X)


# baselines


def test_tip_adapter_is_a_plain_loop(gda):
    _, draw = a_draw(gda, K=2)
    steps, limits = 6, (0.1, 20.0)
    Y, best = np.eye(4)[draw.F_labels], (-1.0, None)
    for beta in np.geomspace(*limits, steps):
        for a in np.geomspace(*limits, steps):
            guess = [
                np.argmax(100 * f @ draw.T.T + a * sum(np.exp(-beta * (1 - f @ F)) * row for F, row in zip(draw.F, Y)))
                for f in draw.val
            ]
            right = np.mean(guess == draw.val_labels)
            if right > best[0]:
                best = (right, (a, beta))
    scores, (a, beta) = gda.tip_adapter(draw, steps, limits)
    assert (a, beta) == pytest.approx(best[1])
    plain = [
        100 * f @ draw.T.T + a * sum(np.exp(-beta * (1 - f @ F)) * row for F, row in zip(draw.F, Y)) for f in draw.test
    ]
    np.testing.assert_allclose(scores, plain, rtol=1e-10)
    weights = gda.cache_scores(draw.F, draw.F, Y, 0.0)  # beta = 0: every shot counts the same
    np.testing.assert_allclose(weights, np.full((8, 4), 2.0))


def test_nearest_mean_and_logistic_regression(gda):
    data, draw = a_draw(gda, K=4)
    scores, alpha = gda.nearest_mean(draw, [1e9])  # text drowned
    mu = gda.class_means(draw.X, draw.y, 4)
    nearest = np.argmin(((draw.test[:, None] - mu) ** 2).sum(axis=-1), axis=1)
    np.testing.assert_array_equal(np.argmax(scores, axis=1), nearest)
    scores, inverse = gda.logistic(draw, [1.0, 100.0])
    assert scores.shape == (100, 4) and inverse in (1.0, 100.0)
    assert accuracy_each(scores, data.test_labels).mean() > 0.4


# base to new


def test_base_precision_of_balanced_classes(gda):
    X, y = clouds(per_class=12)
    R = X - gda.class_means(X, y, 4)[y]
    np.testing.assert_allclose(gda.base_precision(X, y), np.linalg.pinv(R.T @ R / (len(X) - 4)), rtol=1e-8)


def test_a_synthetic_class_is_the_cards_formula(gda):
    X, _ = clouds(C=5, per_class=20, D=8)
    w = unit(np.random.default_rng(7).normal(size=8))
    k, copies, D = 10, 16, 8
    near = sorted(X, key=lambda f: -(f @ w))[:k]
    mu, P = gda.synthetic_class(w, X, k, copies)
    np.testing.assert_allclose(mu, (sum(near) + copies * w) / (k + copies))
    S_w = sum(np.outer(f - w, f - w) for f in near) / (k - 1)
    np.testing.assert_allclose(P, D * np.linalg.pinv((k - 1) * S_w + np.trace(S_w) * np.eye(D)), rtol=1e-8)
    mus, mean = gda.new_classes(np.stack([w, -w]), X, k, copies)
    np.testing.assert_allclose(mean, (P + gda.synthetic_class(-w, X, k, copies)[1]) / 2)
    np.testing.assert_allclose(mus[0], mu)


def test_base_to_new_keeps_the_halves_apart(gda):
    data, draw = a_draw(gda)
    base, new = np.array([3, 0]), np.array([2, 1])
    rows = gda.base_to_new(draw, data.test_labels, base, new, "zero_shot", ALPHAS, 8, 16)
    assert rows.shape == (100, 2)
    for kind, classes in enumerate((base, new)):
        mine = np.isin(data.test_labels, classes)
        assert (rows[mine, 1] == kind).all()
        guess = classes[np.argmax(draw.test[mine] @ draw.T[classes].T, axis=1)]  # among its own half only
        np.testing.assert_allclose(rows[mine, 0], guess == data.test_labels[mine])
    only_base = gda.restricted(draw, base)
    assert set(only_base.y) == {0, 1} and len(only_base.X) == 12
    np.testing.assert_allclose(gda.class_means(only_base.X, only_base.y, 2)[0], draw.X[draw.y == 3].mean(axis=0))
    for arm in ("gda", "nearest_mean"):
        rows = gda.base_to_new(draw, data.test_labels, base, new, arm, ALPHAS, 8, 16)
        assert set(rows[:, 0]) <= {0.0, 1.0} and rows[:, 0].mean() > 0.5
    halves = gda.split_classes(7, 3)
    assert sorted(np.concatenate(halves)) == list(range(7)) and len(halves[0]) == 4


# encoders and the whole notebook


def pictures(size, count, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = (127 * labels[:, None, None, None] + rng.integers(0, 128, (count, size, size, 3))).astype(np.uint8)
    fields = {"image": lambda: images, "label": lambda: labels}
    return datasets.Corpus("pictures", "train", f"pictures@{seed}", count, fields, ["cup", "star"])


@pytest.mark.slow
def test_a_real_architecture_takes_the_same_path(gda, vit_b16, workspace):
    splits = pictures(224, 6, 0), pictures(224, 4, 1), pictures(224, 4, 2)
    data = gda.encode(vit_b16, splits, ["cup", "star"], A=2, scale=(0.5, 1.0), frames="openai")
    assert data.raw.shape == (6, 2, 512) and data.T.shape == (2, 512) and data.val.shape == (4, 512)
    draw = gda.draw_shots(data, 2, 0)
    for arm in (gda.gda, gda.gda_pinv, gda.nearest_mean):
        scores, _ = arm(draw, ALPHAS)
        assert scores.shape == (4, 2) and np.isfinite(scores).all()


def test_views_are_random_crops_of_their_own_picture(gda, tiny_encoder, workspace):
    data = gda.encode(
        tiny_encoder, (pictures(16, 6), pictures(16, 4, 1), pictures(16, 4, 2)), ["cup", "star"], 3, (0.5, 1), "openai"
    )
    assert data.raw.shape == (6, 3, 32) and not np.allclose(data.raw[:, 0], data.raw[:, 1])
    np.testing.assert_allclose(np.linalg.norm(data.val, axis=1), 1)
    assert not np.allclose(np.linalg.norm(data.raw, axis=-1), 1)  # raw: Tip-Adapter averages them before it normalises


def feature_folder(folder, text=True, C=3, D=8, seed=0):
    """A folder of precomputed features with train and test split."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(C, D))
    folder.mkdir()
    loud = np.linspace(3.0, 0.3, D)  # within classes the directions differ, else the gate on anisotropy fails
    for split, count in (("train", 40), ("test", 30)):
        labels = np.repeat(np.arange(C), count)
        arrays = {"labels": labels, "features": unit(centres[labels] + loud * rng.normal(size=(C * count, D)))}
        if text:
            arrays["text_features"] = unit(centres + rng.normal(size=(C, D)))
        for name, array in arrays.items():
            np.save(folder / f"{split}_{name}.npy", array if name == "labels" else array.astype(np.float32))
    (folder / "classnames.txt").write_text("\n".join(f"thing {c}" for c in range(C)))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("text", [True, False])
def test_the_notebook_runs_on_precomputed_features(tmp_path, workspace, text):
    from lib import run

    folder = feature_folder(tmp_path / "features", text)
    overrides = {"features": str(folder), "shots": [1, 2, 16], "zero_shot_range": [0.0, 1.0]}
    out = run.run("gda", "smoke", in_process=True, overrides=overrides, quiet=True)
    document = json.loads((out / "claims.json").read_text())
    verdicts = {claim["id"]: claim["verdict"] for claim in document["claims"]}
    assert verdicts["one_shot_tie"] == "not tested"  # one view of one shot: no covariance
    if not text:
        assert set(verdicts.values()) == {"not tested"}
        assert "text features" in document["claims"][0]["reason"]
    else:
        assert verdicts["few_shot_average"] != "not tested", document["gates"]


# real features: OpenAI CLIP ViT-B/32 on ten classes of Food-101, no text features


@pytest.mark.real
def test_food101_features_without_text(gda, real):
    train, test = (
        datasets.load(f"features:{real / 'features/food101-vitb32'}", s, fields=("label",)) for s in ("train", "test")
    )
    raw = np.asarray(train.image_features, float)[:, None]
    X = unit(np.asarray(test.image_features, float))
    data = gda.Data(raw, train.label, X[:0], test.label[:0], X, test.label, np.zeros((10, 512)), 100.0)
    accuracy = {}
    for K in (1, 2, 4, 8, 16):
        each = []
        for seed in range(10):
            rows = gda.sampling.fewshot(data.labels, K, np.random.default_rng([seed, 0]))
            f, y = unit(raw[rows, 0]), data.labels[rows]
            draw = gda.Draw(f, y, f, y, X[:10], test.label[:10], X, data.T)  # validation has no part in what follows
            arms = {"nearest_mean": gda.nearest_mean(draw, [1.0])[0]}
            if K >= 2:
                arms |= {"gda": gda.gda_no_text(draw)[0], "gda_pinv": gda.gda_pinv(draw, [1.0])[0]}
            each.append({arm: accuracy_each(scores, test.label).mean() for arm, scores in arms.items()})
        accuracy[K] = {arm: 100 * np.mean([one[arm] for one in each]) for arm in each[0]}
    print(json.dumps(accuracy, indent=1))
    assert 70 < accuracy[1]["nearest_mean"] < 85 and "gda" not in accuracy[1]
    for K in (2, 4, 8, 16):  # shrinkage between both ends beats either
        assert accuracy[K]["gda"] > accuracy[K]["nearest_mean"] and accuracy[K]["gda"] > accuracy[K]["gda_pinv"]
    assert accuracy[16]["gda"] > 97  # a ridge probe on all 2000 pictures reaches 98.4
