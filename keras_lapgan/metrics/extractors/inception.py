from pathlib import Path

import keras
from keras import ops

from keras_lapgan.metrics.extractors.extractor import Extractor
from keras_lapgan.metrics.extractors.network_builder import NetworkBuilder
from keras_lapgan.metrics.extractors.state_dict import StateDict
from keras_lapgan.metrics.extractors.weights_files import INCEPTION_SHA256
from keras_lapgan.metrics.extractors.weights_files import inception_file

_SIZE = 299
_CLASSES = 1008

# The network as branches of steps, one list a block. A step is a convolution
# (name, outputs, kernel), a pooling, or a list of convolutions side by side.
# Where it shrinks, nothing is padded.


def _block_35(pooled):
    return [
        [("branch1x1", 64, 1)],
        [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)],
        [
            ("branch3x3dbl_1", 64, 1),
            ("branch3x3dbl_2", 96, 3),
            ("branch3x3dbl_3", 96, 3),
        ],
        ["average", ("branch_pool", pooled, 1)],
    ]


def _block_17(inner):
    return [
        [("branch1x1", 192, 1)],
        [
            ("branch7x7_1", inner, 1),
            ("branch7x7_2", inner, (1, 7)),
            ("branch7x7_3", 192, (7, 1)),
        ],
        [
            ("branch7x7dbl_1", inner, 1),
            ("branch7x7dbl_2", inner, (7, 1)),
            ("branch7x7dbl_3", inner, (1, 7)),
            ("branch7x7dbl_4", inner, (7, 1)),
            ("branch7x7dbl_5", 192, (1, 7)),
        ],
        ["average", ("branch_pool", 192, 1)],
    ]


def _block_8(pooling):
    return [
        [("branch1x1", 320, 1)],
        [
            ("branch3x3_1", 384, 1),
            [("branch3x3_2a", 384, (1, 3)), ("branch3x3_2b", 384, (3, 1))],
        ],
        [
            ("branch3x3dbl_1", 448, 1),
            ("branch3x3dbl_2", 384, 3),
            [
                ("branch3x3dbl_3a", 384, (1, 3)),
                ("branch3x3dbl_3b", 384, (3, 1)),
            ],
        ],
        [pooling, ("branch_pool", 192, 1)],
    ]


_STEM = [
    ("Conv2d_1a_3x3", 32, 3, "shrink"),
    ("Conv2d_2a_3x3", 32, 3, "valid"),
    ("Conv2d_2b_3x3", 64, 3),
    "shrink",
    ("Conv2d_3b_1x1", 80, 1),
    ("Conv2d_4a_3x3", 192, 3, "valid"),
    "shrink",
]
_BLOCKS = {
    "Mixed_5b": _block_35(32),
    "Mixed_5c": _block_35(64),
    "Mixed_5d": _block_35(64),
    "Mixed_6a": [
        [("branch3x3", 384, 3, "shrink")],
        [
            ("branch3x3dbl_1", 64, 1),
            ("branch3x3dbl_2", 96, 3),
            ("branch3x3dbl_3", 96, 3, "shrink"),
        ],
        ["shrink"],
    ],
    "Mixed_6b": _block_17(128),
    "Mixed_6c": _block_17(160),
    "Mixed_6d": _block_17(160),
    "Mixed_6e": _block_17(192),
    "Mixed_7a": [
        [("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3, "shrink")],
        [
            ("branch7x7x3_1", 192, 1),
            ("branch7x7x3_2", 192, (1, 7)),
            ("branch7x7x3_3", 192, (7, 1)),
            ("branch7x7x3_4", 192, 3, "shrink"),
        ],
        ["shrink"],
    ],
    "Mixed_7b": _block_8("average"),
    # Its maximum is what the network of 2015-12-05 does, and no other.
    "Mixed_7c": _block_8("maximum"),
}


class Inception(Extractor):
    """The Inception-v3 of 2015-12-05, which published FIDs use: 2048 features.

    It differs from `keras.applications.InceptionV3` in its weights, in 1008
    classes, in a maximum in its last block, and in how it enlarges images.
    Logits are without a bias, as published Inception scores are.

    Args:
        path: str, `pathlib.Path`, or None. Its weights,
            `pt_inception-2015-12-05-6726825d.pth`, whose checksum is compared;
            or the same arrays as `.npz` or `.safetensors`, which cannot be
            compared: then the name says so, and `fid` is False. None looks
            for the file on this machine, see `inception_file`.
            Defaults to `None`.
        resize: str. `"legacy_tensorflow"`, as in most published figures,
            `"legacy_pytorch"` or `"clean"`. Defaults to
            `"legacy_tensorflow"`.
        download: bool. Whether to fetch the file (96 MB) if it is not on this
            machine. Defaults to `True`.
        batch_size: int. Defaults to 32.

    Raises:
        ExtractorError: The weights are not there, or another file.

    Example:

    ```python
    features, logits = Inception().extract(images)
    ```

    Reference:
    - [Szegedy et al., 2015](https://arxiv.org/abs/1512.00567)
    - [Heusel et al., 2017](https://arxiv.org/abs/1706.08500)
    """

    def __init__(
        self,
        path=None,
        *,
        resize="legacy_tensorflow",
        download=True,
        batch_size=32,
    ):
        path = inception_file(download) if path is None else path
        suffix = Path(path).suffix.lower()
        converted = suffix in (".npz", ".safetensors")
        state = StateDict(path, None if converted else INCEPTION_SHA256)
        super().__init__(
            # As pytorch-fid: images in 0..1, and 2 x - 1.
            inception(state, 127.5 if resize == "legacy_pytorch" else 128.0),
            f"inception-2015-12-05{'-unverified' if converted else ''}",
            resize=resize,
            batch_size=batch_size,
        )
        self.weights_sha256 = state.sha256
        self.fid = not converted


def inception(state, middle=128.0):
    """Builds the network.

    Args:
        state: `StateDict`.
        middle: float. The value of a pixel that becomes 0; 0 becomes -1.
            Defaults to 128.

    Returns:
        A `keras.Model` from float32 images `(n, 299, 299, 3)` in 0..255 to
        features `(n, 2048)` and logits `(n, 1008)`.
    """

    net = NetworkBuilder(state)

    def convolution(x, name, outputs, kernel, kind="same"):
        return ops.relu(
            net.convolution(
                x,
                f"{name}.conv",
                f"{name}.bn",
                outputs,
                kernel,
                strides=2 if kind == "shrink" else 1,
                padding="same" if kind == "same" else "valid",
            )
        )

    def follow(x, steps, prefix=""):
        for step in steps:
            if step == "shrink":
                x = net.pool(x, "maximum", 3, strides=2, padding="valid")
            elif isinstance(step, str):
                x = net.pool(x, step, 3)
            elif isinstance(step, tuple):
                name, *rest = step
                x = convolution(x, prefix + name, *rest)
            else:
                x = net.concatenate([follow(x, [s], prefix) for s in step])
        return x

    inputs = keras.Input((_SIZE, _SIZE, 3), dtype="float32")
    x = follow(net.scale(inputs, middle, middle), _STEM)
    for name, branches in _BLOCKS.items():
        x = net.concatenate(
            [follow(x, branch, f"{name}.") for branch in branches]
        )
    features = net.mean(x)
    logits = net.dense(features, "fc", _CLASSES, use_bias=False)
    return keras.Model(inputs, [features, logits], name="inception_2015_12_05")
