import keras
from keras import layers
from keras import ops


class NetworkBuilder:
    """Adds layers to a network, with weights that were trained elsewhere.

    All compute in float32 under every policy. Batch normalisation is part of
    the convolution before it.

    Args:
        state: `StateDict`. The weights.
    """

    def __init__(self, state):
        self._state = state
        # Keras copies what is not so at each convolution of torch.
        first = keras.backend.backend() == "torch"
        self._format = "channels_first" if first else "channels_last"
        self._axis = 1 if first else 3

    def scale(self, images, middle, unit):
        """`(images - middle) / unit`, in the order that layers take."""
        x = (images - middle) / unit
        return ops.transpose(x, (0, 3, 1, 2)) if self._axis == 1 else x

    def convolution(
        self, x, name, norm, outputs, kernel=1, strides=1, padding="same"
    ):
        """A convolution named `name`, then the normalisation `norm`."""
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        layer = layers.Conv2D(
            outputs,
            kernel,
            strides,
            padding,
            self._format,
            kernel_initializer="zeros",
            dtype="float32",
        )
        shape = (outputs, x.shape[self._axis], *kernel)
        x = layer(x)
        layer.set_weights(self._state.convolution(name, norm, shape))
        return x

    def depthwise(self, x, name, norm, kernel, strides=1):
        """A convolution of each channel alone."""
        layer = _Depthwise(
            kernel,
            strides,
            "same",
            data_format=self._format,
            depthwise_initializer="zeros",
            dtype="float32",
        )
        shape = (x.shape[self._axis], 1, kernel, kernel)
        x = layer(x)
        kernel, bias = self._state.convolution(name, norm, shape)
        layer.set_weights([kernel.transpose(0, 1, 3, 2), bias])
        return x

    def pool(self, x, kind, size, strides=1, padding="same"):
        """The `"average"` or `"maximum"` of squares; padding never counts."""
        pool = ops.average_pool if kind == "average" else ops.max_pool
        return pool(x, size, strides, padding, self._format)

    def concatenate(self, tensors):
        """Channels of tensors side by side."""
        return ops.concatenate(tensors, axis=self._axis)

    def mean(self, x):
        """The mean of each channel."""
        return ops.mean(x, axis=(2, 3) if self._axis == 1 else (1, 2))

    def dense(self, x, name, outputs, use_bias=True):
        """A dense layer."""
        layer = layers.Dense(
            outputs,
            use_bias=use_bias,
            kernel_initializer="zeros",
            dtype="float32",
        )
        shape = (outputs, x.shape[1])
        x = layer(x)
        weights = [self._state.take(f"{name}.weight", shape).T]
        if use_bias:
            weights.append(self._state.take(f"{name}.bias", shape[:1]))
        layer.set_weights(weights)
        return x


class _Depthwise(layers.DepthwiseConv2D):
    def call(self, inputs):
        if keras.backend.backend() != "jax":
            return super().call(inputs)
        # XLA's own takes 2 to 15 times as long on a CPU.
        size, step = self.kernel_size[0], self.strides[0]
        spans = [step * ((n - 1) // step) + 1 for n in inputs.shape[1:3]]
        pads = []
        for n, span in zip(inputs.shape[1:3], spans, strict=True):
            pad = max(span - 1 + size - n, 0)
            pads.append((pad // 2, pad - pad // 2))
        x = ops.pad(inputs, [(0, 0), *pads, (0, 0)])
        total = self.bias
        for i in range(size):
            for j in range(size):
                shifted = x[:, i : i + spans[0] : step, j : j + spans[1] : step]
                total = total + shifted * self.kernel[i, j, :, 0]
        return total
