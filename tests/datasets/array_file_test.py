import numpy as np
import pytest

from keras_lapgan.datasets import DataError
from keras_lapgan.datasets import load_images


def images(n=6, size=8):
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (n, size, size, 3), np.uint8)


def save(path, *args, **arrays):
    np.savez(path, *args, **arrays)
    return path


def test_npz_with_labels(tmp_path):
    labels = np.array([2, 0, 1, 1, 0, 0])
    path = save(tmp_path / "a.npz", images=images(), labels=labels)
    source = load_images(path)
    assert source.num_classes == 3 and source.class_names is None
    np.testing.assert_array_equal(source.labels, labels)
    np.testing.assert_array_equal(source.read([5, 1]), images()[[5, 1]])
    part = load_images(str(path), split="train[4:]")
    assert part.labels.tolist() == [0, 0] and part.num_classes == 3
    assert load_images(path, labels=False).labels is None


def test_single_array_grey_and_rgba(tmp_path):
    grey = images()[..., 0]
    source = load_images(save(tmp_path / "grey.npz", grey))
    np.testing.assert_array_equal(
        source.read([1])[0], np.repeat(grey[1][..., None], 3, -1)
    )
    rgba = np.concatenate([images(), np.zeros((6, 8, 8, 1), np.uint8)], -1)
    np.save(tmp_path / "rgba.npy", rgba)
    assert (load_images(tmp_path / "rgba.npy").read([0]) == 255).all()


def test_large_npy_stays_on_disk(tmp_path):
    np.save(tmp_path / "a.npy", images())
    source = load_images(tmp_path / "a.npy", cache_bytes=10)
    assert not source.cached
    assert type(source.read([0])) is np.ndarray
    np.testing.assert_array_equal(source.read([3, 0]), images()[[3, 0]])


def test_sizes(tmp_path):
    path = save(tmp_path / "a.npz", images())
    assert load_images(path, size=4).read([0]).shape == (1, 4, 4, 3)
    with pytest.raises(DataError, match="must be 4 x 4.*8 x 8"):
        load_images(path, size=4, resize="none")


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (lambda x: x / 255, r"0\.\.1.*float64 images from 0 to 1 in"),
        (lambda x: (x / 127.5 - 1).astype("float32"), r"-1\.\.1.*from -1 to 1"),
        (lambda x: x * 2.0, "from 0 to 510"),
        (lambda x: x.astype("int16") - 1, "from -1 to 254"),
        (lambda x: np.where(x == 3, np.nan, x), "NaN"),
        (lambda x: x > 3, "type bool"),
    ],
)
def test_ranges_refused(tmp_path, scale, message):
    values = images()
    values[0, 0, 0] = (0, 255, 3)
    path = save(tmp_path / "a.npz", scale(values))
    with pytest.raises(DataError, match=message):
        load_images(path)


def test_floats_to_255_are_rounded(tmp_path):
    path = save(tmp_path / "a.npz", images() * 0.999)
    np.testing.assert_array_equal(
        load_images(path).read(range(6)), np.rint(images() * 0.999)
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 3, 8, 8), "uint8")}, "seem to be first"),
        ({"images": np.zeros((8, 8), "uint8")}, r"shape \(8, 8\)"),
        ({"images": np.zeros((0, 8, 8, 3), "uint8")}, "holds no images"),
        ({"a": np.zeros(2), "b": np.zeros(2)}, "only array"),
        (
            {"images": images(), "labels": np.zeros(5, int)},
            r"expected shape \(6,\)",
        ),
        ({"images": images(), "labels": np.zeros(6)}, "Labels are ints"),
        ({"images": images(), "labels": -np.ones(6, int)}, "label of -1"),
        (
            {
                "images": images(),
                "labels": np.arange(6),
                "class_names": np.array(["a", "b"]),
            },
            "below 2.*label of 5",
        ),
    ],
)
def test_bad_files(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        load_images(save(tmp_path / "a.npz", **arrays))


def test_no_pickles_and_no_garbage(tmp_path):
    path = save(tmp_path / "a.npz", np.array([{}], dtype=object))
    with pytest.raises(DataError, match="cannot be read.*a.npz"):
        load_images(path)
    (tmp_path / "b.npz").write_bytes(b"PK\x03\x04 not a zip file")
    with pytest.raises(DataError, match="cannot be read.*b.npz"):
        load_images(tmp_path / "b.npz")
    (tmp_path / "c.npy").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read.*c.npy"):
        load_images(tmp_path / "c.npy")
