"""Initializers that the networks share."""

import math

import keras


def torch_uniform(fan_in):
    """Makes Torch's default initialization of a convolution or linear layer.

    Kernel and bias are both drawn from `U(-1 / sqrt(fan_in),
    1 / sqrt(fan_in))`. Each call makes new initializers, because two weights
    that share one start out with the same values.

    Args:
        fan_in: int. Number of inputs that each output of the layer sums over:
            `kernel height x kernel width x channels of one group` for a
            convolution, the number of features for a dense layer.

    Returns:
        A dict with `kernel_initializer` and `bias_initializer`, to be handed
        on to a layer's constructor.

    Example:

    ```python
    conv = keras.layers.Conv2D(64, 7, **torch_uniform(7 * 7 * 4))
    ```
    """
    limit = 1.0 / math.sqrt(fan_in)
    return {
        "kernel_initializer": keras.initializers.RandomUniform(-limit, limit),
        "bias_initializer": keras.initializers.RandomUniform(-limit, limit),
    }


def normal(stddev):
    """Makes the initialization of the dense networks.

    Kernels are drawn from `N(0, stddev)`, biases are zero.

    Args:
        stddev: float. Standard deviation of the kernel.

    Returns:
        A dict with `kernel_initializer` and `bias_initializer`, to be handed
        on to a layer's constructor.

    Example:

    ```python
    dense = keras.layers.Dense(1200, **normal(0.05))
    ```
    """
    return {
        "kernel_initializer": keras.initializers.RandomNormal(0.0, stddev),
        "bias_initializer": "zeros",
    }
