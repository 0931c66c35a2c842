"""Makes a preset whose levels begin as those of a narrower one.

    python tools/widen_preset.py lapgan_cifar10_small lapgan_cifar10 runs/start

The wide networks draw and judge exactly as the narrow ones do: the narrow
ones' weights are the first maps of theirs, the other maps are fresh, and what
leads from these to those is zero (function-preserving growth, as in Net2Net,
Chen et al., 2016, but with fresh maps in place of copies, which would have to
be told apart by noise). The generator begins as the averaged one. Levels whose
networks are the same come as they are, with the age of their average.

Both are a published name or a folder of a preset or a run; of the wide one,
the architecture and the recipe count. Training goes on from the new folder
with `keras-lapgan train`, each level on the coarser ones if asked
(`--levels 0 --chained 0.5`).
"""

import argparse
from pathlib import Path

import keras
import numpy as np

from keras_lapgan import LAPGAN
from keras_lapgan import networks
from keras_lapgan.presets.sources import find_preset
from keras_lapgan.utils.preset_error import PresetError

#: Chains of convolutions and dense layers, whose weights come in order.
_CHAINS = (
    networks.ConvolutionalDiscriminator,
    networks.ConvolutionalGenerator,
    networks.DenseDiscriminator,
    networks.DenseGenerator,
)
#: What is true of the pictures, and so of the wide preset as well.
_KEPT = ("data", "split", "images", "batch_size", "flip", "crop", "resize")


def widen(narrow, wide):
    """Makes `wide` draw and judge as `narrow` does.

    Args:
        narrow: `LAPGAN`.
        wide: `LAPGAN`, freshly made, of the same levels with at least as many
            maps or units.

    Raises:
        PresetError: it is not.
    """
    if narrow.sizes != wide.sizes or narrow.num_classes != wide.num_classes:
        raise PresetError(
            "To widen takes two models of the same sizes and classes. "
            f"Received: {narrow.sizes} with {narrow.num_classes} classes and "
            f"{wide.sizes} with {wide.num_classes}"
        )
    wide.normalization.set_weights(narrow.normalization.get_weights())
    for a, b in zip(narrow.levels, wide.levels, strict=True):
        grow(a.ema_generator, b.generator)
        grow(a.discriminator, b.discriminator)
        b.ema_generator.set_weights(b.generator.get_weights())
        if a.generator.count_params() == b.generator.count_params():
            b.averaged_steps.assign(a.averaged_steps)


def grow(narrow, wide):
    """Gives a network the function of a narrower one of its class.

    Args:
        narrow, wide: of one of `_CHAINS`. `wide` gets the weights; what is
            new stays as it was made.

    Raises:
        PresetError: they do not correspond, layer by layer.
    """
    pairs = list(zip(narrow.weights, wide.weights, strict=False))
    fits = (
        type(narrow) is type(wide)
        and type(narrow) in _CHAINS
        and len(narrow.weights) == len(wide.weights)
        and all(
            len(a.shape) == len(b.shape)
            and all(x <= y for x, y in zip(a.shape, b.shape, strict=True))
            for a, b in pairs
        )
    )
    if not fits:
        kinds = ", ".join(cls.__name__ for cls in _CHAINS)
        raise PresetError(
            f"A network grows into a wider one of its kind, of {kinds}. "
            f"Received: {type(narrow).__name__} of "
            f"{[tuple(a.shape) for a in narrow.weights]} and "
            f"{type(wide).__name__} of "
            f"{[tuple(b.shape) for b in wide.weights]}"
        )
    maps = None
    for a, b in pairs:
        old = keras.ops.convert_to_numpy(a)
        new = keras.ops.convert_to_numpy(b).copy()
        if old.ndim == 1:
            new[: len(old)] = old
            b.assign(new)
            continue
        # Maps that were flattened come place by place, all maps of each.
        places = 1
        if old.ndim == 2 and maps and old.shape[0] != new.shape[0]:
            places = old.shape[0] // maps
        of_old = old.reshape(*old.shape[:-2], places, -1, old.shape[-1])
        of_new = new.reshape(*new.shape[:-2], places, -1, new.shape[-1])
        entering, leaving = of_old.shape[-2:]
        of_new[..., entering:, :leaving] = 0
        of_new[..., :entering, :leaving] = of_old
        b.assign(of_new.reshape(new.shape))
        maps = leaving


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("narrow", help="a preset or a run, with weights")
    parser.add_argument("wide", help="a preset of wider networks")
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=1, help="of the new maps")
    arguments = parser.parse_args()
    if arguments.output.exists():
        parser.error(f"there already: {arguments.output}")
    try:
        write(arguments)
    except PresetError as error:
        parser.error(str(error))


def write(arguments):
    known = find_preset(arguments.narrow).metadata()
    narrow = LAPGAN.from_preset(arguments.narrow)
    keras.utils.set_random_seed(arguments.seed)
    wide = LAPGAN.from_preset(arguments.wide, load_weights=False)
    widen(narrow, wide)
    noise = [level.noise.draw(4, 0, level.index) for level in narrow.levels]
    drawn = [model.generate(noise=noise) for model in (narrow, wide)]
    np.testing.assert_allclose(*np.float32(drawn), atol=1)
    wide.terms = narrow.terms
    metadata = {name: known[name] for name in _KEPT if name in known}
    metadata |= {
        "preset": arguments.wide,
        "note": f"Begun as {arguments.narrow}, widened.",
    }
    wide.save_to_preset(arguments.output, metadata=metadata)
    print(f"{arguments.output}: draws as {arguments.narrow} does")


if __name__ == "__main__":
    main()
