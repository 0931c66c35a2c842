"""What the residual generator and discriminator are made of."""

import keras
from keras import layers

from keras_lapgan.networks import network


class Maps:
    """Makes the layers of a residual network, named in their order.

    Nothing is normalised. A block starts as the identity, because its last
    convolution starts from zero, which replaces normalization at the start of
    the training (Zhang et al., 2019; Huang et al., 2024).

    Args:
        dtype: dtype name or policy of the layers.
    """

    def __init__(self, dtype):
        self.dtype = dtype
        self.counts = {}

    def _name(self, kind):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return f"{kind}_{self.counts[kind]}"

    def activate(self, x):
        """Leaky ReLU of slope 0.2."""
        name = self._name("activation")
        return layers.LeakyReLU(0.2, dtype=self.dtype, name=name)(x)

    def convolve(self, x, filters, kernel_size, initializer):
        """A 'same' convolution of stride 1, linear."""
        return layers.Conv2D(
            filters,
            kernel_size,
            padding="same",
            data_format="channels_last",
            kernel_initializer=initializer,
            dtype=self.dtype,
            name=self._name("conv"),
        )(x)

    def block(self, x):
        """Two 3x3 convolutions, each after an activation, added to `x`."""
        filters = x.shape[-1]
        y = self.convolve(self.activate(x), filters, 3, he_normal())
        y = self.convolve(self.activate(y), filters, 3, "zeros")
        return layers.Add(dtype=self.dtype, name=self._name("add"))([x, y])

    def widen(self, x, filters):
        """A 1x1 convolution to `filters` maps, if there are others."""
        if x.shape[-1] == filters:
            return x
        return self.convolve(x, filters, 1, linear())

    def halve(self, x, filters):
        """Means of 2x2 pixels, as `filters` maps."""
        name = self._name("down")
        x = layers.AveragePooling2D(
            2, data_format="channels_last", dtype=self.dtype, name=name
        )(x)
        return self.widen(x, filters)

    def double(self, x, filters):
        """`filters` maps of twice the side, each pixel repeated."""
        x = self.widen(x, filters)
        name = self._name("up")
        return layers.UpSampling2D(
            2, data_format="channels_last", dtype=self.dtype, name=name
        )(x)


def he_normal():
    """For layers before an activation."""
    return keras.initializers.VarianceScaling(2.0, "fan_in")


def linear():
    """For layers without one after them."""
    return keras.initializers.VarianceScaling(1.0, "fan_in")


def check_stages(size, filters):
    """Checks the maps of a residual network, one number for each resolution.

    Args:
        size: pair of ints. Height and width of the finest.
        filters: tuple of ints, finest first; each next has half the side.

    Returns:
        A tuple of ints.

    Raises:
        ValueError: If the side can't be halved so often.
    """
    filters = network.check_counts("filters", filters)
    times = 2 ** (len(filters) - 1)
    if any(side % times for side in size):
        raise ValueError(
            f"`filters` has {len(filters)} resolutions, so `size` should be a "
            f"multiple of {times}. Received: size={size}, filters={filters}"
        )
    return filters
