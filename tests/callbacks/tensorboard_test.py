import io
import sys

import numpy as np
import pytest
from PIL import Image

from keras_lapgan.callbacks import TensorBoard
from keras_lapgan.utils.image_grid import image_grid

pytest.importorskip("tensorflow")
pytest.importorskip("tensorboard")


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )

    events = EventAccumulator(
        str(folder), size_guidance={"images": 0, "tensors": 0}
    )
    events.Reload()
    return events


def scalar(events, tag):
    import tensorflow as tf

    return [
        (event.step, float(tf.make_ndarray(event.tensor_proto)))
        for event in events.Tensors(tag)
    ]


def pictures(events, tag):
    """`(step, pixels)` of each image of a tag."""
    found = []
    for event in events.Tensors(tag):
        # Width, height, and the picture.
        png = event.tensor_proto.string_val[2]
        found.append((event.step, np.asarray(Image.open(io.BytesIO(png)))))
    return found


def fit(model, images, callback, **kwargs):
    return model.fit(
        images, batch_size=12, verbose=0, callbacks=[callback], **kwargs
    ).history


def test_scalars_by_level_and_grids_of_samples(tmp_path, make_model, images):
    model = make_model()
    callback = TensorBoard(tmp_path, image_frequency=3, count=6, seed=5)
    history = fit(
        model, images, callback, epochs=3, validation_data=images[:12]
    )
    events = read(tmp_path / "train")
    tags = set(events.Tags()["tensors"])
    assert {"epoch_d_loss", "level_0/d_loss", "level_1/logit_gap"} <= tags
    assert not any(tag.startswith("epoch_d_loss_") for tag in tags)
    for k in (0, 1):
        found = scalar(events, f"level_{k}/d_loss")
        assert [step for step, _ in found] == [0, 1, 2]
        np.testing.assert_allclose(
            [x for _, x in found], history[f"d_loss_{k}"], rtol=1e-6
        )
    validation = read(tmp_path / "validation")
    np.testing.assert_allclose(
        [x for _, x in scalar(validation, "level_1/d_accuracy")],
        history["val_d_accuracy_1"],
        rtol=1e-6,
    )
    stages = model.generate(6, seed=5, return_pyramid=True)
    for k, stage in enumerate(stages):
        first, last = pictures(events, f"samples/stage_{k}")
        assert (first[0], last[0]) == (0, 2)
        np.testing.assert_array_equal(last[1], image_grid(stage))
        assert first[1].shape == last[1].shape


def test_a_column_a_class(tmp_path, make_model, images):
    model = make_model(num_classes=3)
    callback = TensorBoard(tmp_path, count=8)
    labels = np.arange(24) % 3
    model.fit(images, labels, batch_size=12, verbose=0, callbacks=[callback])
    events = read(tmp_path / "train")
    ((_, grid),) = pictures(events, "samples/stage_0")
    expected = image_grid(model.generate(labels=[0, 1, 2] * 2, seed=0), 3)
    np.testing.assert_array_equal(grid, expected)


def test_without_pictures(tmp_path, make_model, images):
    fit(make_model(), images, TensorBoard(tmp_path, image_frequency=0))
    tags = read(tmp_path / "train").Tags()["tensors"]
    assert "level_0/g_loss" in tags
    assert not any(tag.startswith("samples") for tag in tags)


@pytest.mark.parametrize("missing", ["tensorflow", "tensorboard"])
def test_what_it_needs(tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match="pip install tensorflow tensorboard"):
        TensorBoard(tmp_path)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"image_frequency": -1}, "Received: image_frequency=-1"),
        ({"count": 0}, "Received: count=0"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        TensorBoard(tmp_path, **arguments)
