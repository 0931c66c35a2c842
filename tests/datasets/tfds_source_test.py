import os

import numpy as np
import pytest

from keras_lapgan.datasets import DataError
from keras_lapgan.datasets import load_images
from keras_lapgan.datasets import tfds_source

tfds = pytest.importorskip("tensorflow_datasets")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A TFDS folder: 12 pictures in `train`, 3 unlabelled ones in `extra`."""
    folder = tmp_path_factory.mktemp("tfds") / "dots" / "1.0.0"
    folder.mkdir(parents=True)
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(
                shape=(None, None, 3), encoding_format="png"
            ),
            "label": tfds.features.ClassLabel(names=["low", "high"]),
            "note": tfds.features.Text(),
        }
    )

    def examples(n, label):
        for i in range(n):
            yield {
                "image": np.full((8, 8 + i % 2, 3), 10 * i, np.uint8),
                "label": label(i),
                "note": "n",
            }

    splits = [
        ("train", list(examples(12, lambda i: int(i >= 6)))),
        ("extra", list(examples(3, lambda i: -1))),
    ]
    write(folder, features, splits)
    return folder


def write(folder, features, splits):
    import tensorflow as tf

    infos = []
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder,
        dataset_name="dots",
        filetype_suffix="tfrecord",
    )
    for name, examples in splits:
        path = folder / f"dots-{name}.tfrecord-00000-of-00001"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for example in examples:
                writer.write(
                    features.serialize_example(features.encode_example(example))
                )
        infos.append(
            tfds.core.SplitInfo(
                name=name,
                shard_lengths=[len(examples)],
                num_bytes=path.stat().st_size,
                filename_template=template.replace(split=name),
            )
        )
    tfds.folder_dataset.write_metadata(
        data_dir=str(folder),
        features=features,
        split_infos=infos,
        filename_template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
    )


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
    with pytest.raises(DataError, match="resizing is off: one is 8 x 9"):
        load_images(prepared, size=8, resize="none")


def test_too_large_suggests_a_slice(prepared, monkeypatch):
    monkeypatch.setattr(tfds_source, "free_memory", lambda: 1000)
    with pytest.raises(DataError, match=r"train\[:5\]"):
        load_images(prepared, size=8, cache_bytes=1000)


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
    with pytest.raises(DataError, match="splits: train, test"):
        load_images("cifar10", split="unlabelled")
    with pytest.raises(DataError, match="cannot open"):
        load_images("cifar10:9.9.9")
