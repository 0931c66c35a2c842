import numpy as np
import pytest

from keras_lapgan.metrics.extractors import ExtractorError
from keras_lapgan.metrics.extractors import Inception
from keras_lapgan.metrics.extractors import inception as inception_module
from keras_lapgan.metrics.extractors import weights_files
from keras_lapgan.metrics.extractors.state_dict import StateDict


def in_torch(arrays, x):
    """pytorch-fid's network: features and logits of images in -1..1."""
    torch = pytest.importorskip("torch")
    from torch.nn import functional as F

    w = {name: torch.tensor(array) for name, array in arrays.items()}

    def conv(x, name, stride=1, padding=0):
        x = F.conv2d(
            x, w[f"{name}.conv.weight"], stride=stride, padding=padding
        )
        norm = ("running_mean", "running_var", "weight", "bias")
        norm = [w[f"{name}.bn.{key}"] for key in norm]
        return F.relu(F.batch_norm(x, *norm, eps=1e-3))

    def average(x):
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    def maximum(x):
        return F.max_pool2d(x, 3, 1, 1)

    def block_a(x, n):
        five = conv(conv(x, f"{n}.branch5x5_1"), f"{n}.branch5x5_2", 1, 2)
        three = conv(
            conv(x, f"{n}.branch3x3dbl_1"), f"{n}.branch3x3dbl_2", 1, 1
        )
        three = conv(three, f"{n}.branch3x3dbl_3", 1, 1)
        pool = conv(average(x), f"{n}.branch_pool")
        return torch.cat([conv(x, f"{n}.branch1x1"), five, three, pool], 1)

    def block_b(x, n):
        three = conv(
            conv(x, f"{n}.branch3x3dbl_1"), f"{n}.branch3x3dbl_2", 1, 1
        )
        three = conv(three, f"{n}.branch3x3dbl_3", 2)
        one = conv(x, f"{n}.branch3x3", 2)
        return torch.cat([one, three, F.max_pool2d(x, 3, 2)], 1)

    def block_c(x, n):
        wide, high = (0, 3), (3, 0)
        a = conv(conv(x, f"{n}.branch7x7_1"), f"{n}.branch7x7_2", 1, wide)
        a = conv(a, f"{n}.branch7x7_3", 1, high)
        b = conv(x, f"{n}.branch7x7dbl_1")
        for i, padding in zip((2, 3, 4, 5), (high, wide) * 2, strict=True):
            b = conv(b, f"{n}.branch7x7dbl_{i}", 1, padding)
        pool = conv(average(x), f"{n}.branch_pool")
        return torch.cat([conv(x, f"{n}.branch1x1"), a, b, pool], 1)

    def block_d(x, n):
        a = conv(conv(x, f"{n}.branch3x3_1"), f"{n}.branch3x3_2", 2)
        b = conv(conv(x, f"{n}.branch7x7x3_1"), f"{n}.branch7x7x3_2", 1, (0, 3))
        b = conv(b, f"{n}.branch7x7x3_3", 1, (3, 0))
        b = conv(b, f"{n}.branch7x7x3_4", 2)
        return torch.cat([a, b, F.max_pool2d(x, 3, 2)], 1)

    def block_e(x, n, pool):
        def fork(x, name):
            a = conv(x, f"{name}a", 1, (0, 1))
            return torch.cat([a, conv(x, f"{name}b", 1, (1, 0))], 1)

        a = fork(conv(x, f"{n}.branch3x3_1"), f"{n}.branch3x3_2")
        b = conv(conv(x, f"{n}.branch3x3dbl_1"), f"{n}.branch3x3dbl_2", 1, 1)
        b = fork(b, f"{n}.branch3x3dbl_3")
        pool = conv(pool(x), f"{n}.branch_pool")
        return torch.cat([conv(x, f"{n}.branch1x1"), a, b, pool], 1)

    with torch.no_grad():
        x = torch.tensor(x.transpose(0, 3, 1, 2))
        x = conv(x, "Conv2d_1a_3x3", 2)
        x = conv(conv(x, "Conv2d_2a_3x3"), "Conv2d_2b_3x3", 1, 1)
        x = conv(F.max_pool2d(x, 3, 2), "Conv2d_3b_1x1")
        x = F.max_pool2d(conv(x, "Conv2d_4a_3x3"), 3, 2)
        for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
            x = block_a(x, name)
        x = block_b(x, "Mixed_6a")
        for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            x = block_c(x, name)
        x = block_e(block_d(x, "Mixed_7a"), "Mixed_7b", average)
        features = block_e(x, "Mixed_7c", maximum).mean((2, 3))
        return features.numpy(), (features @ w["fc.weight"].T).numpy()


@pytest.fixture(scope="module")
def inception(inception_weights):
    return Inception(inception_weights, batch_size=2)


def test_it_is_pytorch_fids_network(inception, inception_arrays, noise):
    images = noise(2, 299)
    # Large things too: padding must show.
    images[:, :150] //= 4
    features, logits = inception.extract(images)
    x = (images.astype("float32") - 128) / 128
    expected = in_torch(inception_arrays, x)
    assert 0.1 < expected[0].std() < 10
    for ours, theirs in zip((features, logits), expected, strict=True):
        error = np.abs(ours - theirs).max() / np.abs(theirs).max()
        assert error < 1e-5


def test_its_name_and_sizes(inception, inception_weights):
    assert inception.name == "inception-2015-12-05-unverified"
    assert not inception.fid
    assert inception.resize == "legacy_tensorflow"
    assert inception.size == (299, 299)
    assert inception.weights_sha256 == StateDict(inception_weights).sha256


def test_the_published_file_makes_a_fid(
    inception_weights, tmp_path, monkeypatch
):
    """Its bytes are not here: others stand in for them."""
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    path = folder / "pt_inception-2015-12-05-6726825d.pth"
    path.symlink_to(inception_weights)
    sha256 = StateDict(inception_weights).sha256
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for module in (inception_module, weights_files):
        monkeypatch.setattr(module, "INCEPTION_SHA256", sha256)
    for given in (None, path):
        extractor = Inception(given, download=False, batch_size=1)
        assert extractor.fid is True
        assert extractor.name == "inception-2015-12-05"
        assert extractor.weights_sha256 == sha256
    assert extractor.fingerprint.startswith("inception-2015-12-05 weights=")
    monkeypatch.setattr(inception_module, "INCEPTION_SHA256", "0" * 64)
    with pytest.raises(ExtractorError, match="damaged or another"):
        Inception(path)


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "pt_inception-2015-12-05-6726825d.pth"
    path.write_bytes(b"\x80\x02")
    with pytest.raises(ExtractorError, match="not 6726825d0af5f729.*damaged"):
        Inception(path)


@pytest.mark.slow
def test_scaling_of_pytorch_fid(inception_weights, inception_arrays, noise):
    images = noise(2, 299)
    extractor = Inception(
        inception_weights, resize="legacy_pytorch", batch_size=2
    )
    x = 2 * (images.astype("float32") / 255) - 1
    expected, _ = in_torch(inception_arrays, x)
    error = np.abs(extractor.extract(images).features - expected).max()
    assert error < 1e-5 * np.abs(expected).max()


def test_a_missing_array(inception_arrays, tmp_path):
    path = tmp_path / "x.npz"
    name = "Mixed_7c.branch_pool.bn.running_var"
    np.savez(path, **{k: v for k, v in inception_arrays.items() if k != name})
    with pytest.raises(ExtractorError, match=rf"\(192,\) as '{name}'.*nothing"):
        Inception(path)
