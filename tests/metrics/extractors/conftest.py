"""Weights as Inception's, drawn so that features are about 1."""

import numpy as np
import pytest

# === The names and shapes of pytorch-fid's file, written down a second time ===


def _mixed(name, inputs, **branches):
    """Shapes of a block: branch=(outputs, inputs or None, height, width)."""
    shapes = {}
    for branch, (outputs, before, height, width) in branches.items():
        before = inputs if before is None else before
        shapes[f"{name}.{branch}"] = (outputs, before, height, width)
    return shapes


def _a(name, inputs, pooled):
    return _mixed(
        name,
        inputs,
        branch1x1=(64, None, 1, 1),
        branch5x5_1=(48, None, 1, 1),
        branch5x5_2=(64, 48, 5, 5),
        branch3x3dbl_1=(64, None, 1, 1),
        branch3x3dbl_2=(96, 64, 3, 3),
        branch3x3dbl_3=(96, 96, 3, 3),
        branch_pool=(pooled, None, 1, 1),
    )


def _c(name, inner):
    return _mixed(
        name,
        768,
        branch1x1=(192, None, 1, 1),
        branch7x7_1=(inner, None, 1, 1),
        branch7x7_2=(inner, inner, 1, 7),
        branch7x7_3=(192, inner, 7, 1),
        branch7x7dbl_1=(inner, None, 1, 1),
        branch7x7dbl_2=(inner, inner, 7, 1),
        branch7x7dbl_3=(inner, inner, 1, 7),
        branch7x7dbl_4=(inner, inner, 7, 1),
        branch7x7dbl_5=(192, inner, 1, 7),
        branch_pool=(192, None, 1, 1),
    )


def _e(name, inputs):
    return _mixed(
        name,
        inputs,
        branch1x1=(320, None, 1, 1),
        branch3x3_1=(384, None, 1, 1),
        branch3x3_2a=(384, 384, 1, 3),
        branch3x3_2b=(384, 384, 3, 1),
        branch3x3dbl_1=(448, None, 1, 1),
        branch3x3dbl_2=(384, 448, 3, 3),
        branch3x3dbl_3a=(384, 384, 1, 3),
        branch3x3dbl_3b=(384, 384, 3, 1),
        branch_pool=(192, None, 1, 1),
    )


SHAPES = {
    "Conv2d_1a_3x3": (32, 3, 3, 3),
    "Conv2d_2a_3x3": (32, 32, 3, 3),
    "Conv2d_2b_3x3": (64, 32, 3, 3),
    "Conv2d_3b_1x1": (80, 64, 1, 1),
    "Conv2d_4a_3x3": (192, 80, 3, 3),
    **_a("Mixed_5b", 192, 32),
    **_a("Mixed_5c", 256, 64),
    **_a("Mixed_5d", 288, 64),
    **_mixed(
        "Mixed_6a",
        288,
        branch3x3=(384, None, 3, 3),
        branch3x3dbl_1=(64, None, 1, 1),
        branch3x3dbl_2=(96, 64, 3, 3),
        branch3x3dbl_3=(96, 96, 3, 3),
    ),
    **_c("Mixed_6b", 128),
    **_c("Mixed_6c", 160),
    **_c("Mixed_6d", 160),
    **_c("Mixed_6e", 192),
    **_mixed(
        "Mixed_7a",
        768,
        branch3x3_1=(192, None, 1, 1),
        branch3x3_2=(320, 192, 3, 3),
        branch7x7x3_1=(192, None, 1, 1),
        branch7x7x3_2=(192, 192, 1, 7),
        branch7x7x3_3=(192, 192, 7, 1),
        branch7x7x3_4=(192, 192, 3, 3),
    ),
    **_e("Mixed_7b", 1280),
    **_e("Mixed_7c", 2048),
}


@pytest.fixture(scope="session")
def inception_arrays():
    assert len(SHAPES) == 94
    rng = np.random.default_rng(0)
    arrays = {}
    for name, shape in SHAPES.items():
        std = np.sqrt(2 / np.prod(shape[1:]))
        norm = {
            "weight": rng.uniform(0.7, 1.3, shape[0]),
            "bias": rng.normal(0, 0.2, shape[0]),
            "running_mean": rng.normal(0, 0.2, shape[0]),
            "running_var": rng.uniform(0.7, 1.3, shape[0]),
        }
        kernel = std * rng.standard_normal(shape, dtype="float32")
        arrays[f"{name}.conv.weight"] = kernel.astype("float32")
        for key, value in norm.items():
            arrays[f"{name}.bn.{key}"] = value.astype("float32")
    fc = rng.standard_normal((1008, 2048), dtype="float32") / np.sqrt(2048)
    arrays["fc.weight"] = fc.astype("float32")
    arrays["fc.bias"] = rng.normal(0, 1, 1008).astype("float32")
    return arrays


@pytest.fixture(scope="session")
def inception_weights(inception_arrays, tmp_path_factory):
    """A file of them."""
    path = tmp_path_factory.mktemp("inception") / "weights.npz"
    np.savez(path, **inception_arrays)
    return path
