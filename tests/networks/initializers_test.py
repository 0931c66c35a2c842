import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_lapgan.networks.initializers import normal
from keras_lapgan.networks.initializers import torch_uniform


def test_torch_uniform_equals_torchs_own_bounds():
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    theirs = torch.nn.Conv2d(4, 64, 7)
    ours = layers.Conv2D(64, 7, **torch_uniform(7 * 7 * 4))
    ours.build((None, 8, 8, 4))
    for a, b in ((ours.kernel, theirs.weight), (ours.bias, theirs.bias)):
        a, b = ops.convert_to_numpy(a), b.detach().numpy()
        assert np.abs(a).max() == pytest.approx(np.abs(b).max(), rel=0.1)
        assert a.std() == pytest.approx(b.std(), rel=0.2)


def test_kernel_and_bias_are_drawn_apart():
    dense = layers.Dense(100, **torch_uniform(1))
    dense.build((None, 1))
    kernel = ops.convert_to_numpy(dense.kernel)[0]
    bias = ops.convert_to_numpy(dense.bias)
    assert abs(np.corrcoef(kernel, bias)[0, 1]) < 0.5


def test_normal():
    dense = layers.Dense(500, **normal(0.005))
    dense.build((None, 100))
    kernel = ops.convert_to_numpy(dense.kernel)
    assert kernel.std() == pytest.approx(0.005, rel=0.03)
    assert not ops.convert_to_numpy(dense.bias).any()
