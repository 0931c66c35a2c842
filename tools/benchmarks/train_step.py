"""One training step against the same networks written by hand in PyTorch.

    python tools/benchmarks/train_step.py --preset lapgan_cifar10_small

All sides do the same work on the same pictures with the same number of
threads: corner crops, normalisation, the 28-14-8 pyramid, D's update on B
real and B generated bands, G's update on B fresh ones, damped SGD, at all
levels. PyTorch runs channels last, eagerly and through `torch.compile`. The
floor is the sum of the convolutions and matrix products of our own step, each
compiled and timed alone: what no rearrangement around them can save. Rounds of
the sides alternate, and the ratios are of medians. Then the share of input,
pyramid, D's half and G's half of the step. The backend is `KERAS_BACKEND`.
"""

import argparse
import os
import platform
import statistics
import time

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def hand_written(model, batch_size, compiled=False):
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

    def prepared(images):
        x = (crop(images.permute(0, 3, 1, 2)).float() - 127.5) / 127.5
        return bands(x.contiguous(memory_format=channels_last))

    def d_loss(levels):
        loss = 0.0
        for k, (band, condition) in enumerate(levels):
            with torch.no_grad():
                fake = generators[k](noise(k), condition)
            both = torch.cat([band, fake])
            if condition is not None:
                condition = torch.cat([condition, condition])
            real, fake = discriminators[k](both, condition).chunk(2)
            loss = loss + (F.softplus(-real) + F.softplus(fake)).mean() / 2
        return loss

    def g_loss(levels):
        loss = 0.0
        for k, (_, condition) in enumerate(levels):
            fake = generators[k](noise(k), condition)
            loss = loss + F.softplus(-discriminators[k](fake, condition)).mean()
        return loss

    if compiled:
        prepared, d_loss, g_loss = map(
            torch.compile, (prepared, d_loss, g_loss)
        )

    def step(images):
        levels = prepared(torch.from_numpy(images))
        loss = d_loss(levels)
        d_optimizer.zero_grad()
        loss.backward()
        d_optimizer.step()

        discriminators.requires_grad_(False)
        loss = g_loss(levels)
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()
        discriminators.requires_grad_(True)
        return float(loss.detach())

    return step


# === The floor ===


def products(model, batch_size):
    """The convolutions and matrix products of a step.

    Returns:
        A dict from `(layer's kind, input's shape, kernel's shape, strides,
        padding, groups, pass)` to how often a step has it. A pass is `forward`,
        `input` or `kernel`, the gradient with respect to these.
    """
    found = {}

    def add(network, rows, passes, first_input):
        """`first_input`: whether the gradient goes on to the inputs."""
        is_first = True
        for layer in network.layers:
            kind = type(layer).__name__
            if kind not in ("Conv2D", "Dense"):
                continue
            wanted = [p for p in passes if p != "input" or not is_first]
            if is_first and first_input:
                wanted = list(passes)
            is_first = False
            shape = (rows, *layer.input.shape[1:])
            more = (
                (layer.strides, layer.padding, layer.groups)
                if kind == "Conv2D"
                else ((1, 1), "valid", 1)
            )
            for one in wanted:
                key = (kind, shape, tuple(layer.kernel.shape), *more, one)
                found[key] = found.get(key, 0) + 1

    b = batch_size
    for level in model.levels:
        g, d = level.generator, level.discriminator
        add(g, b, ["forward"], False)
        add(d, 2 * b, ["forward", "input", "kernel"], False)
        add(g, b, ["forward", "input", "kernel"], False)
        add(d, b, ["forward", "input"], True)
    return found


def product(kind, shape, kernel_shape, strides, padding, groups, which):
    """Returns a function that computes one of them, compiled."""
    import keras

    backend = keras.backend.backend()
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype("float32")
    kernel = rng.normal(size=kernel_shape).astype("float32")

    def forward(x, kernel):
        if kind == "Dense":
            return keras.ops.matmul(x, kernel)
        return keras.ops.conv(x, kernel, strides, padding)

    out = np.zeros(keras.ops.shape(forward(x, kernel)), "float32")
    if backend == "tensorflow":
        import tensorflow as tf

        x, kernel, out = map(tf.constant, (x, kernel, out))
        if kind == "Dense":
            function = {
                "forward": lambda: tf.matmul(x, kernel),
                "input": lambda: tf.matmul(out, kernel, transpose_b=True),
                "kernel": lambda: tf.matmul(x, out, transpose_a=True),
            }[which]
        else:
            options = {
                "strides": [1, *strides, 1],
                "padding": padding.upper(),
            }
            raw = tf.raw_ops
            function = {
                "forward": lambda: forward(x, kernel),
                "input": lambda: raw.Conv2DBackpropInput(
                    input_sizes=shape,
                    filter=kernel,
                    out_backprop=out,
                    **options,
                ),
                "kernel": lambda: raw.Conv2DBackpropFilter(
                    input=x,
                    filter_sizes=kernel_shape,
                    out_backprop=out,
                    **options,
                ),
            }[which]
        # XLA is what Keras takes for groups.
        function = tf.function(function, jit_compile=groups > 1)
        return lambda: function()
    if backend == "jax":
        import jax

        function = jax.jit(
            {
                "forward": forward,
                "input": lambda x, kernel: jax.linear_transpose(
                    lambda x: forward(x, kernel), x
                )(out)[0],
                "kernel": lambda x, kernel: jax.linear_transpose(
                    lambda kernel: forward(x, kernel), kernel
                )(out)[0],
            }[which]
        )
        return lambda: function(x, kernel).block_until_ready()
    raise SystemExit(f"no floor is measured on {backend}")


def floor(model, batch_size, rounds):
    """Seconds of all products of a step."""
    total = 0.0
    for key, count in products(model, batch_size).items():
        function = product(*key)
        function()
        times = [seconds(function) for _ in range(rounds)]
        total += count * statistics.median(times)
    return total


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
    parser.add_argument("--run-eagerly", action="store_true")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--no-floor", action="store_true")
    arguments = parser.parse_args()

    # Torch first: its OpenMP and TensorFlow's live in one process.
    import torch

    from keras_lapgan import LAPGAN

    torch.set_num_threads(os.cpu_count())
    model = LAPGAN.from_preset(arguments.preset, load_weights=False)
    model.compile(
        jit_compile=True if arguments.jit else "auto",
        run_eagerly=arguments.run_eagerly,
    )
    rng = np.random.default_rng(0)
    shape = (arguments.batch_size, 32, 32, 3)
    images = rng.integers(0, 256, shape, dtype="uint8")
    sides = {
        "keras-lapgan": model.train_on_batch,
        "eager PyTorch": hand_written(model, arguments.batch_size),
    }
    if not arguments.no_compile:
        sides["torch.compile"] = hand_written(
            model, arguments.batch_size, compiled=True
        )
    times = {name: [] for name in sides}
    for step in sides.values():
        step(images)
    for _ in range(arguments.rounds):
        for name, step in sides.items():
            times[name].append(seconds(step, images))
    medians = {name: statistics.median(x) for name, x in times.items()}
    if not arguments.no_floor:
        medians["floor"] = floor(model, arguments.batch_size, arguments.rounds)
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    print(
        f"{arguments.preset}, batch {arguments.batch_size}, {backend}, "
        f"{os.cpu_count()} cores, {platform.machine()}"
    )
    ours = medians["keras-lapgan"]
    for name, value in medians.items():
        print(
            f"{name:14s} {value:7.3f} s a step, {value / ours:5.2f} times "
            "keras-lapgan's"
        )
    shares(model, images, ours)


if __name__ == "__main__":
    main()
