"""What the generators and discriminators of every kind have in common."""

import math

import keras
from keras import layers
from keras import ops

from keras_lapgan.layers.class_plane import ClassPlane


class Network(keras.Model):
    """Base class of the generators and discriminators of one level.

    A network is a functional model over a dict of inputs. Subclasses build the
    graph and hand it over; this class keeps the arguments that all networks
    share, checks them and writes them to the config.

    Args:
        inputs: dict of `keras.KerasTensor`. The graph's inputs by name.
        outputs: `keras.KerasTensor`. The graph's output.
        size: int or pair of ints. Height and width of the band.
        channels: int. Channels of the band. Defaults to `3`.
        num_classes: int. Number of classes, `0` for an unconditional network.
            Defaults to `0`.
        conditional: bool. Whether the network takes the upsampled coarser
            image as a condition. Defaults to `True`.
        dtype: dtype name or policy of the layers before the output, which is
            always float32. `None` takes Keras' global policy. Defaults to
            `None`.
        name: str. Name of the model. Defaults to `None`.
    """

    def __init__(
        self,
        inputs,
        outputs,
        *,
        size,
        channels=3,
        num_classes=0,
        conditional=True,
        dtype=None,
        **kwargs,
    ):
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        policy = dtype or keras.config.dtype_policy()
        self.dtype_policy = keras.dtype_policies.get(policy)

        # === Config ===
        self.size = size if isinstance(size, int) else tuple(size)
        self.channels = channels
        self.num_classes = num_classes
        self.conditional = conditional

    def get_config(self):
        return {
            "size": self.size,
            "channels": self.channels,
            "num_classes": self.num_classes,
            "conditional": self.conditional,
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        # `keras.Model` would rebuild the graph from a list of layers.
        config = dict(config)
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = keras.dtype_policies.deserialize(
                config["dtype"], custom_objects
            )
        return cls(**config)


def check_level(size, channels, num_classes):
    """Checks the arguments that all networks share.

    Args:
        size: int or pair of ints. Height and width of the band.
        channels: int. Channels of the band.
        num_classes: int. Number of classes, `0` for none.

    Returns:
        A pair of ints, height and width.

    Raises:
        ValueError: If an argument is not a whole number in its range.
    """
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "keras-lapgan works on channels_last pictures: weights, pyramid "
            "and class planes have that layout. Call "
            "`keras.config.set_image_data_format('channels_last')`. Received: "
            f"image_data_format={keras.config.image_data_format()!r}"
        )
    pair = (size, size) if is_count(size) else size
    if (
        not isinstance(pair, tuple | list)
        or len(pair) != 2
        or not all(is_count(n) for n in pair)
    ):
        raise ValueError(
            "`size` should be a positive int or a pair of them, height and "
            f"width. Received: size={size!r}"
        )
    check_count("channels", channels)
    if not is_count(num_classes, minimum=0):
        raise ValueError(
            "`num_classes` should be an int, 0 for an unconditional network. "
            f"Received: num_classes={num_classes!r}"
        )
    return tuple(pair)


def check_count(name, value):
    """Raises a `ValueError` unless `value` is a positive int."""
    if not is_count(value):
        raise ValueError(
            f"`{name}` should be a positive int. Received: {name}={value!r}"
        )


def check_counts(name, value):
    """Checks a non-empty sequence of positive ints.

    Args:
        name: str. Name of the argument, for the message.
        value: sequence of ints.

    Returns:
        A tuple of ints.

    Raises:
        ValueError: If `value` is anything else.
    """
    if (
        not isinstance(value, tuple | list)
        or not value
        or not all(is_count(n) for n in value)
    ):
        raise ValueError(
            f"`{name}` should be a tuple of positive ints. "
            f"Received: {name}={value!r}"
        )
    return tuple(value)


def check_dropout(value):
    """Raises a `ValueError` unless `value` is a rate in [0, 1)."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value < 1
    ):
        raise ValueError(
            f"`dropout` should be a rate in [0, 1). Received: dropout={value!r}"
        )


def check_stddev(value):
    """Raises a `ValueError` unless `value` is a number above 0."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 < value < math.inf
    ):
        raise ValueError(
            "`kernel_stddev` should be a number above 0. "
            f"Received: kernel_stddev={value!r}"
        )


def is_count(value, minimum=1):
    """Tells whether `value` is an int of at least `minimum`."""
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and value >= minimum
    )


def image_input(name, size, channels):
    """Makes the input of a band or a condition, float32 `(B, h, w, c)`."""
    return keras.Input((*size, channels), name=name, dtype="float32")


def label_input():
    """Makes the input of the labels, int32 `(B,)`."""
    return keras.Input((), name="labels", dtype="int32")


def one_hot(labels, num_classes, dtype):
    """Encodes labels `(B,)` as vectors `(B, num_classes)`."""
    policy = keras.dtype_policies.get(dtype)
    return ops.one_hot(labels, num_classes, dtype=policy.compute_dtype)


def generator_inputs(size, channels, num_classes, conditional):
    """Makes the dict of inputs of a convolutional generator."""
    inputs = {"noise": image_input("noise", size, 1)}
    if conditional:
        inputs["condition"] = image_input("condition", size, channels)
    if num_classes:
        inputs["labels"] = label_input()
    return inputs


def generator_maps(inputs, size, num_classes, dtype):
    """Joins a convolutional generator's inputs into one stack of maps.

    The order is that of the released weights: noise plane, class plane,
    condition.
    """
    maps = [inputs["noise"]]
    if num_classes:
        plane = ClassPlane(num_classes, size, dtype=dtype, name="class_plane")
        maps.append(plane(inputs["labels"]))
    if "condition" in inputs:
        maps.append(inputs["condition"])
    if len(maps) == 1:
        return maps[0]
    return layers.Concatenate(dtype=dtype, name="concat")(maps)


def discriminator_inputs(size, channels, num_classes, conditional):
    """Makes the dict of inputs of a discriminator."""
    inputs = {"band": image_input("band", size, channels)}
    if conditional:
        inputs["condition"] = image_input("condition", size, channels)
    if num_classes:
        inputs["labels"] = label_input()
    return inputs


def discriminator_image(inputs):
    """Adds the condition to the band, so that D judges the image.

    The sum is float32 under any policy: it is the pyramid's reconstruction.
    """
    if "condition" not in inputs:
        return inputs["band"]
    add = layers.Add(dtype="float32", name="image")
    return add([inputs["band"], inputs["condition"]])


def discriminator_maps(inputs, size, num_classes, dtype):
    """Joins a convolutional discriminator's inputs into one stack of maps."""
    image = discriminator_image(inputs)
    if not num_classes:
        return image
    plane = ClassPlane(num_classes, size, dtype=dtype, name="class_plane")
    concat = layers.Concatenate(dtype=dtype, name="concat")
    return concat([image, plane(inputs["labels"])])
