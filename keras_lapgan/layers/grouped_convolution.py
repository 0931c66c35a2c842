"""Convolutions in groups that are fast to train on a CPU."""

import keras
from keras import layers
from keras import ops


@keras.saving.register_keras_serializable("keras_lapgan")
class GroupedConv2D(layers.Conv2D):
    """`keras.layers.Conv2D` whose groups are computed apart on a CPU.

    TensorFlow has no grouped convolution on a CPU outside XLA, and XLA, so JAX
    too, takes very long over the gradient with respect to the kernel: forward
    and both gradients of 448 maps of 26x26 to 416 in 16 groups of 7x7, for 8
    pictures on two cores, take 28 to 32 s, and .2 to .5 s group by group. On
    other devices and on torch this is `keras.layers.Conv2D`. Arguments,
    weights and results are the same everywhere.

    Args:
        filters: int. Number of output maps.
        kernel_size: int or tuple of 2 ints.
        **kwargs: see `keras.layers.Conv2D`.

    Call arguments:
        inputs: float tensor of shape `(batch, height, width, channels)`, the
            channels divisible by `groups`.

    Returns:
        A float tensor of shape `(batch, new_height, new_width, filters)`.

    Example:

    ```python
    layer = keras_lapgan.layers.GroupedConv2D(416, 7, groups=16)
    layer(np.zeros((2, 26, 26, 448))).shape  # (2, 20, 20, 416)
    ```
    """

    def convolution_op(self, inputs, kernel):
        convolution = super().convolution_op
        if self.groups == 1 or not splits_groups():
            return convolution(inputs, kernel)
        axis = -1 if self.data_format == "channels_last" else 1
        parts = zip(
            ops.split(inputs, self.groups, axis=axis),
            ops.split(kernel, self.groups, axis=-1),
            strict=True,
        )
        return ops.concatenate([convolution(*part) for part in parts], axis)


def splits_groups():
    """Tells whether groups are computed apart on this backend and device."""
    return (
        keras.backend.backend() != "torch"
        and keras.distribution.list_devices()[0].startswith("cpu")
    )
