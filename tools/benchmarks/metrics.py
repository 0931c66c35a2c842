"""Metrics of features, against the tools they are compared with in tests.

    pip install -e ".[test,reference]"
    python tools/benchmarks/metrics.py
    python tools/benchmarks/metrics.py --counts 3000 --repeats 5

Each measure and its reference in turn, in processes of their own: processor
seconds of the call alone, of all threads, imports and features done, and how
much memory the process took at most during it (Linux). Medians, and their
ratios: above 1, keras-lapgan is faster, or takes less. Features are random,
1280 of them, as EfficientNet-Lite0's; logits are 1000; pictures are the
package's sample.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

FEATURES, CLASSES = 1280, 1000


# === Pairs of functions of arrays, the same figure by both ===


def frechet_distance(x, y):
    from keras_lapgan.metrics import frechet_distance

    return lambda: frechet_distance(x, y)


def frechet_distance_reference(x, y):
    import torch
    from torchmetrics.image.fid import _compute_fid

    def distance():
        moments = []
        for z in (x, y):
            z = torch.from_numpy(z).double()
            moments += [z.mean(0), torch.cov(z.T)]
        return _compute_fid(*moments)

    return distance


def kernel_distance(x, y):
    from keras_lapgan.metrics import kernel_distance

    return lambda: kernel_distance(x, y)["mean"]


def kernel_distance_reference(x, y):
    import torch
    from torchmetrics.image.kid import poly_mmd

    x, y = torch.from_numpy(x), torch.from_numpy(y)

    def distance():
        values = [
            poly_mmd(*(z[torch.randperm(len(z))[:1000]] for z in (x, y)))
            for _ in range(100)
        ]
        return torch.stack(values).mean()

    return distance


def inception_score(logits, _):
    from keras_lapgan.metrics import inception_score

    return lambda: inception_score(logits, from_logits=True, seed=0)["mean"]


def inception_score_reference(logits, _):
    import torch
    from torchmetrics.image.inception import InceptionScore

    score = InceptionScore(feature=torch.nn.Identity(), splits=10)
    score.features.append(torch.from_numpy(logits))
    return lambda: score.compute()[0]


def precision_recall(x, y):
    from keras_lapgan.metrics import precision_recall

    return lambda: precision_recall(x, y)["density"]


def precision_recall_reference(x, y):
    from prdc import compute_prdc

    return lambda: compute_prdc(x, y, nearest_k=5)["density"]


def ms_ssim(left, right):
    from keras_lapgan.metrics import ms_ssim

    return lambda: ms_ssim(left, right).mean()


def ms_ssim_reference(left, right):
    from skimage.metrics import structural_similarity

    def similarity():
        pairs = zip(left, right, strict=True)
        return np.mean(
            [
                structural_similarity(
                    *pair,
                    gaussian_weights=True,
                    sigma=1.5,
                    use_sample_covariance=False,
                    channel_axis=-1,
                    data_range=255,
                )
                for pair in pairs
            ]
        )

    return similarity


WAYS = {
    "frechet_distance": "torchmetrics, features to `_compute_fid`",
    "kernel_distance": "torchmetrics, 100 subsets of `poly_mmd`",
    "inception_score": "torchmetrics, 10 splits",
    "precision_recall": "prdc",
    "ms_ssim": "scikit-image, SSIM: one scale of our five",
}


def inputs(name, count):
    rng = np.random.default_rng(0)
    if name == "ms_ssim":
        from keras_lapgan.datasets import load_images

        images = load_images("sample").read(np.arange(1000))
        return [rng.choice(images, count) for _ in range(2)]
    columns = CLASSES if name == "inception_score" else FEATURES
    mix = rng.normal(size=(64, columns)) / 8
    return [
        np.maximum(rng.normal(size=(count, 64)) @ mix + shift, 0).astype("f4")
        for shift in (0, 0.1)
    ]


# === Measuring ===


def measure(name, count):
    """Prints the value, seconds and bytes, as JSON."""
    run = globals()[name](*inputs(name.removesuffix("_reference"), count))
    # Linux: the high-water mark begins again at what is in use now.
    Path("/proc/self/clear_refs").write_text("5")
    before = kilobytes("VmHWM")
    start = time.process_time()
    value = float(run())
    seconds = time.process_time() - start
    peak = 1024 * (kilobytes("VmHWM") - before)
    print(json.dumps([value, seconds, peak]))


def kilobytes(name):
    """A line of what Linux knows of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(found.split()[1])


def child(name, count):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__]
        + ["--name", name, "--counts", str(count)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[3000, 10_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.name:
        measure(arguments.name, *arguments.counts)
        return

    threads = os.environ.get("OMP_NUM_THREADS", os.cpu_count())
    print(
        f"{platform.processor() or platform.machine()}, {threads} threads, "
        f"numpy {np.__version__}, median of {arguments.repeats}\n"
    )
    print("| measure | rows | keras-lapgan | reference | time | memory |")
    print("|---|---|---|---|---|---|")
    for name, reference in WAYS.items():
        for count in arguments.counts:
            results = {name: [], f"{name}_reference": []}
            for _ in range(arguments.repeats):
                for way, found in results.items():
                    found.append(child(way, count))
            ours, theirs = (
                [statistics.median(column) for column in zip(*f, strict=True)]
                for f in results.values()
            )
            cells = [f"`{name}`", f"{count:,}"]
            cells += [_cell(*figures) for figures in (ours, theirs)]
            cells += [f"{theirs[i] / max(ours[i], 1e-9):.2g}" for i in (1, 2)]
            cells[3] += f" ({reference})"
            print(f"| {' | '.join(cells)} |", flush=True)


def _cell(value, seconds, peak):
    return f"{value:.5g}; {seconds:.2f} s, {peak / 1e6:.0f} MB"


if __name__ == "__main__":
    main()
