"""Pooling of neighbouring channels by their L2 norm."""

import keras
from keras import layers
from keras import ops

# Keeps the square root's gradient finite where both channels are 0.
EPSILON = 1e-12


@keras.saving.register_keras_serializable("keras_lapgan")
class PairwiseL2Pooling(layers.Layer):
    """Pools pairs of neighbouring channels by their L2 norm.

    Channels `2 i` and `2 i + 1` become `sqrt(a**2 + b**2)`: Torch's feature
    pooling of width 2 and stride 2 with power 2, as the released LSUN
    generator has it. The gradient is 0 where both are 0. Computes in float32,
    in which small squares do not vanish, and returns the layer's compute
    dtype.

    Call arguments:
        inputs: Float tensor of shape `(..., 2 * channels)`.

    Returns:
        A tensor of shape `(..., channels)`, values >= 0.

    Raises:
        ValueError: The number of channels is odd.

    Example:

    ```python
    inputs = np.array([[3.0, 4.0, 0.0, 2.0]])
    keras_lapgan.layers.PairwiseL2Pooling()(inputs)  # [[5.0, 2.0]]
    ```

    Reference:
    - [Denton et al., 2015](https://arxiv.org/abs/1506.05751)
    """

    def build(self, input_shape):
        self._pooled(input_shape)
        self.built = True

    def call(self, inputs):
        channels = self._pooled(inputs.shape)
        values = ops.square(ops.cast(inputs, "float32"))
        pairs = (*ops.shape(inputs)[:-1], channels, 2)
        total = ops.sum(ops.reshape(values, pairs), axis=-1)
        norm = ops.sqrt(total + EPSILON)
        return ops.cast(norm, self.compute_dtype)

    def _pooled(self, shape):
        channels = shape[-1]
        if channels is None or channels % 2:
            raise ValueError(
                "Expected an even number of channels. "
                f"Received: shape={tuple(shape)}"
            )
        return channels // 2

    def compute_output_shape(self, input_shape):
        return (*tuple(input_shape)[:-1], self._pooled(input_shape))
