import json
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from tfds_folder import write_tfds

from keras_lapgan.datasets import DataError
from keras_lapgan.datasets import ImageBatches
from keras_lapgan.datasets import load_images
from keras_lapgan.datasets import parallel
from keras_lapgan.datasets import pictures
from keras_lapgan.datasets import tfds_source

tfds = pytest.importorskip("tensorflow_datasets")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A TFDS folder: 12 pictures in `train`, 3 unlabelled ones in `extra`."""
    folder = tmp_path_factory.mktemp("tfds") / "dots" / "1.0.0"

    def examples(n, label):
        for i in range(n):
            yield {
                "image": np.full((8, 8 + i % 2, 3), 10 * i, np.uint8),
                "label": label(i),
                "note": "n",
            }

    splits = {
        "train": [list(examples(12, lambda i: int(i >= 6)))],
        "extra": [list(examples(3, lambda i: -1))],
    }
    write_tfds(folder, splits, ["low", "high"])
    return folder


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory):
    """The same JPEG files as a folder and as a TFDS set of 19 shards."""
    root = tmp_path_factory.mktemp("jpegs")
    rng = np.random.default_rng(0)
    splits = {"train": [], "test": []}
    for split, lengths in (
        ("train", [40, 16, 1, 33, 2, 32, *range(1, 12)]),
        ("test", [3, 20]),
    ):
        for shard, length in enumerate(lengths):
            splits[split].append([])
            for i in range(length):
                label = int(rng.integers(0, 3))
                path = root / "files" / split / f"c{label}" / f"{shard}_{i}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                height, width = rng.integers(8, 30, 2)
                noise = rng.integers(0, 256, (height, width, 3), np.uint8)
                Image.fromarray(noise).save(path, quality=85)
                splits[split][-1].append(
                    {"image": str(path), "label": label, "note": path.stem}
                )
    write_tfds(root / "set" / "1.0.0", splits, ["c0", "c1", "c2"])
    return root


def shard_of(folder, number=0):
    return sorted(folder.glob("*train*"))[number]


@pytest.fixture
def copy(prepared, tmp_path):
    """A copy of `prepared` to damage."""
    return shutil.copytree(prepared, tmp_path / "copy")


def test_prepared_folder(prepared):
    for path in (prepared, prepared.parent):
        source = load_images(path, size=4)
        assert len(source) == 12 and source.cached
        assert source.class_names == ["low", "high"]
        values = source.read(range(12))[:, 2, 2, 0].astype(int)
        assert sorted(values) == list(range(0, 120, 10))
        np.testing.assert_array_equal(source.labels, values >= 60)


def test_slices_and_unlabelled_split(prepared):
    assert len(load_images(prepared, "train[:25%]", size=8)) == 3
    extra = load_images(prepared, "extra", size=8)
    assert extra.labels is None and extra.num_classes == 0
    with pytest.raises(DataError, match="splits: .*train.*'nope'"):
        load_images(prepared, "nope", size=8)


def test_sizes_must_agree(prepared):
    with pytest.raises(DataError, match="one size"):
        load_images(prepared)
    with pytest.raises(DataError, match="resizing is off.*train.* is 8 x 9"):
        load_images(prepared, size=8, resize="none")


@pytest.mark.parametrize("cache_bytes", [0, 2**30])
@pytest.mark.parametrize(
    "split", ["train", "train[:80%]", "train[37:121]", "train[50%:]+test"]
)
def test_pictures_and_order_are_those_of_tfds(jpegs, split, cache_bytes):
    builder = tfds.builder_from_directory(jpegs / "set" / "1.0.0")
    skip = {"image": tfds.decode.SkipDecoding()}
    examples = list(
        builder.as_dataset(split=split, decoders=skip).as_numpy_iterator()
    )
    source = load_images(jpegs / "set", split, size=12, cache_bytes=cache_bytes)
    assert source.cached == (cache_bytes > 0)
    assert source.labels.tolist() == [e["label"] for e in examples]
    expected = [
        pictures.fit_image(pictures.decode_image(e["image"]), 12, "crop")
        for e in examples
    ]
    np.testing.assert_array_equal(source.read(range(len(source))), expected)


def test_pictures_are_those_of_a_folder(jpegs):
    files = load_images(jpegs / "files", "test", size=12)
    records = load_images(jpegs / "set", "test", size=12, cache_bytes=0)
    assert sorted(
        (label, image.tobytes())
        for label, image in zip(files.labels, files.images, strict=True)
    ) == sorted(
        (label, image.tobytes())
        for label, image in zip(
            records.labels, records.read(range(len(records))), strict=True
        )
    )


def test_a_set_that_is_not_shuffled_comes_file_by_file(jpegs, tmp_path):
    shutil.copytree(jpegs / "set", tmp_path / "set")
    path = tmp_path / "set" / "1.0.0" / "dataset_info.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"disableShuffling": True}))
    builder = tfds.builder_from_directory(path.parent)
    labels = [
        int(example["label"])
        for example in builder.as_dataset(split="train").as_numpy_iterator()
    ]
    source = load_images(tmp_path / "set", size=8, cache_bytes=0)
    assert source.labels.tolist() == labels
    assert labels != load_images(jpegs / "set", size=8).labels.tolist()


def test_array_records(jpegs, tmp_path):
    pytest.importorskip("array_record")
    rng = np.random.default_rng(0)
    splits = {
        "train": [
            [
                {
                    "image": rng.integers(0, 256, (6, 6, 3), np.uint8),
                    "label": i % 3,
                    "note": "",
                }
                for i in range(length)
            ]
            for length in (20, 5)
        ]
    }
    folder = tmp_path / "1.0.0"
    write_tfds(folder, splits, ["a", "b", "c"], "array_record")
    examples = splits["train"][0] + splits["train"][1]
    for cache_bytes in (0, 2**30):
        source = load_images(folder, "train[3:]", cache_bytes=cache_bytes)
        source = pickle.loads(pickle.dumps(source))
        np.testing.assert_array_equal(
            source.read([0, 21, 5]),
            [examples[i]["image"] for i in (3, 24, 8)],
        )
        assert source.labels.tolist() == [e["label"] for e in examples[3:]]
    shard = shard_of(folder, 1)
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(DataError, match="may be cut off.*00001-of-00002"):
        load_images(folder)
    shard.unlink()
    with pytest.raises(DataError, match="is missing.*00001-of-00002"):
        load_images(folder, labels=False)


def test_another_file_format(copy):
    path = copy / "dataset_info.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"fileFormat": "riegeli"}))
    with pytest.raises(DataError, match="again with file_format.*riegeli"):
        load_images(copy, size=8)


@pytest.mark.parametrize("short", [0, 1])
def test_streamed_sources_are_pickled_and_read_by_threads(
    jpegs, short, monkeypatch
):
    # By one thread in turns, or by several at once.
    monkeypatch.setattr(parallel, "SHORT", short)
    monkeypatch.setattr(parallel, "num_threads", lambda: 3)
    source = load_images(jpegs / "set", size=12, cache_bytes=0)
    rows = np.arange(len(source))
    expected = load_images(jpegs / "set", size=12).read(rows)
    copied = pickle.loads(pickle.dumps(source.subset(rows[::-1])))
    with ThreadPoolExecutor(4) as pool:
        for images in pool.map(copied.read, [rows] * 8):
            np.testing.assert_array_equal(images, expected[::-1])


def test_streamed_sources_train_and_evaluate(jpegs, tiny):
    source = load_images(jpegs / "set", size=8, cache_bytes=0)
    kept = load_images(jpegs / "set", size=8)
    results = []
    for data in (source, kept):
        model = tiny.model()
        model.adapt(ImageBatches(data, 16, with_labels=False))
        model.compile(**tiny.quick)
        batches = ImageBatches(data, 16, steps=3, with_labels=False)
        model.fit(batches, epochs=2, verbose=0)
        unshuffled = ImageBatches(data, 64, shuffle=False, with_labels=False)
        results.append(model.evaluate(unshuffled, verbose=0, return_dict=True))
    assert results[0] == results[1] and "g_loss" in results[0]


def test_a_shard_is_missing(copy):
    shard_of(copy).unlink()
    with pytest.raises(DataError, match="is missing.*tfrecord-00000-of-00001"):
        load_images(copy, size=8)


@pytest.mark.parametrize("left", [0, 5, 12, 700, -1])
def test_a_shard_is_cut_off(copy, left):
    shard = shard_of(copy)
    shard.write_bytes(shard.read_bytes()[:left])
    with pytest.raises(DataError, match=r"cut off.*within record \d+ of 12"):
        load_images(copy, size=8)


def test_a_shard_is_longer_than_described(copy):
    shard = shard_of(copy)
    shard.write_bytes(shard.read_bytes() + bytes(20))
    with pytest.raises(DataError, match="20 bytes after 12 records"):
        load_images(copy, size=8)


def test_a_shard_is_cut_off_while_it_is_read(copy):
    source = load_images(copy, size=8, cache_bytes=0, strict=True)
    shard = shard_of(copy)
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(DataError, match="file ends before it.*at byte"):
        source.read([11])
    shard.unlink()
    with pytest.raises(DataError, match="no such file.*at byte"):
        source.read([11])


@pytest.mark.parametrize("what", ["record", "picture"])
def test_damage_is_skipped_or_replaced_or_raised(copy, what):
    store = load_images(copy, size=8, cache_bytes=0).images.store
    start, size = int(store.starts[2]), int(store.sizes[2])
    shard = shard_of(copy)
    data = bytearray(shard.read_bytes())
    if what == "picture":
        data[start : start + size] = bytes(size)
    else:
        before = data.rindex(b"image", 0, start)
        data[before : before + 5] = b"imagf"
    shard.write_bytes(data)
    with pytest.raises(DataError, match=f"(damaged|image).*{shard.name}"):
        load_images(copy, size=8, strict=True)
    with pytest.warns(UserWarning, match="Skipped 1 of 12"):
        assert len(load_images(copy, size=8)) == 11
    source = load_images(copy, size=8, cache_bytes=0)
    with pytest.warns(UserWarning, match="replaced by another"):
        images = source.read([2, 3])
    np.testing.assert_array_equal(images[0], images[1])


def test_several_versions(prepared, tmp_path):
    for version in ("1.0.0", "2.0.0"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "dataset_info.json").write_text("{}")
    with pytest.raises(DataError, match=r"name one of: .*1\.0\.0, .*2\.0\.0"):
        load_images(tmp_path)
    with pytest.raises(DataError, match="not one that TensorFlow Datasets"):
        load_images(tmp_path / "1.0.0")


def test_unknown_name_gets_the_nearest():
    with pytest.raises(DataError, match="Did you mean cifar10"):
        load_images("cifr10")
    with pytest.raises(DataError, match="Did you mean sample"):
        load_images("smaple")
    with pytest.raises(DataError, match="LMDB folder"):
        load_images("lsun/bedroom")


def test_failed_download_says_what_to_do(monkeypatch, tmp_path):
    class Builder:
        data_path = tmp_path / "stl10" / "1.0.0"

        def download_and_prepare(self):
            raise OSError("no route to host")

    monkeypatch.setattr(tfds_source, "_import_tfds", lambda data: tfds)
    monkeypatch.setattr(tfds, "builder", lambda name: Builder())
    with pytest.raises(DataError, match="no route to host.*TFDS_DATA_DIR"):
        load_images("stl10")

    def no_name(host, port):
        raise OSError("name not known")

    Builder.url_infos = {"http://host.example/a.tar.gz": None}
    monkeypatch.setattr(tfds_source.urllib.request, "getproxies", dict)
    monkeypatch.setattr(tfds_source.socket, "getaddrinfo", no_name)
    with pytest.raises(DataError, match="host.example is not found"):
        load_images("stl10")


def test_real_cifar10():
    if not os.environ.get("TFDS_DATA_DIR"):
        pytest.skip("TFDS_DATA_DIR is not set")
    source = load_images("cifar10", split="test[:1000]")
    assert len(source) == 1000 and source.image_shape == (32, 32, 3)
    assert source.class_names[9] == "truck"
    assert np.bincount(source.labels, minlength=10).min() > 60
    means = source.read(range(1000)).mean((0, 1, 2)) / 255
    np.testing.assert_allclose(means, [0.491, 0.482, 0.447], atol=0.02)
    streamed = load_images("cifar10", split="test[:1000]", cache_bytes=0)
    assert not streamed.cached
    rows = np.random.default_rng(0).permutation(1000)
    np.testing.assert_array_equal(streamed.read(rows), source.read(rows))
    theirs = tfds.load("cifar10", split="test[:1000]", batch_size=-1)
    np.testing.assert_array_equal(source.images, theirs["image"])
    np.testing.assert_array_equal(source.labels, theirs["label"])
    with pytest.raises(DataError, match="splits: train, test"):
        load_images("cifar10", split="unlabelled")
    with pytest.raises(DataError, match="cannot open"):
        load_images("cifar10:9.9.9")
