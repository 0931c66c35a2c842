"""Makes the pictures that the package carries, `load_images("sample")`.

100 pictures of each class of CIFAR-10's *training* split, in a shuffled order,
written to `keras_lapgan/datasets/sample/cifar10_sample.npz`: `images` (uint8,
(1000, 32, 32, 3)), `labels` (uint8) and `class_names`. Run it from the
repository's top folder:

    TFDS_DATA_DIR=~/tensorflow_datasets python tools/make_sample.py

Pictures are chosen and ordered by a hash of the seed and their pixels, so the
file does not depend on the order in which a copy of CIFAR-10 stores them. It
is refused if it is larger than 3 MB, or if it differs from an existing file
and `--overwrite` is not given.
"""

import argparse
import hashlib
import os

import numpy as np

from keras_lapgan.datasets import load_images
from keras_lapgan.datasets.load_images import SAMPLE

PER_CLASS = 100
MAX_BYTES = 3_000_000


def choose(images, labels, seed, per_class=PER_CLASS):
    """Indices of `per_class` pictures a class, in the order of their hash."""

    def rank(i):
        return hashlib.sha256(b"%d:" % seed + images[i].tobytes()).digest()

    chosen = []
    for number in np.unique(labels):
        members = sorted(np.flatnonzero(labels == number), key=rank)
        chosen.extend(members[:per_class])
    return sorted(chosen, key=rank)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default=SAMPLE)
    parser.add_argument("--overwrite", action="store_true")
    args = parser.parse_args()

    source = load_images("cifar10", split="train", size=32, resize="none")
    images = source.read(range(len(source)))
    chosen = choose(images, source.labels, args.seed)
    arrays = {
        "images": images[chosen],
        "labels": source.labels[chosen].astype(np.uint8),
        "class_names": np.array(source.class_names),
    }
    counts = np.bincount(arrays["labels"], minlength=10)
    if len(images) != 50_000 or counts.tolist() != [PER_CLASS] * 10:
        raise SystemExit(f"not CIFAR-10's training split: {counts.tolist()}")

    if os.path.exists(args.output) and not args.overwrite:
        with np.load(args.output, allow_pickle=False) as old:
            same = all(
                np.array_equal(old[key], value) for key, value in arrays.items()
            )
        if not same:
            raise SystemExit(f"{args.output} differs: --overwrite replaces it")
        print(f"{args.output} is up to date")
        return
    os.makedirs(os.path.dirname(os.path.abspath(args.output)), exist_ok=True)
    temporary = f"{args.output}.tmp.npz"
    np.savez_compressed(temporary, **arrays)
    size = os.path.getsize(temporary)
    if size > MAX_BYTES:
        os.remove(temporary)
        raise SystemExit(f"{size} bytes, more than {MAX_BYTES}")
    os.replace(temporary, args.output)
    print(f"{args.output}: {len(chosen)} pictures, {size} bytes")


if __name__ == "__main__":
    main()
