"""Which arrays a preset's weights file holds, by its config.

The paths are Keras': classes in snake case, numbered where there are several.
"""

import itertools
import math

from keras_lapgan.utils.preset_error import PresetError

_STATISTICS = "layers/image_normalization"


def weights_layout(config):
    """Returns the arrays of a model, without building it.

    Args:
        config: dict. A `LAPGAN` in Keras' serialised form, as `check_config`
            lets through.

    Returns:
        A dict from an array's path in the weights file to its shape.

    Raises:
        PresetError: a network has no place for its convolutions.
    """
    present = present_levels(config)
    config = config["config"]
    layout = {}
    for place, k in enumerate(present):
        home = level_home(place)
        level = config["levels"][k]["config"]
        for role in ("generator", "discriminator", "ema_generator"):
            network = level[role.removeprefix("ema_")]
            for path, shape in network_layout(network).items():
                layout[f"{home}/{role}/{path}"] = shape
        # How many steps the average has seen.
        layout[f"{home}/vars/0"] = ()
    first = config["levels"][0]["config"]["generator"]["config"]
    statistics = {
        "unit": (1, 1, 1),
        "per_channel": (1, 1, first.get("channels", 3)),
        "per_pixel": (*_pair(first["size"]), first.get("channels", 3)),
    }[config.get("normalization", "unit")]
    for i, shape in enumerate((statistics, statistics, ())):
        layout[f"{_STATISTICS}/vars/{i}"] = shape
    return layout


def present_levels(config):
    """Returns the numbers of those levels that are built, in order."""
    config = config["config"]
    return sorted(config.get("present", range(len(config["levels"]))))


def level_home(place):
    """Returns the path of the level that is built at a place, from 0."""
    return f"layers/lapgan_level{f'_{place}' if place else ''}"


def levels_of(arrays, present, wanted):
    """Returns the arrays of some levels alone, and the normalisation's.

    Args:
        arrays: dict from path to array.
        present: list of int. The levels that they are of.
        wanted: list of int, some of these.
    """
    homes = {
        level_home(present.index(k)): level_home(place)
        for place, k in enumerate(wanted)
    }
    found = {}
    for path, value in arrays.items():
        home = "/".join(path.split("/")[:2])
        if home in homes:
            found[homes[home] + path[len(home) :]] = value
        elif home == _STATISTICS:
            found[path] = value
    return found


def parameter_count(config):
    """Returns the number of parameters of the levels that are built."""
    counts = parameter_counts(config)
    return sum(sum(counts[k]) for k in present_levels(config))


def parameter_counts(config):
    """Returns a level's `(generator, discriminator)` parameters, for each."""
    return [
        tuple(
            sum(map(math.prod, network_layout(level["config"][role]).values()))
            for role in ("generator", "discriminator")
        )
        for level in config["config"]["levels"]
    ]


def resampling_numbers(config):
    """Counts the numbers of the matrices between a pyramid's levels."""
    levels = config["config"]["levels"]
    sizes = [
        _pair(level["config"]["generator"]["config"]["size"])
        for level in levels
    ]
    sizes.insert(0, _pair(config["config"].get("source_size") or sizes[0]))
    # Down and up.
    return 2 * sum(
        a * b
        for finer, coarser in itertools.pairwise(sizes)
        for a, b in zip(finer, coarser, strict=True)
    )


def network_layout(network):
    """Returns the arrays of one network, as `weights_layout` does."""
    name, config = network["class_name"], network["config"]
    layers = _LAYERS[name](
        **{
            "channels": 3,
            "num_classes": 0,
            "conditional": not name.startswith("Dense"),
            **config,
            "size": _pair(config["size"]),
        }
    )
    layout, seen = {}, {}
    for kind, *shapes in layers:
        number = seen[kind] = seen.get(kind, -1) + 1
        home = f"layers/{kind}{f'_{number}' if number else ''}/vars"
        for i, shape in enumerate(shapes):
            if min(shape, default=1) < 1:
                raise PresetError(
                    f"{name} of size {config['size']!r} has no place for its "
                    "convolutions."
                )
            layout[f"{home}/{i}"] = shape
    return layout


def _pair(size):
    return (size, size) if isinstance(size, int) else tuple(size)


# === Layers: a kind and the shapes of its weights ===


def _dense(*widths):
    return [
        ("dense", (a, b), (b,))
        for a, b in zip(widths, widths[1:], strict=False)
    ]


def _convolution(kernel, channels, filters, groups=1):
    shape = (kernel, kernel, channels // groups, filters)
    kind = "conv2d" if groups == 1 else "grouped_conv2d"
    return (kind, shape, (filters,))


def _class_plane(num_classes, size):
    if not num_classes:
        return []
    return [("class_plane", (num_classes, math.prod(size)), (math.prod(size),))]


def _maps(num_classes, channels, conditional=False):
    """Maps that a convolutional network sees, its own input's first."""
    return bool(num_classes) + (channels if conditional else 0)


# === Networks ===


def _dense_generator(
    size,
    channels,
    num_classes,
    conditional,
    hidden_units=(1200, 1200),
    noise_dim=100,
    **_,
):
    pixels = math.prod(size) * channels
    width = noise_dim + (pixels if conditional else 0) + num_classes
    return _dense(width, *hidden_units, pixels)


def _dense_discriminator(
    size, channels, num_classes, hidden_units=(600, 600), **_
):
    return _dense(math.prod(size) * channels + num_classes, *hidden_units, 1)


def _convolutional_generator(
    size,
    channels,
    num_classes,
    conditional,
    filters=128,
    kernel_sizes=(7, 7, 5),
    **_,
):
    maps = 1 + _maps(num_classes, channels, conditional)
    widths = (maps, filters, filters, channels)
    return _class_plane(num_classes, size) + [
        _convolution(kernel, *pair)
        for kernel, pair in zip(
            kernel_sizes, zip(widths, widths[1:], strict=False), strict=True
        )
    ]


def _convolutional_discriminator(
    size, channels, num_classes, filters=128, kernel_size=5, **_
):
    maps = channels + _maps(num_classes, channels)
    left = [(n - 2 * (kernel_size - 1) + 1) // 2 for n in size]
    return [
        *_class_plane(num_classes, size),
        _convolution(kernel_size, maps, filters),
        _convolution(kernel_size, filters, filters),
        *_dense(_positive(*left) * filters, 1),
    ]


def _positive(*sizes):
    """Their product, or 0 if one is not positive."""
    return math.prod(max(0, n) for n in sizes)


def _lsun_generator(size, channels, num_classes, conditional, **_):
    maps = 1 + _maps(num_classes, channels, conditional)

    def normalized(kernel, channels, filters, groups):
        return [
            _convolution(kernel, channels, filters, groups),
            ("batch_normalization", (filters,), (filters,)),
        ]

    return [
        *_class_plane(num_classes, size),
        *normalized(7, maps, 64, 1),
        *normalized(7, 64, 368, 4),
        *normalized(7, 368, 128, 4),
        # Pairs of maps are pooled into one.
        *normalized(5, 64, 224, 2),
        *normalized(7, 224, channels, 1),
    ]


def _lsun_discriminator(size, channels, num_classes, **_):
    maps = channels + _maps(num_classes, channels)
    left = [n - 12 for n in size]
    return [
        *_class_plane(num_classes, size),
        _convolution(3, maps, 48),
        _convolution(5, 48, 448, 4),
        _convolution(7, 448, 416, 16),
        *_dense(_positive(*left) * 416, 1),
    ]


def _blocks(filters, count):
    return 2 * count * [_convolution(3, filters, filters)]


def _widened(before, filters):
    return [_convolution(1, before, filters)] if before != filters else []


def _coarsest(size, filters):
    """Numbers of a residual network's maps of the coarsest resolution."""
    times = 2 ** (len(filters) - 1)
    if any(n % times for n in size):
        raise PresetError(
            f"A residual network of {len(filters)} resolutions needs sides "
            f"that are multiples of {times}. Received: size={list(size)}"
        )
    return math.prod(n // times for n in size) * filters[-1]


def _residual_generator(
    size,
    channels,
    num_classes,
    conditional,
    filters=(64, 128),
    blocks=1,
    noise_dim=100,
    **_,
):
    coarsest = _coarsest(size, filters)
    down = itertools.pairwise(filters)
    up = itertools.pairwise(filters[::-1])
    if conditional:
        maps = 1 + _maps(num_classes, channels, conditional)
        first = [
            *_class_plane(num_classes, size),
            _convolution(3, maps, filters[0]),
        ]
        for before, after in down:
            first += _blocks(before, 1) + _widened(before, after)
    else:
        first = _dense(noise_dim + num_classes, coarsest)
    layers = first + _blocks(filters[-1], blocks)
    for before, after in up:
        layers += _widened(before, after) + _blocks(after, blocks)
    return [*layers, _convolution(3, filters[0], channels)]


def _residual_discriminator(
    size, channels, num_classes, filters=(64, 128), blocks=1, units=256, **_
):
    layers = [_convolution(3, channels, filters[0])]
    layers += _blocks(filters[0], blocks)
    for before, after in itertools.pairwise(filters):
        layers += _widened(before, after) + _blocks(after, blocks)
    return layers + _dense(_coarsest(size, filters), units, num_classes or 1)


_LAYERS = {
    "DenseGenerator": _dense_generator,
    "DenseDiscriminator": _dense_discriminator,
    "ConvolutionalGenerator": _convolutional_generator,
    "ConvolutionalDiscriminator": _convolutional_discriminator,
    "LSUNGenerator": _lsun_generator,
    "LSUNDiscriminator": _lsun_discriminator,
    "ResidualGenerator": _residual_generator,
    "ResidualDiscriminator": _residual_discriminator,
}
