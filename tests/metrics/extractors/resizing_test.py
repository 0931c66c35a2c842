import numpy as np
import pytest
from PIL import Image

from keras_lapgan.metrics.extractors.resizing import resize_images
from keras_lapgan.metrics.extractors.resizing import resizing_matrix


def by_pillow(images, size):
    """Each channel alone, in float, as clean-fid does it."""
    result = [
        Image.fromarray(image[:, :, c].astype("float32")).resize(
            size[::-1], Image.Resampling.BICUBIC
        )
        for image in images
        for c in range(3)
    ]
    result = np.stack([np.asarray(x) for x in result])
    return result.reshape(-1, 3, *size).transpose(0, 2, 3, 1).clip(0, 255)


@pytest.mark.parametrize(
    "height, width, size",
    [
        (32, 32, (224, 224)),
        (8, 14, (299, 299)),
        (300, 257, (224, 224)),
        (61, 500, (299, 224)),
        (224, 1, (224, 3)),
    ],
)
def test_clean_is_pillows_bicubic(noise, height, width, size):
    images = noise(2, 500)[:, :height, :width]
    resized = resize_images(images, size, "clean")
    assert resized.dtype == "float32"
    np.testing.assert_allclose(resized, by_pillow(images, size), atol=2e-4)


@pytest.mark.parametrize("source, target", [(32, 299), (28, 299), (500, 299)])
def test_legacy_tensorflow_is_tensorflow_1(noise, source, target):
    tf = pytest.importorskip("tensorflow")
    images = noise(1, source)
    size = (target, target)
    expected = tf.compat.v1.image.resize_bilinear(
        images.astype("float32"), size, align_corners=False
    )
    resized = resize_images(images, size, "legacy_tensorflow")
    np.testing.assert_allclose(resized, expected.numpy(), atol=2e-4)


@pytest.mark.parametrize("source, target", [(32, 299), (28, 299), (500, 299)])
def test_legacy_pytorch_is_torch(noise, source, target):
    torch = pytest.importorskip("torch")
    images = noise(1, source)
    size = (target, target)
    x = torch.tensor(images.transpose(0, 3, 1, 2).astype("float32"))
    expected = torch.nn.functional.interpolate(
        x, size, mode="bilinear", align_corners=False
    )
    resized = resize_images(images, size, "legacy_pytorch")
    np.testing.assert_allclose(
        resized.transpose(0, 3, 1, 2), expected.numpy(), atol=1e-3
    )


@pytest.mark.parametrize("mode", ["legacy_tensorflow", "legacy_pytorch"])
def test_known_rows(mode):
    expected = {
        "legacy_tensorflow": [[1, 0], [0.5, 0.5], [0, 1], [0, 1]],
        "legacy_pytorch": [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]],
    }
    np.testing.assert_array_equal(resizing_matrix(2, 4, mode), expected[mode])


@pytest.mark.parametrize(
    "mode", ["legacy_tensorflow", "legacy_pytorch", "clean"]
)
def test_constant_images_stay_and_equal_sizes_change_nothing(noise, mode):
    white = np.full((1, 9, 5, 3), 255, "uint8")
    resized = resize_images(white, (30, 3), mode)
    np.testing.assert_allclose(resized, 255, atol=1e-4)
    images = noise(2, 11)
    out = np.empty(images.shape, "float32")
    resize_images(images, (11, 11), mode, out=out)
    np.testing.assert_array_equal(out, images)


def test_an_unknown_mode():
    with pytest.raises(
        ValueError, match="'legacy_tensorflow'.*Received: .*'x'"
    ):
        resizing_matrix(2, 4, "x")
