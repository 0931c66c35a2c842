"""A class label as one plane beside an image's channels."""

import math

import keras
from keras import layers
from keras import ops

from keras_lapgan.layers.resampling import standardize_size


@keras.saving.register_keras_serializable("keras_lapgan")
class ClassPlane(layers.Layer):
    """Turns class labels into planes of an image's size.

    A one-hot label passes through a linear layer and an activation; its
    output is reshaped into one plane, to be concatenated to the input maps of
    a class-conditional network. Kernel and bias start uniform in
    `+-1/sqrt(num_classes)`, as in the released code.

    Args:
        num_classes: int. Number of classes.
        size: int or tuple of 2 ints. Height and width of the plane.
        activation: str or callable. Activation after the linear layer.
            Defaults to `"relu"`.

    Call arguments:
        labels: Integer tensor of shape `(batch,)`, values from 0 to
            `num_classes - 1`.

    Returns:
        A tensor of shape `(batch, height, width, 1)` in the layer's compute
        dtype.

    Example:

    ```python
    plane = keras_lapgan.layers.ClassPlane(num_classes=10, size=28)
    plane(np.array([3, 7])).shape  # (2, 28, 28, 1)
    plane.count_params()           # 8624
    ```

    Reference:
    - [Denton et al., 2015](https://arxiv.org/abs/1506.05751)
    """

    def __init__(self, num_classes, size, activation="relu", **kwargs):
        super().__init__(**kwargs)
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ValueError(
                "Expected num_classes to be a positive integer. "
                f"Received: num_classes={num_classes!r}"
            )
        self.num_classes = num_classes
        self.size = standardize_size(size)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        limit = 1 / math.sqrt(self.num_classes)
        units = self.size[0] * self.size[1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.num_classes, units),
            initializer=keras.initializers.RandomUniform(-limit, limit),
        )
        self.bias = self.add_weight(
            name="bias",
            shape=(units,),
            initializer=keras.initializers.RandomUniform(-limit, limit),
        )
        self.built = True

    def call(self, labels):
        one_hot = ops.one_hot(
            ops.cast(labels, "int32"),
            self.num_classes,
            dtype=self.compute_dtype,
        )
        plane = ops.add(ops.matmul(one_hot, self.kernel), self.bias)
        plane = self.activation(plane)
        return ops.reshape(plane, (-1, *self.size, 1))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.size, 1)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_classes": self.num_classes,
                "size": self.size,
                "activation": keras.activations.serialize(self.activation),
            }
        )
        return config
