"""How fast pictures that are larger than memory stream, and what they cost.

    python tools/benchmarks/input.py

makes 2,000 JPEG files of about 256 x 384 from the package's sample, as a
folder, as a TFDS set of four TFRecord files and as an LMDB folder. With
`--files` hard links to them it measures what a folder's size does to opening it
and to reading one picture; then, what a long run does to memory. At last it
reads each in batches of 64 random pictures of 64 x 64, through `ImageBatches`
and through a `tf.data` pipeline that does the same work: decode, crop, resize
with antialiasing, batch, prefetch; both on all cores, in turns of a second.
For LMDB, which `tf.data` cannot read, it is given the files' bytes from memory.
All is read from the page cache: disks are not measured.
"""

import argparse
import os
import platform
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCH = 64
SIZE = 64


def make_pictures(folder, count):
    """Writes a JPEG folder of two classes: mosaics of the sample, enlarged."""
    from keras_lapgan.datasets import load_images

    rng = np.random.default_rng(0)
    sample = load_images("sample").read(range(1000))
    for i in range(count):
        rows, columns = 2, int(rng.integers(2, 5))
        tiles = sample[rng.integers(0, 1000, rows * columns)]
        tiles = tiles.reshape(rows, columns, 32, 32, 3).transpose(0, 2, 1, 3, 4)
        picture = Image.fromarray(tiles.reshape(rows * 32, columns * 32, 3))
        path = folder / f"class_{i % 2}" / f"{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (columns * 128, rows * 128)
        picture.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
    return sorted(folder.glob("*/*.jpg"))


def make_tfds(folder, files, shards=4):
    """Writes the same pictures as a TFDS set."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(
                shape=(None, None, 3), encoding_format="jpeg"
            ),
            "label": tfds.features.ClassLabel(num_classes=2),
        }
    )
    folder.mkdir(parents=True)
    lengths = []
    for shard in range(shards):
        path = folder / f"jpegs-train.tfrecord-{shard:05d}-of-{shards:05d}"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for file in files[shard::shards]:
                example = {
                    "image": str(file),
                    "label": int(file.parent.name[-1]),
                }
                example = features.encode_example(example)
                writer.write(features.serialize_example(example))
        lengths.append(len(files[shard::shards]))
    template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    split = tfds.core.SplitInfo(
        name="train",
        shard_lengths=lengths,
        num_bytes=sum(path.stat().st_size for path in folder.iterdir()),
        filename_template=tfds.core.ShardedFileTemplate(
            template=template,
            data_dir=folder,
            dataset_name="jpegs",
            split="train",
            filetype_suffix="tfrecord",
        ),
    )
    tfds.folder_dataset.write_metadata(
        data_dir=str(folder),
        features=features,
        split_infos=[split],
        filename_template=template,
    )


def make_lmdb(folder, files):
    import lmdb

    with lmdb.open(str(folder), map_size=2**32) as environment:
        with environment.begin(write=True) as transaction:
            for i, file in enumerate(files):
                transaction.put(b"%040x" % i, file.read_bytes())


def decode(data):
    """What `load_images(size=64)` does, by TensorFlow."""
    import tensorflow as tf

    image = tf.io.decode_jpeg(data, channels=3)
    shape = tf.shape(image)
    side = tf.minimum(shape[0], shape[1])
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    image = image[top : top + side, left : left + side]
    image = tf.image.resize(image, (SIZE, SIZE), "bicubic", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)


def pipelines(folder, files, images):
    """A `tf.data` dataset of batches for each of the four."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def from_folder():
        paths = tf.data.Dataset.from_tensor_slices([str(f) for f in files])
        paths = paths.shuffle(len(files)).repeat()
        return paths.map(
            lambda path: decode(tf.io.read_file(path)), tf.data.AUTOTUNE
        )

    def from_tfds():
        builder = tfds.builder_from_directory(str(folder / "tfds"))
        dataset = builder.as_dataset(
            split="train",
            shuffle_files=True,
            decoders={"image": tfds.decode.SkipDecoding()},
        )
        dataset = dataset.shuffle(1000).repeat()
        return dataset.map(lambda e: decode(e["image"]), tf.data.AUTOTUNE)

    def from_bytes():
        values = [file.read_bytes() for file in files]

        def draw():
            rng = np.random.default_rng(0)
            while True:
                yield values[rng.integers(len(values))]

        dataset = tf.data.Dataset.from_generator(
            draw, output_signature=tf.TensorSpec((), tf.string)
        )
        return dataset.map(decode, tf.data.AUTOTUNE)

    def from_memory():
        dataset = tf.data.Dataset.from_tensor_slices(images)
        return dataset.shuffle(len(images)).repeat()

    for make in (from_folder, from_tfds, from_bytes, from_memory):
        # As many as `ImageBatches` has under way on two cores: a longer
        # buffer would be filled in the other's turn.
        yield make().batch(BATCH).prefetch(3)


def rate(batches, seconds=1):
    """Pictures a second of an iterator of batches, and seconds of processor."""
    # What was prepared while the other's turn was.
    for _ in range(10):
        next(batches)
    start, processor = time.perf_counter(), time.process_time()
    count = 0
    while time.perf_counter() - start < seconds:
        count += len(next(batches))
    processor = time.process_time() - processor
    return count / (time.perf_counter() - start), processor / count


def stream(source, **kwargs):
    """An endless iterator over `ImageBatches`."""
    from keras_lapgan.datasets import ImageBatches

    batches = ImageBatches(
        source, BATCH, steps=10**9, with_labels=False, **kwargs
    )
    return (batches[i] for i in range(10**9))


def own_memory():
    """Bytes of this process alone: no pages of files."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure_rates(folder, files, rounds):
    from keras_lapgan.datasets import load_images

    kept = load_images(folder / "jpegs", size=SIZE)
    sources = {
        "folder of JPEG files": "jpegs",
        "TFDS, TFRecord": "tfds",
        "LMDB": "lmdb",
    }
    sources = {
        name: load_images(folder / path, size=SIZE, cache_bytes=0)
        for name, path in sources.items()
    }
    sources["in memory"] = kept
    theirs = pipelines(folder, files, kept.images)
    for (name, source), dataset in zip(sources.items(), theirs, strict=True):
        ours, other = stream(source), dataset.as_numpy_iterator()
        found = np.array([(*rate(ours), *rate(other)) for _ in range(rounds)])
        rates = np.median(found, axis=0)
        ratios = np.median(found[:, 0] / found[:, 2])
        print(
            f"{name:22s} {rates[0]:9,.0f}/s {rates[1] * 1e6:6,.0f} us   "
            f"tf.data {rates[2]:9,.0f}/s {rates[3] * 1e6:6,.0f} us   "
            f"ratio {ratios:.2f}, of processor time "
            f"{rates[3] / rates[1]:.2f}",
            flush=True,
        )


def measure_sizes(folder, files, counts):
    from keras_lapgan.datasets import load_images

    for count in counts:
        large = folder / f"links_{count}"
        for i in range(count):
            path = large / f"class_{i % 10}" / f"{i:07d}.jpg"
            if i < 10:
                path.parent.mkdir(parents=True)
            os.link(files[i % len(files)], path)
        before = own_memory()
        start = time.perf_counter()
        source = load_images(large, size=SIZE, cache_bytes=0)
        opening = time.perf_counter() - start
        held = own_memory() - before
        rng = np.random.default_rng(0)
        chosen = rng.integers(0, count, 2000)
        source.read(chosen[:100])
        start = time.perf_counter()
        for i in chosen:
            source.read([i])
        reading = (time.perf_counter() - start) / len(chosen)
        print(
            f"{count:9,d} files: opened in {opening:.2f} s, "
            f"{held / 2**20:.0f} MB; one picture {reading * 1e6:.0f} us"
        )


def measure_memory(folder, pictures):
    from keras_lapgan.datasets import load_images

    for name in ("jpegs", "tfds", "lmdb"):
        batches = stream(load_images(folder / name, size=SIZE, cache_bytes=0))
        found = []
        for step in range(pictures // BATCH):
            next(batches)
            if step % (pictures // BATCH // 10) == 0:
                found.append(own_memory() / 2**20)
        print(
            f"{name}: {pictures:,} pictures read, own memory "
            + " ".join(f"{value:.0f}" for value in found)
            + " MB"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        files = make_pictures(folder / "jpegs", arguments.pictures)
        make_tfds(folder / "tfds", files)
        make_lmdb(folder / "lmdb", files)
        mean = statistics.mean(file.stat().st_size for file in files)
        print(
            f"{len(files):,} JPEG files of {mean / 1000:.0f} kB, "
            f"{os.cpu_count()} cores, {platform.machine()}"
        )
        measure_sizes(folder, files, (arguments.files // 100, arguments.files))
        measure_memory(folder, 20 * arguments.pictures)
        measure_rates(folder, files, arguments.rounds)


if __name__ == "__main__":
    main()
