"""One training step against the same networks written by hand in PyTorch.

    python tools/benchmarks/train_step.py --preset lapgan_cifar10_small

Both sides do the same work on the same pictures with the same number of
threads: corner crops, normalisation, the 28-14-8 pyramid, D's update on B
real and B generated bands, G's update on B fresh ones, damped SGD, at all
levels. PyTorch runs eagerly, channels last. Rounds of the two sides
alternate, and the ratio is that of the medians. Then the share of input,
pyramid, D's half and G's half of the step. The backend is `KERAS_BACKEND`.
"""

import argparse
import os
import platform
import statistics
import time

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def hand_written(model, batch_size):
    """Returns a function that makes one step of the same LAPGAN in torch."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    last = len(model.levels) - 1
    sizes = [size[0] for size in model.sizes]
    channels_last = torch.channels_last

    class DenseG(nn.Sequential):
        def __init__(self, size, units, noise_dim):
            super().__init__(
                nn.Linear(noise_dim, units[0]),
                nn.ReLU(),
                nn.Linear(units[0], units[1]),
                nn.ReLU(),
                nn.Linear(units[1], size * size * 3),
            )
            self.size = size

        def forward(self, z, condition=None):
            return super().forward(z).view(-1, 3, self.size, self.size)

    class DenseD(nn.Sequential):
        def __init__(self, size, units):
            super().__init__(
                nn.Flatten(),
                nn.Linear(size * size * 3, units[0]),
                nn.ReLU(),
                nn.Dropout(),
                nn.Linear(units[0], units[1]),
                nn.ReLU(),
                nn.Dropout(),
                nn.Linear(units[1], 1),
            )

        def forward(self, band, condition=None):
            return super().forward(band)

    class ConvG(nn.Sequential):
        def __init__(self, filters):
            super().__init__(
                nn.Conv2d(4, filters, 7, padding=3),
                nn.ReLU(),
                nn.Conv2d(filters, filters, 7, padding=3),
                nn.ReLU(),
                nn.Conv2d(filters, 3, 5, padding=2),
            )

        def forward(self, z, condition):
            return super().forward(torch.cat([z, condition], 1))

    class ConvD(nn.Sequential):
        def __init__(self, size, filters):
            side = (size - 4 - 4 + 1) // 2
            super().__init__(
                nn.Conv2d(3, filters, 5),
                nn.ReLU(),
                nn.Conv2d(filters, filters, 5, stride=2),
                nn.ReLU(),
                nn.Flatten(),
                nn.Dropout(),
                nn.Linear(side * side * filters, 1),
            )

        def forward(self, band, condition):
            return super().forward(band + condition)

    generators, discriminators = [], []
    for k, level in enumerate(model.levels):
        g, d = level.generator, level.discriminator
        if k == last:
            generators.append(
                DenseG(sizes[k], g.hidden_units, g.noise_shape[0])
            )
            discriminators.append(DenseD(sizes[k], d.hidden_units))
        else:
            generators.append(ConvG(g.filters))
            discriminators.append(ConvD(sizes[k], d.filters))
        for ours, theirs in ((g, generators[-1]), (d, discriminators[-1])):
            count = sum(p.numel() for p in theirs.parameters())
            if count != ours.count_params():
                raise SystemExit(f"not the same networks: {ours.name}")
    generators = nn.ModuleList(generators).to(memory_format=channels_last)
    discriminators = nn.ModuleList(discriminators).to(
        memory_format=channels_last
    )
    sgd = {"lr": 0.02, "momentum": 0.5, "dampening": 0.5}
    g_optimizer = torch.optim.SGD(generators.parameters(), **sgd)
    d_optimizer = torch.optim.SGD(discriminators.parameters(), **sgd)

    def crop(images):
        tall = torch.rand(len(images), 1, 1, 1) < 0.5
        wide = torch.rand(len(images), 1, 1, 1) < 0.5
        images = torch.where(tall, images[:, :, :28], images[:, :, 4:])
        return torch.where(wide, images[:, :, :, :28], images[:, :, :, 4:])

    def bands(images):
        out = []
        for size in sizes[1:]:
            small = F.interpolate(images, size, mode="area")
            condition = F.interpolate(
                small, images.shape[2:], mode="bilinear", align_corners=True
            )
            out.append((images - condition, condition))
            images = small
        return [*out, (images, None)]

    def noise(k):
        shape = (batch_size, 100)
        if k != last:
            shape = (batch_size, 1, sizes[k], sizes[k])
        return torch.rand(shape) * 2 - 1

    def step(images):
        x = torch.from_numpy(images).permute(0, 3, 1, 2)
        x = (crop(x).float() - 127.5) / 127.5
        levels = bands(x.contiguous(memory_format=channels_last))
        loss = 0.0
        for k, (band, condition) in enumerate(levels):
            with torch.no_grad():
                fake = generators[k](noise(k), condition)
            both = torch.cat([band, fake])
            if condition is not None:
                condition = torch.cat([condition, condition])
            real, fake = discriminators[k](both, condition).chunk(2)
            loss = loss + (F.softplus(-real) + F.softplus(fake)).mean() / 2
        d_optimizer.zero_grad()
        loss.backward()
        d_optimizer.step()

        loss = 0.0
        discriminators.requires_grad_(False)
        for k, (_, condition) in enumerate(levels):
            fake = generators[k](noise(k), condition)
            loss = loss + F.softplus(-discriminators[k](fake, condition)).mean()
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()
        discriminators.requires_grad_(True)
        return float(loss.detach())

    return step


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def shares(model, images, step_seconds):
    """Prints what parts of a step cost, each timed by itself."""
    import keras
    from keras import ops

    from keras_lapgan.datasets import ImageBatches
    from keras_lapgan.datasets import ImageSource
    from keras_lapgan.layers import StepRandom

    batches = ImageBatches(ImageSource(images.repeat(4, 0)), len(images))

    class Part(keras.Model):
        """Compiles one function of a batch, as the step is compiled."""

        def __init__(self, function):
            super().__init__()
            self.function = function
            self.built = True

        def call(self, x):
            return self.function(x)

    random = StepRandom(0, 0)

    def pyramid(x):
        bands = model.bands(x, random.at("data"), True)
        return sum(ops.sum(b.band, axis=(1, 2, 3)) for b in bands.values())

    part = Part(pyramid)
    part.predict_on_batch(images)
    times = {
        "input (gather a batch)": statistics.median(
            seconds(batches.__getitem__, i % len(batches)) for i in range(9)
        ),
        "crop, normalisation, pyramid": statistics.median(
            seconds(part.predict_on_batch, images) for _ in range(9)
        ),
    }
    for name, frozen in (("D's half", "g"), ("G's half", "d")):
        times[name] = half_step(model, images, frozen)
    for name, value in times.items():
        print(f"{name:30s} {value:8.4f} s {value / step_seconds:7.1%}")


def half_step(model, images, frozen):
    """Times a step without one half: its gradient and its update."""
    import keras

    from keras_lapgan.models import adversarial_model

    real = adversarial_model.value_and_gradients
    names = {
        "d": {id(v) for x in model.levels for v in x.discriminator.variables},
        "g": {id(v) for x in model.levels for v in x.generator.variables},
    }[frozen]

    def without(function, variables, state=()):
        if id(variables[0]) not in names:
            return real(function, variables, state)
        loss = keras.ops.zeros(())
        parts = [(loss, {}) for _ in model.levels]
        if frozen == "g":
            parts = [(loss, ()) for _ in model.levels]
        return loss, parts, [keras.ops.zeros_like(v) for v in variables]

    adversarial_model.value_and_gradients = without
    try:
        model.make_train_function(force=True)
        model.train_on_batch(images)
        return statistics.median(
            seconds(model.train_on_batch, images) for _ in range(5)
        )
    finally:
        adversarial_model.value_and_gradients = real
        model.make_train_function(force=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="lapgan_cifar10_small")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--jit", action="store_true")
    arguments = parser.parse_args()

    # Torch first: its OpenMP and TensorFlow's live in one process.
    import torch

    from keras_lapgan import LAPGAN

    torch.set_num_threads(os.cpu_count())
    model = LAPGAN.from_preset(arguments.preset, load_weights=False)
    model.compile(jit_compile=True if arguments.jit else "auto")
    rng = np.random.default_rng(0)
    shape = (arguments.batch_size, 32, 32, 3)
    images = rng.integers(0, 256, shape, dtype="uint8")
    theirs = hand_written(model, arguments.batch_size)

    model.train_on_batch(images)
    theirs(images)
    ours_seconds, theirs_seconds = [], []
    for _ in range(arguments.rounds):
        ours_seconds.append(seconds(model.train_on_batch, images))
        theirs_seconds.append(seconds(theirs, images))
    ours = statistics.median(ours_seconds)
    hand = statistics.median(theirs_seconds)
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    print(
        f"{arguments.preset}, batch {arguments.batch_size}, {backend}, "
        f"{os.cpu_count()} cores, {platform.machine()}"
    )
    print(f"keras-lapgan  {ours:.3f} s a step")
    print(f"eager PyTorch {hand:.3f} s a step, channels last")
    print(f"ratio         {hand / ours:.2f} (above 1: keras-lapgan is faster)")
    shares(model, images, ours)


if __name__ == "__main__":
    main()
