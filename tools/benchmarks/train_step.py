"""One training step against the same networks written by hand in PyTorch.

    python tools/benchmarks/train_step.py --preset lapgan_cifar10_small
    python tools/benchmarks/train_step.py --preset lapgan_cifar10_paper \\
        --modes compiled eager xla --precisions float32 bfloat16
    python tools/benchmarks/train_step.py --preset lapgan_lsun_tower \\
        --batch-size 1 --rounds 1 --skip floor shares

All sides do the same work on the same pictures with the same number of
threads: crops, normalisation, the pyramid, D's update on B real and B
generated bands, G's update on B fresh ones, damped SGD, at all levels; ours
averages G's weights too. PyTorch runs channels last, in float32, eagerly and
through `torch.compile`. The floor is the sum of the convolutions and matrix
products of our own step, each compiled (on torch: eager) and timed alone, in
float32: what no rearrangement around them can save. Rounds of the sides
alternate, and the ratios are of medians. Then what parts of the first row's
step cost. The backend is `KERAS_BACKEND`.
"""

import argparse
import contextlib
import io
import math
import os
import platform
import statistics
import tempfile
import time
from unittest import mock

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

#: Arguments of `compile` of each backend's modes; JAX compiles through XLA.
MODES = {
    "tensorflow": {
        "eager": {"run_eagerly": True},
        "compiled": {"jit_compile": False},
        "xla": {"jit_compile": True},
    },
    "jax": {
        "eager": {"run_eagerly": True},
        "compiled": {"jit_compile": True},
    },
    "torch": {
        "eager": {"jit_compile": False},
        "compiled": {"jit_compile": True},
    },
}
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def hand_written(model, batch_size, compiled=False):
    """Returns a function that makes one step of the same LAPGAN in torch."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    last = len(model.levels) - 1
    sizes = [size[0] for size in model.sizes]

    class DenseG(nn.Sequential):
        def __init__(self, ours):
            a, b = ours.hidden_units
            super().__init__(
                nn.Linear(ours.noise_dim, a),
                nn.ReLU(),
                nn.Linear(a, b),
                nn.ReLU(),
                nn.Linear(b, ours.size**2 * 3),
            )
            self.size = ours.size

        def forward(self, z, condition):
            return super().forward(z).view(-1, 3, self.size, self.size)

    class Judge(nn.Sequential):
        def forward(self, band, condition):
            image = band if condition is None else band + condition
            return super().forward(image)

    class DenseD(Judge):
        def __init__(self, ours):
            a, b = ours.hidden_units
            super().__init__(
                nn.Flatten(),
                nn.Linear(ours.size**2 * 3, a),
                nn.ReLU(),
                nn.Dropout(ours.dropout),
                nn.Linear(a, b),
                nn.ReLU(),
                nn.Dropout(ours.dropout),
                nn.Linear(b, 1),
            )

    class ConvolutionalG(nn.Sequential):
        def __init__(self, ours):
            super().__init__(
                nn.Conv2d(4, ours.filters, 7, padding=3),
                nn.ReLU(),
                nn.Conv2d(ours.filters, ours.filters, 7, padding=3),
                nn.ReLU(),
                nn.Conv2d(ours.filters, 3, 5, padding=2),
            )

        def forward(self, z, condition):
            return super().forward(torch.cat([z, condition], 1))

    class ConvolutionalD(Judge):
        def __init__(self, ours):
            filters = ours.filters
            side = (ours.size - 4 - 4 + 1) // 2
            super().__init__(
                nn.Conv2d(3, filters, 5),
                nn.ReLU(),
                nn.Conv2d(filters, filters, 5, stride=2),
                nn.ReLU(),
                nn.Flatten(),
                nn.Dropout(ours.dropout),
                nn.Linear(side * side * filters, 1),
            )

    class PairwiseL2(nn.Module):
        def forward(self, x):
            return (x[:, ::2] ** 2 + x[:, 1::2] ** 2 + 1e-12).sqrt()

    class LSUNG(nn.Sequential):
        def __init__(self, ours):
            super().__init__(
                nn.Conv2d(4, 64, 7, padding=3),
                nn.ReLU(),
                nn.BatchNorm2d(64, affine=False),
                nn.Conv2d(64, 368, 7, padding=3, groups=4),
                nn.ReLU(),
                nn.BatchNorm2d(368, affine=False),
                nn.Dropout2d(),
                nn.Conv2d(368, 128, 7, padding=3, groups=4),
                nn.ReLU(),
                nn.BatchNorm2d(128, affine=False),
                PairwiseL2(),
                nn.Conv2d(64, 224, 5, padding=2, groups=2),
                nn.ReLU(),
                nn.BatchNorm2d(224, affine=False),
                nn.Dropout2d(),
                nn.Conv2d(224, 3, 7, padding=3),
                nn.BatchNorm2d(3, affine=False),
            )

        def forward(self, z, condition):
            return super().forward(torch.cat([z, condition], 1))

    class LSUND(Judge):
        def __init__(self, ours):
            super().__init__(
                nn.Conv2d(3, 48, 3),
                nn.ReLU(),
                nn.Conv2d(48, 448, 5, groups=4),
                nn.ReLU(),
                nn.Conv2d(448, 416, 7, groups=16),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear((ours.size - 12) ** 2 * 416, 1),
            )

    def same(ours):
        kinds = DenseG, DenseD, ConvolutionalG, ConvolutionalD, LSUNG, LSUND
        theirs = {kind.__name__: kind for kind in kinds}[
            type(ours)
            .__name__.replace("enerator", "")
            .replace("iscriminator", "")
        ](ours)
        count = sum(p.numel() for p in theirs.parameters())
        if count != sum(math.prod(v.shape) for v in ours.trainable_weights):
            raise SystemExit(f"not the same networks: {ours.name}")
        return theirs

    generators, discriminators = (
        nn.ModuleList(same(getattr(x, name)) for x in model.levels).to(
            memory_format=torch.channels_last
        )
        for name in ("generator", "discriminator")
    )
    sgd = {"lr": 0.02, "momentum": 0.5, "dampening": 0.5}
    g_optimizer = torch.optim.SGD(generators.parameters(), **sgd)
    d_optimizer = torch.optim.SGD(discriminators.parameters(), **sgd)

    side = sizes[0]
    rest = (model.source_size or side) - side
    if rest and model.crop_mode != "corners":
        raise SystemExit(f"no crop by hand: {model.crop_mode}")

    def crop(images):
        if not rest:
            return images
        tall = torch.rand(len(images), 1, 1, 1) < 0.5
        wide = torch.rand(len(images), 1, 1, 1) < 0.5
        images = torch.where(tall, images[:, :, :side], images[:, :, rest:])
        return torch.where(wide, images[..., :side], images[..., rest:])

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
        return bands(x.contiguous(memory_format=torch.channels_last))

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
    from keras import layers

    found = {}

    def add(network, rows, passes, first_input):
        """`first_input`: whether the gradient goes on to the inputs."""
        is_first = True
        for layer in network.layers:
            if isinstance(layer, layers.Conv2D):
                kind = "Conv2D"
            elif isinstance(layer, layers.Dense):
                kind = "Dense"
            else:
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
    """Returns a function that computes one of them."""
    import keras

    from keras_lapgan.layers import GroupedConv2D
    from keras_lapgan.layers.grouped_convolution import splits_groups

    backend = keras.backend.backend()
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype("float32")
    kernel = rng.normal(size=kernel_shape).astype("float32")

    forward = keras.ops.matmul
    if kind == "Conv2D":
        forward = GroupedConv2D(
            kernel_shape[-1],
            kernel_shape[:2],
            strides,
            padding,
            groups=groups,
        ).convolution_op

    out = np.zeros(keras.ops.shape(forward(x, kernel)), "float32")
    if backend == "tensorflow":
        import tensorflow as tf

        x, kernel, out = map(tf.constant, (x, kernel, out))

        def gradient(at):
            # What the gradient does not need of `forward` is left out of the
            # compiled function.
            with tf.GradientTape() as tape:
                tape.watch(at)
                y = forward(x, kernel)
            return tape.gradient(y, at, out)

        # XLA is what Keras takes for groups.
        function = tf.function(
            {
                "forward": lambda: forward(x, kernel),
                "input": lambda: gradient(x),
                "kernel": lambda: gradient(kernel),
            }[which],
            jit_compile=groups > 1 and not splits_groups(),
        )
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
    import torch

    x, kernel, out = map(torch.from_numpy, (x, kernel, out))
    if which == "forward":
        return lambda: forward(x, kernel)
    wanted = {"input": x, "kernel": kernel}[which].requires_grad_()
    y = forward(x, kernel)
    return lambda: torch.autograd.grad(y, wanted, out, retain_graph=True)


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


# === Parts of a step ===


def step_seconds(model, images, rounds=7):
    """Seconds of a step, made anew."""
    model.make_train_function(force=True)
    model.train_on_batch(images)
    return statistics.median(
        seconds(model.train_on_batch, images) for _ in range(rounds)
    )


def shares(model, images, whole, steps):
    """Prints what parts of a step cost, each timed by itself."""
    times = {"input, a batch gathered": input_seconds(images)}
    nothing = None
    for name, function in parts(model).items():
        with mock.patch.object(model, "_train", function):
            taken = step_seconds(model, images)
        if nothing is None:
            times[name] = nothing = taken
        else:
            times[name] = max(0.0, taken - nothing)
    times[f"logging, {steps} steps an epoch"] = logging_seconds(model, steps)
    times["these together"] = sum(times.values())
    for name, frozen in (("D's half", "g"), ("G's half", "d")):
        times[name] = half_step(model, images, frozen)
    print("\n| part of a step | seconds | share |\n|---|---|---|")
    for name, value in times.items():
        print(f"| {name} | {value:.5f} | {value / whole:.2%} |")


def parts(model):
    """Functions that do a part of the step, and nothing first."""
    from keras import ops

    from keras_lapgan.layers import StepRandom
    from keras_lapgan.models.adversarial_model import _norm
    from keras_lapgan.training.gradients import apply_gradients

    def nothing(data):
        return {"nothing": ops.zeros(())}

    def bands(data):
        found = model.bands(data, StepRandom(0, 0).at("data"), True)
        return {"sum": sum(ops.sum(b.band) for b in found.values())}

    def update(data):
        # As large as gradients, and nothing to compute.
        gradients = [ops.convert_to_tensor(v) for v in model.trainable_weights]
        apply_gradients(model.optimizer, gradients, model.trainable_weights)
        for level in model.levels:
            level.update_average(0.999)
        return nothing(data)

    def measures(data):
        value = ops.convert_to_tensor(model.optimizer.iterations)
        value = ops.cast(value, "float32")
        found = {"d_accuracy": value, "logit_gap": value}
        count = len(model.levels)
        norms = {
            f"{name[0]}_gradient_norm_{level.index}": _norm(
                getattr(level, name).trainable_weights
            )
            for level in model.levels
            for name in ("discriminator", "generator")
        }
        return model._log(
            model.levels, [(value, found)] * count, [(value, ())] * count, norms
        )

    return {
        "a step of nothing": nothing,
        "crop, normalisation, pyramid": bands,
        "optimisers, averages of weights": update,
        "metrics, norms of gradients": measures,
    }


def input_seconds(images):
    """Seconds to gather a batch of pictures in memory."""
    from keras_lapgan.datasets import ImageBatches
    from keras_lapgan.datasets import ImageSource

    batches = ImageBatches(ImageSource(images.repeat(4, 0)), len(images))
    return statistics.median(
        seconds(batches.__getitem__, i % len(batches)) for i in range(9)
    )


def logging_seconds(model, steps):
    """Seconds a step that progress, `log.csv` and `curves.png` cost."""
    import keras
    from callbacks import cost

    from keras_lapgan import callbacks
    from keras_lapgan.callbacks.run_checkpoint import append_log

    logs = {metric.name: 0.5 for metric in model.metrics}
    with tempfile.TemporaryDirectory() as folder:
        for epoch in range(1, 25):
            append_log(folder, epoch, logs)
        total = 0.0
        for callback in (
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda _, logs: append_log(folder, 25, logs)
            ),
            callbacks.TrainingCurves(folder),
            callbacks.TrainingProgress(10**9, steps),
        ):
            with contextlib.redirect_stderr(io.StringIO()):
                end, batches, _ = cost(callback, model, logs, steps, 5)
            total += (end + batches) / steps
    return total


def half_step(model, images, frozen):
    """Times a step without one half: its gradient and its update."""
    from keras import ops

    from keras_lapgan.models import adversarial_model

    real = adversarial_model.value_and_gradients
    names = {
        "d": {id(v) for x in model.levels for v in x.discriminator.variables},
        "g": {id(v) for x in model.levels for v in x.generator.variables},
    }[frozen]

    def without(function, variables, state=()):
        if id(variables[0]) not in names:
            return real(function, variables, state)
        zero = ops.zeros(())
        found = {"d_accuracy": zero, "logit_gap": zero}
        half = [(zero, found if frozen == "d" else ()) for _ in model.levels]
        return zero, half, [ops.zeros(v.shape) for v in variables]

    with mock.patch.object(adversarial_model, "value_and_gradients", without):
        return step_seconds(model, images, rounds=5)


def ours(arguments):
    """Yields `(name, compiled model)` of the rows that the backend has."""
    import keras

    from keras_lapgan import LAPGAN

    backend = keras.backend.backend()
    known = MODES[backend]
    # torch.compile takes minutes before the first step.
    default = "eager" if backend == "torch" else "compiled"
    for mode in arguments.modes or [default]:
        if mode not in known:
            print(f"left out: {mode}; {backend} has {', '.join(known)}")
            continue
        for precision in arguments.precisions:
            model = LAPGAN.from_preset(
                arguments.preset,
                load_weights=False,
                dtype=POLICIES[precision],
            )
            model.compile(**known[mode])
            yield f"{mode}, {precision}", model


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="lapgan_cifar10_small")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--modes", nargs="+", choices=["eager", "compiled", "xla"]
    )
    parser.add_argument(
        "--precisions", nargs="+", choices=POLICIES, default=["float32"]
    )
    parser.add_argument(
        "--skip",
        nargs="+",
        choices=["torch.compile", "floor", "shares"],
        default=[],
    )
    parser.add_argument("--steps", type=int, default=390, help="an epoch's")
    arguments = parser.parse_args()

    # Torch first: its OpenMP and TensorFlow's live in one process.
    import torch

    torch.set_num_threads(os.cpu_count())
    models = dict(ours(arguments))
    if not models:
        raise SystemExit("Nothing is left to measure.")
    model = next(iter(models.values()))
    batch_size = arguments.batch_size
    rng = np.random.default_rng(0)
    side = model.source_size or model.sizes[0][0]
    shape = (batch_size, side, side, 3)
    images = rng.integers(0, 256, shape, dtype="uint8")
    by_hand = "eager PyTorch"
    sides = {name: each.train_on_batch for name, each in models.items()}
    sides[by_hand] = hand_written(model, batch_size)
    if "torch.compile" not in arguments.skip:
        sides["torch.compile"] = hand_written(model, batch_size, compiled=True)
    times = {name: [] for name in sides}
    for step in sides.values():
        step(images)
    for _ in range(arguments.rounds):
        for name, step in sides.items():
            times[name].append(seconds(step, images))
    medians = {name: statistics.median(x) for name, x in times.items()}
    if "floor" not in arguments.skip:
        medians["floor"] = floor(model, batch_size, arguments.rounds)
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    print(
        f"{arguments.preset}, batch {batch_size}, {backend}, "
        f"{os.cpu_count()} cores, {platform.machine()}, median of "
        f"{arguments.rounds}\n"
    )
    print("| step | seconds | eager PyTorch's / this | this / floor |")
    print("|---" * 4 + "|")
    for name, value in medians.items():
        cells = [name, f"{value:.3f}", f"{medians[by_hand] / value:.2f}"]
        cells.append(
            f"{value / medians['floor']:.2f}" if "floor" in medians else ""
        )
        print(f"| {' | '.join(cells)} |")
    if "shares" not in arguments.skip:
        first = next(iter(models))
        print(f"\n{first}:")
        shares(model, images, medians[first], arguments.steps)


if __name__ == "__main__":
    main()
