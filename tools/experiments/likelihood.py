"""Fills the likelihood table of Denton et al., 2015, for CIFAR-10 at 32 x 32.

    python tools/experiments/likelihood.py train gan runs/gan --minutes 7
    python tools/experiments/likelihood.py train lapgan runs/lapgan --minutes 30
    python tools/experiments/likelihood.py measure runs/gan runs/lapgan

`train` makes a run folder, or goes on with the one that is there. `measure`
takes such folders, or any preset for pictures of 32 x 32 that is a single
level or a pyramid of halvings, and prints the table in Markdown beside real
pictures as samples and the paper's figures. `--json FILE` keeps the figures.

Pixels are standardised by place and channel over the training pictures. The
multi-scale likelihood takes the bands of whole samples, but of a pyramid each
level's own draws: `--draws` of them for each test picture, given its low-pass.
That takes long, so it is done for the first `--level-images` test pictures;
what real ones come to on these is a row of its own.
"""

import argparse
import copy
import itertools
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SIDES = (32, 16, 8)
BATCH_SIZE = 64
PLAIN_WIDTHS = np.geomspace(0.2, 2, 30)
# Of the details of few draws, and of flat ones, up to 8 x 8 pictures.
BAND_WIDTHS = np.geomspace(0.1, 5, 40)
REPORTED = [
    ("GAN, as reported", "-3617 ± 353", ""),
    ("LAPGAN, as reported", "about -3572", "-1799 ± 826"),
]
CAVEAT = """\
Mean ± standard deviation over test pictures, in nats. The two likelihoods are
not comparable with each other: the multi-scale one has a width for each band,
and of a pyramid it knows each picture's low-pass. Both rise with the number
of samples, of which the finer levels of a pyramid have fewer, and both say
little about their quality (Theis et al., 2016): in the plain one the paper's
GAN and LAPGAN are apart by an eighth of the deviation."""


# === Pictures ===


class Pictures:
    """Real pictures, and the table's units.

    Args:
        train: `keras_lapgan.datasets.ImageSource` of 32 x 32 pictures. What
            is standardised over.
        validation: uint8 array `(n, 32, 32, 3)`. What widths are chosen on.
        test: the same.
        samples: int. How many of `train` to keep, to be samples.
    """

    def __init__(self, train, validation, test, samples=0):
        self.samples = train.read(np.arange(min(samples, len(train))))
        self.validation = validation
        self.test = test
        # Sums of whole numbers, so nothing is lost.
        sums = np.zeros((2, *test.shape[1:]))
        for start in range(0, len(train), 1000):
            rows = np.arange(start, min(start + 1000, len(train)))
            images = train.read(rows).astype("float64")
            sums += [images.sum(axis=0), np.square(images).sum(axis=0)]
        self.mean, square = sums / len(train)
        self.std = np.sqrt(square - self.mean**2)

    def first(self, count):
        """The same with the first test pictures alone."""
        fewer = copy.copy(self)
        fewer.test = self.test[:count]
        return fewer

    def standardised(self, images):
        """Pictures in 0..255 in the table's units."""
        return _affine(images, self.mean, self.std)


def _affine(images, mean, std):
    mean, std = np.float32(mean), np.float32(std)
    result = images.astype("float32")
    result -= mean
    result /= std
    return result


def halved(images):
    """The means of 2 x 2 pixels."""
    n, height, width, channels = images.shape
    shape = (n, height // 2, 2, width // 2, 2, channels)
    return images.reshape(shape).mean((2, 4))


# === Likelihoods ===


def plain(pictures, samples):
    """The plain Parzen likelihood under samples in 0..255."""
    from keras_lapgan.metrics import parzen_log_likelihood

    return parzen_log_likelihood(
        pictures.standardised(samples),
        pictures.standardised(pictures.test),
        pictures.standardised(pictures.validation),
        widths=PLAIN_WIDTHS,
    )


def multi_scale_of_bands(pictures, samples):
    """The multi-scale likelihood under bands of whole samples in 0..255."""
    from keras_lapgan.metrics import multi_scale_log_likelihood

    bands = [pictures.standardised(samples)]
    for _ in SIDES[1:]:
        bands.append(halved(bands[-1]))
    return multi_scale_log_likelihood(
        bands,
        pictures.standardised(pictures.test),
        pictures.standardised(pictures.validation),
        widths=BAND_WIDTHS,
    )


def multi_scale_of_levels(
    model, pictures, samples, draws, images, validation, seed
):
    """The multi-scale likelihood under what each level draws.

    In the units of the model, where its low-passes are; the density of a
    picture in the table's units is larger by the ratio of the deviations.

    Args:
        model: `LAPGAN` whose steps are halvings.
        pictures: `Pictures`.
        samples: int. Draws of the coarsest level.
        draws: int. Draws of the others for each picture.
        images: int. How many test pictures.
        validation: int. How many validation pictures.
        seed: int.
    """
    from keras import ops

    from keras_lapgan.metrics import multi_scale_log_likelihood

    normalization = model.normalization
    mean, std = (
        np.broadcast_to(ops.convert_to_numpy(value), pictures.mean.shape)
        for value in (normalization.mean, normalization.std)
    )
    last = len(model.levels) - 1
    progress = Progress(last * (images + validation))

    def given(k):
        draw = drawer(model, k, draws, seed)
        numbers = itertools.count()

        def details(low_pass):
            result = draw(next(numbers), low_pass)
            progress.step(f"level {k}")
            return result

        return details

    coarse = drawer(model, last, min(samples, 500), seed)
    coarse = np.concatenate(
        [coarse(i) for i in range(-(-samples // min(samples, 500)))]
    )
    result = multi_scale_log_likelihood(
        [*(given(k) for k in range(last)), coarse[:samples]],
        _affine(pictures.test[:images], mean, std),
        _affine(pictures.validation[:validation], mean, std),
        widths=BAND_WIDTHS,
    )
    # The same for each dimension, so that the levels add up to the whole.
    change = np.log(pictures.std / std).mean()
    for side, level in result["levels"].items():
        own = side**2 if side == model.sizes[-1][0] else 3 * side**2 / 4
        level["mean"] += change * own * model.channels
    result["mean"] += change * mean.size
    return result


def drawer(model, k, count, seed):
    """A function of a number, and a low-pass, to draws of level `k`.

    Different numbers have different noise. Draws are pictures of the level's
    size in the model's units.
    """
    import keras

    class Draws(keras.Model):
        def __init__(self):
            super().__init__(autocast=False)
            self.level = model.levels[k]
            self.built = True

        def call(self, values):
            condition = None
            if "low_pass" in values:
                condition = model.pyramid.condition(values["low_pass"], k)
            band = self.level.sample_band(
                condition, values.get("labels"), values["noise"]
            )
            return band if condition is None else condition + band

    network = Draws()

    def draw(number, low_pass=None):
        noise = network.level.noise
        values = {"noise": noise.draw(count, seed, k, number * count)}
        if low_pass is not None:
            values["low_pass"] = np.repeat(
                np.float32(low_pass)[None], count, axis=0
            )
        if model.num_classes:
            values["labels"] = np.arange(count, dtype="int32") % (
                model.num_classes
            )
        return network.predict_on_batch(values)

    return draw


class Progress:
    """Tells how far a measurement is, on stderr every 15 seconds."""

    def __init__(self, total):
        self.total = total
        self.done = 0
        self.began = self.told = time.monotonic()

    def step(self, what):
        self.done += 1
        now = time.monotonic()
        if now - self.told > 15 or self.done == self.total:
            self.told = now
            left = (now - self.began) / self.done * (self.total - self.done)
            print(
                f"{what}: {self.done}/{self.total} pictures, "
                f"{left / 60:.1f} minutes left",
                file=sys.stderr,
            )


# === The table ===


def check_model(model, name):
    """Stops at a model that the table has no place for."""
    sizes = "-".join(str(side) for side, _ in model.sizes[::-1])
    halvings = all(
        size == (32 / 2**k, 32 / 2**k) for k, size in enumerate(model.sizes)
    )
    if not halvings or model.channels != 3:
        sys.exit(
            "measure: the table is of colour pictures of 32 x 32, and of "
            "pyramids that halve from there (8-16-32). Received: "
            f"{name} of {sizes}"
        )
    if len(model.sizes) > 1 and model.down != "area":
        sys.exit(
            "measure: the multi-scale likelihood is of pyramids that shrink "
            f"by means, down='area'. Received: {name}, down={model.down!r}"
        )


def rows(arguments, pictures, models):
    """Yields the table's measured rows, dicts."""
    samples = arguments.samples
    sets = {"real pictures": pictures}
    if any(len(model.levels) > 1 for model in models.values()):
        few = arguments.level_images
        sets[f"real, of the first {few}"] = pictures.first(few)
    for name, some in sets.items():
        yield {
            "samples": name,
            "count": len(some.samples),
            "plain": plain(some, some.samples),
            "multi_scale": multi_scale_of_bands(some, some.samples),
        }
    for name, model in models.items():
        print(f"measuring {name}", file=sys.stderr)
        drawn = model.generate(samples, seed=arguments.seed)
        row = {
            "samples": name,
            "count": samples,
            "plain": plain(pictures, drawn),
        }
        if len(model.levels) == 1:
            row["multi_scale"] = multi_scale_of_bands(pictures, drawn)
        else:
            row |= {name: getattr(arguments, name) for name in PER_PICTURE}
            row["multi_scale"] = multi_scale_of_levels(
                model,
                pictures,
                samples,
                *(getattr(arguments, name) for name in PER_PICTURE),
                arguments.seed,
            )
        yield row


PER_PICTURE = ("draws", "level_images", "level_validation_images")


def as_markdown(found, protocol):
    """The table, with what it must not be read without."""
    sides = sorted({s for row in found for s in row["multi_scale"]["levels"]})
    lines = [
        "| samples | plain | multi-scale | "
        + " | ".join(f"{side} px" for side in sides)
        + " |",
        "|---" * (3 + len(sides)) + "|",
    ]
    for row in found:
        levels = row["multi_scale"]["levels"]
        cells = [row["samples"]]
        cells += [_cell(row[kind]) for kind in ("plain", "multi_scale")]
        cells += [_cell(levels[s]) if s in levels else "" for s in sides]
        lines.append(f"| {' | '.join(cells)} |")
    for cells in REPORTED:
        cells = [*cells, *([""] * len(sides))]
        lines.append(f"| {' | '.join(cells)} |")
    protocol = ", ".join(f"{k} {v}" for k, v in protocol.items())
    return "\n".join([*lines, "", CAVEAT, "", f"Protocol: {protocol}."])


def _cell(scores):
    return f"{scores['mean']:.0f} ± {scores['std']:.0f}"


def measure(arguments):
    from keras_lapgan import LAPGAN
    from keras_lapgan import datasets

    models = {name: LAPGAN.from_preset(name) for name in arguments.models}
    for name, model in models.items():
        check_model(model, name)

    def load(split):
        return datasets.load_images(arguments.data, split, size=32)

    def read(split, count):
        source = load(split)
        return source.read(np.arange(len(source))[:count])

    pictures = Pictures(
        load(arguments.train),
        read(arguments.validation, arguments.validation_images),
        read(arguments.test, arguments.images),
        arguments.samples,
    )
    protocol = {
        "data": arguments.data,
        "standardised over": arguments.train,
        "widths from": arguments.validation,
        "samples": arguments.samples,
        "test pictures": len(pictures.test),
        "validation pictures": len(pictures.validation),
        "draws a picture of the levels of a pyramid": arguments.draws,
        "their test pictures": arguments.level_images,
        "their validation pictures": arguments.level_validation_images,
        "seed": arguments.seed,
    }
    found = list(rows(arguments, pictures, models))
    print(as_markdown(found, protocol))
    if arguments.json:
        content = {"protocol": protocol, "rows": found}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


# === Training ===


def new_model(kind, steps_per_epoch):
    """A dense GAN, or a LAPGAN 8-16-32 that is dense at 8, not trained."""
    import keras_lapgan
    from keras_lapgan import LAPGANLevel
    from keras_lapgan import networks

    sides = SIDES if kind == "lapgan" else SIDES[:1]
    levels = []
    for k, side in enumerate(sides):
        if k == len(sides) - 1:
            pair = (
                networks.DenseGenerator(side),
                networks.DenseDiscriminator(side),
            )
        else:
            pair = (
                networks.ConvolutionalGenerator(side, filters=32),
                networks.ConvolutionalDiscriminator(side, filters=32),
            )
        levels.append(LAPGANLevel(*pair, index=k))
    model = keras_lapgan.LAPGAN(
        levels,
        down="area",
        # With 2 x 2 means an orthogonal pair: bands have no low-pass.
        up="replicate",
        # The table's units.
        normalization="per_pixel",
        name=f"{kind}_cifar10_likelihood",
    )
    model.compile(
        d_optimizer=optimizers(len(levels), 5e-4, steps_per_epoch),
        g_optimizer=optimizers(len(levels), 2e-4, steps_per_epoch),
    )
    return model


def optimizers(count, rate, steps_per_epoch):
    """Adam for convolutional levels, damped SGD for the dense one."""
    import keras

    from keras_lapgan.training import DampedSGD

    adam = [keras.optimizers.Adam(rate, beta_1=0.5) for _ in range(count - 1)]
    return [*adam, DampedSGD(0.2, steps_per_epoch=steps_per_epoch)]


def train(arguments):
    """Trains until an epoch ends after the time is over."""
    import keras

    # Whose classes Keras finds in a checkpoint.
    import keras_lapgan.models  # noqa: F401
    from keras_lapgan import callbacks
    from keras_lapgan import datasets
    from keras_lapgan.utils.checkpoints import latest_checkpoint

    keras.utils.set_random_seed(arguments.seed)
    source = datasets.load_images(arguments.data, arguments.train, size=32)
    batches = datasets.ImageBatches(
        source, BATCH_SIZE, seed=arguments.seed, with_labels=False
    )
    folder, steps = arguments.folder, len(batches)
    metadata = {
        "data": arguments.data,
        "split": arguments.train,
        "batch_size": BATCH_SIZE,
        "seed": arguments.seed,
        "images": len(source),
    }
    path, done, skip = latest_checkpoint(folder) or (None, 0, 0)
    model = (
        keras.saving.load_model(path)
        if path
        else new_model(arguments.kind, steps)
    )
    checkpoint = callbacks.RunCheckpoint(folder, steps, metadata, skipped=skip)
    end = time.monotonic() + 60 * arguments.minutes

    def stop_in_time(epoch, logs):
        left = (end - time.monotonic()) / 60
        print(f"epoch {epoch + 1}, {left:.1f} minutes left", file=sys.stderr)
        model.stop_training = left < 0

    def fit(first, last):
        model.fit(
            batches,
            initial_epoch=first,
            epochs=last,
            callbacks=[
                checkpoint,
                callbacks.SampleGrid(folder / "samples", seed=arguments.seed),
                keras.callbacks.LambdaCallback(on_epoch_end=stop_in_time),
            ],
            verbose=0,
        )

    try:
        if skip:
            # The rest of an epoch that Ctrl-C ended.
            batches.skip = skip
            fit(done, done + 1)
            batches.skip, done = 0, done + 1
        if not skip or time.monotonic() < end:
            fit(done, 10**6)
    finally:
        checkpoint.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data", default="cifar10")
    shared.add_argument("--train", default="train[:45000]")
    shared.add_argument("--seed", type=int, default=0)
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("train", parents=[shared])
    command.set_defaults(run=train)
    command.add_argument("kind", choices=("gan", "lapgan"))
    command.add_argument("folder", type=Path)
    command.add_argument("--minutes", type=float, default=10)

    command = commands.add_parser("measure", parents=[shared])
    command.set_defaults(run=measure)
    command.add_argument("models", nargs="*", help="runs, or presets")
    command.add_argument("--validation", default="train[45000:]")
    command.add_argument("--test", default="test")
    command.add_argument("--samples", type=int, default=10_000)
    command.add_argument("--images", type=int, default=2000)
    command.add_argument("--validation-images", type=int, default=1000)
    command.add_argument("--draws", type=int, default=500)
    command.add_argument("--level-images", type=int, default=250)
    command.add_argument("--level-validation-images", type=int, default=75)
    command.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
