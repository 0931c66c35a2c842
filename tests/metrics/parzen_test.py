import importlib

import numpy as np
import pytest

from keras_lapgan.metrics import ParzenWindow
from keras_lapgan.metrics import multi_scale_log_likelihood
from keras_lapgan.metrics import parzen_log_likelihood


def gaussian(count, shape=(4,), seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=(count, *shape))


def halved(images):
    n, height, width, c = images.shape
    return images.reshape(n, height // 2, 2, width // 2, 2, c).mean((2, 4))


def entropy(d, scale=1.0):
    """What a white Gaussian's own density gives on average."""
    return -d / 2 * np.log(2 * np.pi * np.e * scale**2)


def test_one_sample_is_a_gaussian():
    x = gaussian(5, (2, 2, 1))
    d = 4
    squared = ((x - 0.5) ** 2).reshape(5, -1).sum(axis=1)
    for width in (0.1, 3.0):
        window = ParzenWindow(np.full((1, 2, 2, 1), 0.5), width)
        expected = -squared / 2 / width**2
        expected -= d / 2 * np.log(2 * np.pi * width**2)
        np.testing.assert_allclose(window.log_likelihood(x), expected)


def test_definition(monkeypatch):
    x, samples = gaussian(20), gaussian(30, seed=1)
    squared = ((x[:, None] - samples) ** 2).sum(axis=2)
    density = np.exp(-squared / 2 / 0.5**2).mean(axis=1)
    density /= (2 * np.pi * 0.5**2) ** 2
    window = ParzenWindow(samples, 0.5)
    np.testing.assert_allclose(window.log_likelihood(x), np.log(density))
    distances = importlib.import_module("keras_lapgan.metrics.distances")
    monkeypatch.setattr(distances, "_BLOCK_VALUES", 50)
    np.testing.assert_allclose(window.log_likelihood(x), np.log(density))


def test_far_samples_do_not_underflow():
    window = ParzenWindow(gaussian(10, (3072,), scale=100.0), 0.1)
    values = window.log_likelihood(np.zeros((2, 3072), "float32"))
    assert np.isfinite(values).all() and values.max() < -1e8


def test_a_known_gaussian_gives_its_entropy():
    d = 2
    result = parzen_log_likelihood(
        gaussian(5000, (d,)),
        gaussian(1000, (d,), 1),
        gaussian(1000, (d,), 2),
    )
    assert result["mean"] == pytest.approx(
        entropy(d), abs=4 * result["standard_error"]
    )
    # The squared distance's variance is 2 d, and the log has half of it.
    assert result["std"] == pytest.approx(np.sqrt(d / 2), rel=0.1)
    assert result["standard_error"] == result["std"] / np.sqrt(1000)


def test_the_width_is_chosen_on_validation_images():
    samples, test = gaussian(300), gaussian(100, seed=1)
    validation = gaussian(100, seed=2)
    widths = [0.01, 0.3, 0.5, 0.7, 3.0]
    result = parzen_log_likelihood(samples, test, validation, widths=widths)
    means = [
        ParzenWindow(samples, w).log_likelihood(validation).mean()
        for w in widths
    ]
    assert result["width"] == widths[np.argmax(means)]
    scores = ParzenWindow(samples, result["width"]).log_likelihood(test)
    assert result["mean"] == pytest.approx(scores.mean())
    with pytest.warns(UserWarning, match="widths from 0.01 to 0.3"):
        parzen_log_likelihood(samples, test, validation, widths=widths[:2])


def test_scaling_law_and_rotation():
    sets = [gaussian(n, seed=n) for n in (200, 50, 60)]
    widths = np.geomspace(0.2, 2, 7)
    result = parzen_log_likelihood(*sets, widths=widths)
    larger = parzen_log_likelihood(*(3 * s for s in sets), widths=3 * widths)
    assert larger["mean"] == pytest.approx(result["mean"] - 4 * np.log(3))
    assert larger["width"] == pytest.approx(3 * result["width"])
    rotation, _ = np.linalg.qr(gaussian(4, seed=9))
    rotated = parzen_log_likelihood(*(s @ rotation for s in sets))
    assert rotated == pytest.approx(parzen_log_likelihood(*sets))


def pyramid(images, count):
    levels = [images]
    for _ in range(count - 1):
        levels.append(halved(levels[-1]))
    return levels


def test_multi_scale_of_a_white_gaussian_is_its_entropy():
    """In an orthonormal basis every band of white noise is white noise."""
    shape = (2, 2, 1)
    sets = [gaussian(n, shape, n, 2.0) for n in (5000, 1000, 1001)]
    samples = pyramid(sets[0], 2)
    result = multi_scale_log_likelihood(
        samples, *sets[1:], widths=np.geomspace(0.1, 3, 12)
    )
    levels = result["levels"]
    assert list(levels) == [2, 1]
    total = levels[2]["mean"] + levels[1]["mean"]
    assert result["mean"] == pytest.approx(total)
    for level, d in ((levels[2], 3), (levels[1], 1), (result, 4)):
        error = level["standard_error"]
        # The estimate is a little low, with finitely many samples.
        assert level["mean"] == pytest.approx(
            entropy(d, 2), abs=3 * error + 0.02 * d
        )


@pytest.mark.parametrize("channels", [1, 3])
def test_multi_scale_with_one_sample_is_the_plain_density(channels):
    """The basis is orthonormal: at one width nothing changes."""
    shape = (8, 8, channels)
    centre, test = gaussian(1, shape), gaussian(5, shape, 1)
    plain = ParzenWindow(centre, 0.7).log_likelihood(test)
    for count in (1, 2, 3, 4):
        result = multi_scale_log_likelihood(
            pyramid(centre, count), test, test, widths=[0.7]
        )
        assert result["mean"] == pytest.approx(plain.mean())
        assert result["std"] == pytest.approx(plain.std())
        assert len(result["levels"]) == count
        for level in result["levels"].values():
            assert level["width"] == pytest.approx(0.7)


def test_multi_scale_scaling_law():
    sets = [gaussian(n, (4, 4, 1), n) for n in (50, 20, 21)]
    widths = np.geomspace(0.3, 3, 8)
    results = [
        multi_scale_log_likelihood(
            pyramid(a * sets[0], 3), *(a * s for s in sets[1:]), widths=w
        )
        for a, w in ((1, widths), (5, 5 * widths))
    ]
    assert results[1]["mean"] == pytest.approx(
        results[0]["mean"] - 16 * np.log(5)
    )


def test_samples_given_the_low_pass():
    test, validation = gaussian(6, (4, 4, 1), 1), gaussian(7, (4, 4, 1), 2)
    coarse = gaussian(30, (2, 2, 1), 3)
    seen = []

    def draw(low_pass):
        seen.append(low_pass)
        # Only details count, whatever is below them.
        noise = gaussian(20, (4, 4, 1), 4)
        return low_pass.mean() * noise + 100

    result = multi_scale_log_likelihood(
        [draw, coarse], test, validation, widths=[1.0]
    )
    given = np.stack(seen)
    expected = np.concatenate([halved(validation), halved(test)])
    np.testing.assert_allclose(given, expected)
    one_by_one = [
        multi_scale_log_likelihood(
            [low_pass.mean() * gaussian(20, (4, 4, 1), 4), coarse],
            image[None],
            image[None],
            widths=[1.0],
        )["mean"]
        for image, low_pass in zip(test, halved(test), strict=True)
    ]
    assert result["mean"] == pytest.approx(np.mean(one_by_one))
    with pytest.raises(ValueError, match=r"\(4, 4, 1\) in what samples draw"):
        multi_scale_log_likelihood([lambda x: x[None], coarse], test, test)


def test_pyramids_that_do_not_halve():
    test = gaussian(2, (28, 28, 3))
    sizes = (28, 14, 8)
    samples = [gaussian(5, (side, side, 3)) for side in sizes]
    with pytest.raises(ValueError, match=r"halvings.*samples\[2\].*8, 8, 3"):
        multi_scale_log_likelihood(samples, test, test)
    with pytest.raises(ValueError, match="ends with an array.*2 levels"):
        multi_scale_log_likelihood([samples[0], len], test, test)
    with pytest.raises(ValueError, match="0 levels"):
        multi_scale_log_likelihood([], test, test)
    with pytest.raises(ValueError, match=r"\(28, 28, 3\) in validation"):
        multi_scale_log_likelihood(samples[:1], test, test[:, 1:])


def test_what_is_refused():
    x = gaussian(3)
    for width in (0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="positive"):
            ParzenWindow(x, width)
    with pytest.raises(ValueError, match="4 values an image.*3 values"):
        ParzenWindow(x, 1.0).log_likelihood(x[:, :3])
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        parzen_log_likelihood(x, x, np.where(x == x[1, 2], np.nan, x))
    with pytest.raises(ValueError, match="uint8"):
        parzen_log_likelihood(x.astype("uint8"), x, x)
    for bad in (x[:0], x[0], np.float64(3)):
        with pytest.raises(ValueError, match=r"test.shape=\("):
            parzen_log_likelihood(x, bad, x)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_few_and_constant_images(count):
    flat = np.full((count, 4, 4, 3), 0.25, "float32")
    result = parzen_log_likelihood(flat, flat, flat, widths=[0.5])
    expected = -48 * np.log(0.5 * np.sqrt(2 * np.pi))
    assert result["mean"] == pytest.approx(expected)
    assert result["std"] == pytest.approx(0, abs=1e-12)
    assert result["standard_error"] == pytest.approx(0, abs=1e-12)


def test_real_images(cifar10):
    """Real images as samples, 2,000 of them: -3569 +- 617.

    By bands, with 10,000: -508, -646 and -433; with fewer less.
    """
    train = cifar10["train"].astype("float32")
    mean, std = train.mean(axis=0), train.std(axis=0)
    train = (train - mean) / std
    test = (cifar10["test"][:1000] - mean) / std
    result = parzen_log_likelihood(
        train[:2000], test, train[-400:], widths=[0.74, 0.76, 0.78, 0.8, 0.82]
    )
    assert result["mean"] == pytest.approx(-3569, abs=80)
    assert result["std"] == pytest.approx(617, rel=0.1)
    assert result["width"] == pytest.approx(0.78, abs=0.021)
    samples = pyramid(train[:10_000], 3)
    samples[0] = samples[0][:1000]
    result = multi_scale_log_likelihood(
        samples, test[:300], train[-100:], widths=[0.2, 0.3, 0.4, 0.75, 2.2, 3]
    )
    levels = result["levels"]
    assert levels[8]["mean"] == pytest.approx(-433, abs=10)
    assert levels[16]["mean"] == pytest.approx(-646, abs=30)
    assert levels[32]["mean"] < -508 and -1900 < result["mean"] < -1500
