"""The pyramid, taken apart, put together, and its gradient.

    python tools/benchmarks/pyramid.py
    KERAS_BACKEND=jax python tools/benchmarks/pyramid.py --rounds 5

`burt` against OpenCV's `pyrDown` and `pyrUp`, picture by picture, and against
kornia's `filter2d` (its own `pyrdown` lies half a pixel aside: another map);
`area` and `linear` against PyTorch's `interpolate`. `decompose` and
`reconstruct` are two calls, and every band is written to memory. The gradient
is that of half the squares of all bands and of the picture put together again;
OpenCV has none. All sides take float32 pictures that are ready in their own
layout, use all cores, run in turn in one process, and must agree to 1e-4, two
pixels from the borders, which OpenCV enlarges otherwise. keras-lapgan is
compiled where its backend compiles.
"""

import argparse
import importlib.util
import os
import platform
import statistics
import time

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CASES = ((128, 28), (128, 64), (4, 512), (4, 1024))
MARGIN = 2


def sizes_from(side):
    """Halves while whole, at most three times."""
    sizes = [side]
    while len(sizes) < 4 and sizes[-1] % 2 == 0:
        sizes.append(sizes[-1] // 2)
    return sizes


# === Sides: `(decompose, reconstruct, gradient or None, images)` ===


def keras_lapgan(images, sizes, methods):
    import keras
    from keras import ops

    from keras_lapgan.layers import LaplacianPyramid

    pyramid = LaplacianPyramid(sizes, *methods)

    def loss(x):
        bands = pyramid(x)
        squares = [*bands, pyramid.reconstruct(bands)]
        return sum(ops.sum(ops.square(x)) for x in squares) / 2

    images = ops.convert_to_tensor(images)
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        def gradient(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = loss(x)
            return tape.gradient(value, x)

        compile = tf.function(jit_compile=True)
        functions = map(compile, (pyramid, pyramid.reconstruct, gradient))
        return (*functions, images)
    if backend == "jax":
        import jax

        def ready(function):
            function = jax.jit(function)
            return lambda x: jax.block_until_ready(function(x))

        functions = (pyramid, pyramid.reconstruct, jax.grad(loss))
        return (*map(ready, functions), images)
    return pyramid, pyramid.reconstruct, torch_gradient(loss), images


def opencv(images, sizes, methods):
    import cv2

    cv2.setNumThreads(os.cpu_count())

    def decompose(images):
        results = []
        for image in images:
            bands = []
            for _ in sizes[1:]:
                small = cv2.pyrDown(image)
                large = cv2.pyrUp(small)
                bands.append(cv2.subtract(image, large))
                image = small
            results.append([*bands, image])
        return results

    def reconstruct(results):
        images = []
        for bands in results:
            image = bands[-1]
            for band in bands[-2::-1]:
                image = cv2.add(band, cv2.pyrUp(image))
            images.append(image)
        return images

    return decompose, reconstruct, None, images


def kornia(images, sizes, methods):
    import torch
    from kornia.filters import filter2d_separable

    kernel = torch.tensor([[1.0, 4.0, 6.0, 4.0, 1.0]]) / 16

    def down(x, size):
        return filter2d_separable(x, kernel, kernel)[..., ::2, ::2]

    def up(x, size):
        spread = x.new_zeros((*x.shape[:2], size, size))
        spread[..., ::2, ::2] = x
        return filter2d_separable(spread, 2 * kernel, 2 * kernel)

    return torch_pyramid(images, sizes, down, up)


def interpolate(images, sizes, methods):
    import torch.nn.functional as F

    def down(x, size):
        return F.interpolate(x, size, mode="area")

    def up(x, size):
        return F.interpolate(x, size, mode="bilinear", align_corners=True)

    return torch_pyramid(images, sizes, down, up)


def torch_pyramid(images, sizes, down, up):
    import torch

    def decompose(x):
        bands = []
        for before, after in zip(sizes, sizes[1:], strict=False):
            small = down(x, after)
            bands.append(x - up(small, before))
            x = small
        return [*bands, x]

    def reconstruct(bands):
        x = bands[-1]
        for band, size in zip(bands[-2::-1], sizes[-2::-1], strict=True):
            x = band + up(x, size)
        return x

    def loss(x):
        bands = decompose(x)
        squares = [*bands, reconstruct(bands)]
        return sum(x.square().sum() for x in squares) / 2

    images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    return decompose, reconstruct, torch_gradient(loss), images


def torch_gradient(loss):
    def gradient(x):
        x = x.detach().requires_grad_(True)
        loss(x).backward()
        return x.grad

    return gradient


# === Comparison ===


def arrays(results, name):
    """What a side made, as arrays `(batch, height, width, channels)`."""
    if name == "opencv":
        return [np.stack(x) for x in zip(*results, strict=True)]
    results = [np.asarray(x) for x in results]
    if name != "keras_lapgan":
        results = [x.transpose(0, 2, 3, 1) for x in results]
    return results


def difference(ours, theirs):
    """The largest difference away from borders."""
    inner = slice(MARGIN, -MARGIN)
    return max(
        np.abs(a - b)[:, inner, inner].max()
        for a, b in zip(ours, theirs, strict=True)
    )


def works(make, images, methods):
    """One side's functions without arguments, and the arrays they make."""
    name = make.__name__
    sizes = sizes_from(images.shape[1])
    decompose, reconstruct, gradient, x = make(images, sizes, methods)
    functions = {"there and back": lambda: reconstruct(decompose(x))}
    bands = decompose(x)
    whole = reconstruct(bands)
    whole = [[x] for x in whole] if name == "opencv" else [whole]
    made = arrays(bands, name) + arrays(whole, name)
    if gradient:
        functions["gradient"] = lambda: gradient(x)
        made += arrays([gradient(x)], name)
    return functions, made


def timed(functions, rounds):
    """Median seconds of each function, in turn."""
    times = {key: [] for key in functions}
    for _ in range(rounds):
        for key, function in functions.items():
            # The other side's threads may still be waiting for work, busily.
            time.sleep(0.05)
            function()
            start = time.perf_counter()
            function()
            times[key].append(time.perf_counter() - start)
    return {key: statistics.median(x) for key, x in times.items()}


def measure(batch, side, methods, others, rounds):
    """Prints a line for each kind of work and other side."""
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (batch, side, side, 3)).astype("float32")
    functions, made = {}, {}
    for make in (keras_lapgan, *others):
        found, made[make] = works(make, images, methods)
        functions |= {(make, work): f for work, f in found.items()}
    for make in others:
        n = len(made[make])
        apart = difference(made[keras_lapgan][:n], made[make])
        if apart > 1e-4:
            raise SystemExit(f"{make.__name__} differs by {apart:.2g}")
    times = timed(functions, rounds)
    for (make, work), theirs in times.items():
        if make is not keras_lapgan:
            ours = times[keras_lapgan, work]
            print(
                f"| {batch} x {side} px | {methods[0]}, {methods[1]} | {work} "
                f"| {1e3 * ours:.2f} ms | {make.__name__} "
                f"{1e3 * theirs:.2f} ms | {ours / theirs:.2f} |",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--sides", type=int, nargs="+", help="Some of them.")
    arguments = parser.parse_args()

    # Torch first: its OpenMP and TensorFlow's live in one process.
    import torch  # isort: skip
    import keras

    torch.set_num_threads(os.cpu_count())
    others = []
    for make, module, package in (
        (opencv, "cv2", "opencv-python-headless"),
        (kornia, "kornia", "kornia"),
    ):
        if importlib.util.find_spec(module):
            others.append(make)
        else:
            print(f"Without {make.__name__}: pip install {package}")
    print(
        f"Keras {keras.__version__} on {keras.backend.backend()}, "
        f"{os.cpu_count()} cores, {platform.machine()}, median of "
        f"{arguments.rounds}; a ratio below 1: keras-lapgan is faster"
    )
    print("| pictures | methods | work | keras-lapgan | against | ratio |")
    print("|---" * 6 + "|")
    for batch, side in CASES:
        if side in (arguments.sides or [side]):
            for methods, against in (
                (("burt", "burt"), others),
                (("area", "linear"), [interpolate]),
            ):
                measure(batch, side, methods, against, arguments.rounds)


if __name__ == "__main__":
    main()
