"""Compares a model's samples with real pictures, stage by stage.

    python tools/stage_statistics.py runs/lapgan_cifar10_small --data cifar10

For every stage of the pyramid: each channel's mean and standard deviation
(0..255), the standard deviation of the band, and the mean Euclidean distance
between 64 samples, all beside those of as many real pictures. Quick figures
that catch a training gone wrong: no colour, no contrast, one picture over and
over. They are no measure of quality. `--json FILE` writes the ratios in the
form of a preset's metadata, for `tools/publish_run.py --metrics FILE`.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def stages_of_real(model, images):
    """What `generate(return_pyramid=True)` would give for real pictures."""
    from keras import ops

    from keras_lapgan.layers import StepRandom

    crops = model.crop(images, random=StepRandom(0, 0))
    gaussian = model.pyramid.gaussian(model.normalization(crops))
    return [
        ops.convert_to_numpy(model.to_pixels(stage, k))
        for k, stage in enumerate(gaussian)
    ]


def bands_of(model, stages):
    """Bands of pictures in 0..255, finest first."""
    from keras import ops

    return [
        stage - ops.convert_to_numpy(model.pyramid.condition(coarser, k))
        for k, (stage, coarser) in enumerate(
            zip(stages, stages[1:], strict=False)
        )
    ] + [stages[-1]]


def mean_distance(images, count=64):
    """Mean Euclidean distance between the first `count` pictures."""
    flat = images[:count].reshape(count, -1).astype("float64")
    squares = (flat**2).sum(axis=1)
    squared = squares[:, None] + squares[None] - 2 * flat @ flat.T
    upper = np.triu_indices(count, 1)
    return np.sqrt(np.maximum(squared[upper], 0)).mean()


def describe(model, stages):
    """A dict of figures for each stage."""
    rows = []
    for stage, band in zip(stages, bands_of(model, stages), strict=True):
        rows.append(
            {
                "mean": stage.mean(axis=(0, 1, 2)),
                "std": stage.std(axis=(0, 1, 2)),
                "band": band.std(),
                "distance": mean_distance(stage),
            }
        )
    return rows


def as_metrics(real, generated, sides, data, split, protocol):
    """The ratios, generated to real in %, as metadata has metrics."""
    kinds = {
        "std": ("pixel_std_ratio", "Standard deviation of pixels"),
        "band": ("band_std_ratio", "Standard deviation of the band"),
        "distance": ("distance_ratio", "Mean distance of samples"),
    }
    return [
        {
            "name": f"{name} at {side} px, % of real",
            "value": round(float(100 * np.mean(g[key]) / np.mean(r[key])), 1),
            "type": kind,
            "dataset": data,
            "split": split,
            "protocol": protocol,
        }
        for side, r, g in zip(sides, real, generated, strict=True)
        for key, (kind, name) in kinds.items()
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="a preset or a run's folder")
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--split", default="test")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    from keras_lapgan import LAPGAN
    from keras_lapgan.datasets import load_images

    model = LAPGAN.from_preset(arguments.model)
    size = model.source_size or model.sizes[0][0]
    source = load_images(arguments.data, arguments.split, size=size)
    count = min(arguments.count, len(source))
    images = source.read(np.arange(count))
    labels = source.labels[:count] if model.num_classes else None
    real = describe(model, stages_of_real(model, images))
    drawn = model.generate(
        count,
        labels=labels,
        seed=arguments.seed,
        return_pyramid=True,
        dtype="float32",
    )
    generated = describe(model, drawn)

    def triple(values):
        return " ".join(f"{v:6.1f}" for v in values)

    print(
        f"{count} samples, {count} pictures of {arguments.data} "
        f"{arguments.split}"
    )
    print(
        f"{'stage':>5} {'':9} {'channel mean':>20} {'channel std':>20} "
        f"{'band std':>9} {'distance':>9}"
    )
    for k in reversed(range(len(real))):
        side = model.sizes[k][0]
        r, g = real[k], generated[k]
        for name, row in (("real", r), ("generated", g)):
            print(
                f"{side:5d} {name:9} {triple(row['mean'])} "
                f"{triple(row['std'])} {row['band']:9.2f} "
                f"{row['distance']:9.0f}"
            )
        ratios = [g[key] / r[key] for key in ("mean", "std")]
        print(
            f"{side:5d} {'ratio':9} {triple(100 * ratios[0])} "
            f"{triple(100 * ratios[1])} {100 * g['band'] / r['band']:9.1f} "
            f"{100 * g['distance'] / r['distance']:9.1f}  %"
        )
    if arguments.json:
        protocol = (
            f"{count} samples of seed {arguments.seed}, averaged generators, "
            f"and {count} pictures; a check, not a measure of quality"
        )
        metrics = as_metrics(
            real,
            generated,
            [side for side, _ in model.sizes],
            arguments.data,
            arguments.split,
            protocol,
        )
        arguments.json.write_text(json.dumps(metrics, indent=1) + "\n")


if __name__ == "__main__":
    main()
