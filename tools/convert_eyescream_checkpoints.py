"""Makes a preset of the nets that LAPGAN's authors trained, from your copy.

    pip install msgpack
    python tools/convert_eyescream_checkpoints.py FOLDER OUTPUT \\
        --data cifar10 --complete runs/eyescream

FOLDER holds, from the web demo of the authors' `eyescream` repository,
`8x8.mpac` and `14x28.mpac.gz` (each plain or gzipped), two generators of a
class-conditional LAPGAN of CIFAR-10, 8 -> 14 -> 28. OUTPUT, a new folder, is
then a preset for `LAPGAN.from_preset`:

    level  generator                            discriminator
    0      14x28, the authors', 852,659 params  fresh
    1      fresh: their 8x14 net is not there   fresh
    2      8x8, the authors', 542,592 params    fresh

Fresh means untrained. What is theirs draws alone: `generate(...,
return_pyramid=True)[2]`, and `generate_from(pictures, level=1)`.

`--complete RUNS` trains what is fresh, in runs inside RUNS that the same
command resumes: `--epochs` passes over the data of level 1, then `--steps` of
the discriminators of the others, whose generators stay as the authors left
them, to the last bit (their learning rate is 0). OUTPUT then draws whole
pictures; `OUTPUT/samples.png` shows some, each stretched to 0..255 as the
authors' demo did.

The files are MessagePack: Torch7 modules as nested maps, `weight` and `bias`
flat. Linear weights are stored (out, in), and the 192 outputs at 8x8 are
(channel, row, column). Convolutions are stored (out, row, column, in), not in
Torch's order, for the demo's JavaScript; they are cross-correlations with
'same' padding, as here. The class plane is a 1x1 convolution from 10 classes
to 784 pixels. Inputs are joined as noise, class, condition.

The nets work on pictures normalised per pixel, but the files don't hold the
statistics, so `--data` (as in `keras_lapgan.datasets.load_images`) says where
to take them. The default is the package's sample of 1,000 pictures, whose mean
is within 2 of 255 of CIFAR-10's at a typical pixel.

Licence: the authors' repository states none. Neither their files nor a preset
made from them may be published or committed; keep both to yourself.
"""

import argparse
import gzip
import math
import os
import reprlib
import signal
import zlib
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

#: Of a file, unpacked. The larger one has 4.3 MB.
MAX_BYTES = 16_000_000
#: What a file holds, module by module from the outside in: type, shape of the
#: weights as stored, other entries.
DENSE = (
    ("Sequential", None, {}),
    ("JoinTable", None, {}),
    ("Linear", (600, 110), {"outSize": 600, "inSize": 110}),
    ("ReLU", None, {}),
    ("Linear", (600, 600), {"outSize": 600, "inSize": 600}),
    ("ReLU", None, {}),
    ("Linear", (192, 600), {"outSize": 192, "inSize": 600}),
    ("View", None, {"dims": [3, 8, 8]}),
)
CONVOLUTIONAL = (
    ("Sequential", None, {}),
    ("Parallel", None, {}),
    ("Identity", None, {}),
    ("Sequential", None, {}),
    ("SpatialConvolution", (784, 1, 1, 10), {"padH": 0, "padW": 0}),
    ("ReLU", None, {}),
    # Says (3, 8, 8) as well, by a slip of whoever wrote the file.
    ("View", None, {}),
    ("Identity", None, {}),
    ("JoinTable", None, {}),
    ("SpatialConvolution", (128, 7, 7, 5), {"padH": 3, "padW": 3}),
    ("ReLU", None, {}),
    ("SpatialConvolution", (128, 7, 7, 128), {"padH": 3, "padW": 3}),
    ("ReLU", None, {}),
    ("SpatialConvolution", (3, 5, 5, 128), {"padH": 2, "padW": 2}),
)
NOTE = (
    "The generators of levels 0 and 2 are the LAPGAN authors' own, converted "
    "from their eyescream repository. The generator of level 1 (8 -> 14) and "
    "all discriminators are {state}. Pixel statistics: {data}."
)
#: Planes of the networks that are not theirs.
FILTERS = 64
#: What every preset that goes on from these weights hands on.
NOTICE = """\
Some of these weights come from the web demo of LAPGAN's authors (Denton,
Chintala, Szlam, Fergus, 2015), whose repository states no licence. Do not
publish them, nor what is trained from them.
"""

_SHORT = reprlib.Repr()
_SHORT.maxlist = 20
_SHORT.maxother = 100


class CheckpointError(ValueError):
    """A file is not one of the authors' nets; one line says why."""


# === Reading ===


def find_file(folder, name):
    """Returns the path of `name` in `folder`, or of `name` gzipped."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise CheckpointError(
        f"FOLDER must hold {name} or {name}.gz. Received: FOLDER={str(folder)}"
    )


def read_network(path, modules):
    """Reads the layers of a net, in order.

    Args:
        path: `pathlib.Path` of a MessagePack file, maybe gzipped.
        modules: `DENSE` or `CONVOLUTIONAL`, what the file must hold.

    Returns:
        A list of `(weight, bias)`, float32, in the file's layout.

    Raises:
        CheckpointError: the file is damaged or holds something else.
    """
    found = list(_walk(_unpack(_read_bytes(path), path), path))
    types = [module.get("type") for module in found]
    expected = [kind for kind, _, _ in modules]
    if types != expected:
        raise CheckpointError(
            f"{path} must hold {' '.join(expected)}. "
            f"Received: {_SHORT.repr(types)}"
        )
    layers = []
    for module, (kind, shape, entries) in zip(found, modules, strict=True):
        for name, value in entries.items():
            if module.get(name) != value:
                raise CheckpointError(
                    f"{path}: a {kind} must have {name}={value}. "
                    f"Received: {name}={_SHORT.repr(module.get(name))}"
                )
        if shape:
            weight = _array(module, "weight", shape, path)
            layers.append((weight, _array(module, "bias", shape[:1], path)))
    return layers


def _read_bytes(path):
    try:
        with open(path, "rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
        with (gzip.open if is_gzip else open)(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise CheckpointError(
            f"{path} cannot be read, get it again. Received: {error}"
        ) from error
    if len(data) > MAX_BYTES:
        raise CheckpointError(
            f"{path} must hold at most {MAX_BYTES:,} bytes, unpacked. "
            "Received: more"
        )
    return data


def _unpack(data, path):
    try:
        import msgpack
    except ImportError as error:
        raise CheckpointError(
            "The files are MessagePack, which Python reads after "
            "`pip install msgpack`. Received: no module `msgpack`"
        ) from error
    try:
        return msgpack.unpackb(
            data,
            max_str_len=100,
            max_bin_len=0,
            max_ext_len=0,
            max_map_len=16,
            # The largest layer's weights.
            max_array_len=128 * 7 * 7 * 128,
        )
    except (ValueError, msgpack.UnpackException) as error:
        raise CheckpointError(
            f"{path} must be a MessagePack file as the authors' are. "
            f"Received: {_SHORT.repr(error)}"
        ) from error


def _walk(module, path, depth=0):
    """Yields a module and those in it, depth first."""
    inner = module.get("modules", []) if isinstance(module, dict) else None
    if not isinstance(inner, list) or depth > 3:
        raise CheckpointError(
            f"{path} must hold nested maps with `type` and `modules`. "
            f"Received: {_SHORT.repr(module)}"
        )
    yield module
    for one in inner:
        yield from _walk(one, path, depth + 1)


def _array(module, name, shape, path):
    values = module.get(name)
    count = int(np.prod(shape))
    if (
        not isinstance(values, list)
        or len(values) != count
        or not all(type(value) is float for value in values)
        or not np.abs(values).max() < 1e6
    ):
        size = f"{len(values):,} of " if isinstance(values, list) else ""
        raise CheckpointError(
            f"{path}: {module['type']} {shape} must have {count:,} floats "
            f"below a million as {name}. Received: {size}{_SHORT.repr(values)}"
        )
    return np.array(values, "float32").reshape(shape)


# === Converting ===


def convert_dense(layers):
    """Turns the 8x8 net's layers into weights of a `DenseGenerator`.

    Args:
        layers: list of `(weight, bias)` from `read_network`.

    Returns:
        A dict from the name of a layer to its `[kernel, bias]`.
    """
    *hidden, (weight, bias) = layers
    weight = weight.reshape(3, 8, 8, -1).transpose(1, 2, 0, 3)
    bias = bias.reshape(3, 8, 8).transpose(1, 2, 0)
    hidden.append((weight.reshape(192, -1), bias.reshape(192)))
    names = ("dense_1", "dense_2", "output")
    return {
        name: [weight.T, bias]
        for name, (weight, bias) in zip(names, hidden, strict=True)
    }


def convert_convolutional(layers):
    """Turns the 14x28 net's layers into a `ConvolutionalGenerator`'s.

    Args:
        layers: list of `(weight, bias)` from `read_network`.

    Returns:
        A dict from the name of a layer to its `[kernel, bias]`.
    """
    names = ("class_plane", "conv_1", "conv_2", "output")
    weights = {
        name: [weight.transpose(1, 2, 3, 0), bias]
        for name, (weight, bias) in zip(names, layers, strict=True)
    }
    weights["class_plane"][0] = weights["class_plane"][0][0, 0]
    return weights


# === The model ===


def build_model(coarsest, finest):
    """Makes the class-conditional LAPGAN, 28-14-8, with the authors' weights.

    Args:
        coarsest: dict from `convert_dense`.
        finest: dict from `convert_convolutional`.

    Returns:
        A `LAPGAN` whose normalisation is still to be adapted.
    """
    import keras

    from keras_lapgan import LAPGAN
    from keras_lapgan import LAPGANLevel
    from keras_lapgan import networks
    from keras_lapgan.presets.cifar10_preset import CLASS_NAMES
    from keras_lapgan.presets.recipes import quick_recipe

    classes = {"num_classes": len(CLASS_NAMES)}
    own = {**classes, "filters": FILTERS}
    # Discriminators as `quick_recipe` has them.
    pairs = [
        (
            networks.ConvolutionalGenerator(28, **classes),
            networks.ConvolutionalDiscriminator(28, dropout=0.0, **own),
        ),
        (
            networks.ConvolutionalGenerator(14, **own),
            networks.ConvolutionalDiscriminator(14, dropout=0.0, **own),
        ),
        (
            networks.DenseGenerator(8, hidden_units=(600, 600), **classes),
            networks.DenseDiscriminator(
                8, dropout=0.0, kernel_stddev=0.03, **classes
            ),
        ),
    ]
    levels = [LAPGANLevel(g, d, index=k) for k, (g, d) in enumerate(pairs)]
    for level, weights in ((levels[0], finest), (levels[2], coarsest)):
        for network in (level.generator, level.ema_generator):
            for name, arrays in weights.items():
                network.get_layer(name).set_weights(arrays)
    model = LAPGAN(
        levels,
        normalization="per_pixel",
        source_size=32,
        class_names=CLASS_NAMES,
        name="lapgan_eyescream",
    )
    recipe = quick_recipe(3)
    for k in (0, 2):
        # As the authors left it.
        recipe["g_optimizer"][k] = keras.optimizers.SGD(0.0)
    model.compile(**recipe)
    return model


def convert(folder, output, data):
    """Reads, converts and saves; see the top of this file."""
    networks = []
    for name, modules in (("8x8.mpac", DENSE), ("14x28.mpac", CONVOLUTIONAL)):
        path = find_file(folder, name)
        networks.append(read_network(path, modules))
        count = sum(w.size + b.size for w, b in networks[-1])
        print(f"{path.name}: {count:,} parameters")

    import keras

    from keras_lapgan.datasets import load_images

    source = load_images(data, size=32, labels=False)
    # The same fresh networks each time.
    keras.utils.set_random_seed(0)
    model = build_model(
        convert_dense(networks[0]), convert_convolutional(networks[1])
    )
    model.adapt(source.read(range(min(len(source), 50_000))))
    model.terms = ("other", NOTICE)
    note = NOTE.format(state="untrained", data=data)
    model.save_to_preset(output, metadata={"note": note, "batch_size": 64})
    print(
        f"{output}: generators of level 2 (8) and level 0 (14 -> 28), pixel "
        f"statistics of {data}\n"
        "missing, so untrained: the generator of level 1 (8 -> 14), the "
        "discriminators of levels 0, 1 and 2",
        flush=True,
    )


# === Training what is missing ===


def complete(converted, output, arguments):
    """Trains what is fresh in the preset `converted` and saves the whole.

    Args:
        converted: `pathlib.Path` of a preset from `convert`.
        output: `pathlib.Path` of the new preset.
        arguments: of the command line.
    """
    # Beside this file.
    from train_preset import train

    from keras_lapgan import LAPGAN
    from keras_lapgan.evaluation.real_pictures import stretched
    from keras_lapgan.presets.assemble import assemble_presets
    from keras_lapgan.utils.image_grid import image_grid
    from keras_lapgan.utils.image_grid import save_png

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    runs = [arguments.complete / name for name in ("level_1", "levels_0_2")]
    options = [
        ["--levels", 1],
        ["--levels", "0,2", "--steps-per-epoch", arguments.steps],
    ]
    for path, epochs, new in zip(
        runs, (arguments.epochs, 1), options, strict=True
    ):
        if not train(arguments, converted, path, epochs, new, math.inf):
            return
    model, metadata, _ = assemble_presets(runs, LAPGAN)
    # A folder of this machine.
    metadata.pop("preset", None)
    metadata["note"] = NOTE.format(
        state=f"trained here ({arguments.epochs} epochs of level 1, "
        f"{arguments.steps} steps of the other two discriminators)",
        data=arguments.data,
    )
    model.save_to_preset(output, metadata=metadata)
    labels = [k % 10 for k in range(80)]
    images = stretched(model.generate(labels=labels, seed=0))
    save_png(output / "samples.png", image_grid(images, columns=10, scale=2))
    print(f"{output}: complete; look at {output / 'samples.png'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("output", type=Path, metavar="OUTPUT")
    parser.add_argument(
        "--data",
        default="sample",
        help="pictures whose mean and deviation of each pixel to take, a name "
        "or path for `load_images`; by default the package's sample",
    )
    parser.add_argument(
        "--complete",
        type=Path,
        metavar="RUNS",
        help="train what is missing, in this folder",
    )
    parser.add_argument(
        "--epochs", type=int, default=8, help="of level 1 (default: 8)"
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=400,
        help="of the other two discriminators (default: 400)",
    )
    parser.add_argument("--precision", help="of training, as in bfloat16")
    parser.set_defaults(split=None, seed=None)
    arguments = parser.parse_args()
    for name in ("epochs", "steps"):
        value = getattr(arguments, name)
        if value < 1:
            parser.error(f"--{name}: at least 1. Received: {value}")
    if arguments.complete and arguments.complete.is_file():
        parser.error(
            f"--complete: a folder. Received the file {arguments.complete}"
        )
    if os.path.lexists(arguments.output):
        raise SystemExit(
            "OUTPUT must not exist yet. "
            f"Received: OUTPUT={str(arguments.output)}"
        )

    from keras_lapgan import PresetError
    from keras_lapgan.datasets import DataError

    output, runs = arguments.output, arguments.complete
    converted = output if runs is None else runs / "converted"
    try:
        if not converted.exists():
            convert(arguments.folder, converted, arguments.data)
        if runs is not None:
            complete(converted, output, arguments)
    except (CheckpointError, DataError, PresetError, OSError) as error:
        raise SystemExit(str(error)) from error
    print(
        "The authors' repository states no licence: keep this preset to "
        "yourself, neither commit nor upload it."
    )


if __name__ == "__main__":
    main()
