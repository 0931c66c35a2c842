import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan import PresetError
from keras_lapgan.presets.preset_folder import read_metadata

TOOL = Path(__file__).parents[2] / "tools" / "widen_preset.py"
_spec = importlib.util.spec_from_file_location(TOOL.stem, TOOL)
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)


@pytest.fixture
def pair(tiny):
    """A model and a wider one: of convolutions, and as it is at the end."""
    kind = {"sizes": (12, 6), "num_classes": 3}
    narrow, wide = (tiny.model(**kind, filters=n, seed=n) for n in (3, 5))
    rng = np.random.default_rng(0)
    for level in narrow.levels:
        # Biases begin at zero, and the average as the generator.
        for network in (level.ema_generator, level.discriminator):
            for weight in network.weights:
                weight.assign(rng.normal(0, 0.2, weight.shape))
        level.averaged_steps.assign(7)
    return narrow, wide


def test_it_draws_and_judges_as_the_narrow_one(tiny, pair):
    narrow, wide = pair
    tool.widen(narrow, wide)
    noise, labels = tiny.noise(narrow, 4), np.array([0, 1, 2, 0])
    rng = np.random.default_rng(1)
    for k, (a, b) in enumerate(zip(narrow.levels, wide.levels, strict=True)):
        size = narrow.sizes[k]
        band, condition = rng.normal(0, 1, (2, 4, *size, 3)).astype("float32")
        context = [condition if a.conditional else None, labels]
        for x, y in (
            (a.score(band, *context), b.score(band, *context)),
            (
                a.sample_band(*context, noise=noise[k]),
                b.sample_band(*context, noise=noise[k]),
            ),
        ):
            x, y = map(keras.ops.convert_to_numpy, (x, y))
            assert np.std(x) > 0.01
            np.testing.assert_allclose(y, x, atol=1e-5)
        # It goes on from the average.
        assert tiny.same(*map(tiny.arrays, (b.generator, b.ema_generator)))
    assert [int(level.averaged_steps) for level in wide.levels] == [0, 7]


def test_new_maps_can_learn(pair):
    narrow, wide = pair
    fresh = wide.level(0).generator.get_layer("conv_2").get_weights()[0]
    tool.widen(narrow, wide)
    kernel = wide.level(0).generator.get_layer("conv_2").get_weights()[0]
    # What leads to them is as it was made, from them to the old ones nothing.
    np.testing.assert_array_equal(kernel[..., 3:], fresh[..., 3:])
    assert np.all(kernel[..., 3:] != 0) and not kernel[..., 3:, :3].any()


def test_what_does_not_correspond(tiny, pair):
    narrow, wide = pair
    with pytest.raises(PresetError, match="Received: ConvolutionalG.* of"):
        tool.widen(wide, narrow)
    with pytest.raises(PresetError, match="and .* with 0"):
        tool.widen(narrow, tiny.model(sizes=(12, 6), filters=5))
    with pytest.raises(PresetError, match="Received: Dense"):
        tool.grow(narrow.level(1).generator, wide.level(0).generator)


def test_a_preset_s_folder(pair, tmp_path, monkeypatch, capsys):
    narrow, _ = pair
    folder, output = tmp_path / "narrow", tmp_path / "wide"
    about = {"data": "cifar10", "images": 9, "epochs": 3, "preset": "a"}
    narrow.save_to_preset(folder, metadata=about)
    monkeypatch.setattr("sys.argv", ["x", *map(str, (folder, folder, output))])
    tool.main()
    assert "draws as" in capsys.readouterr().out
    found = read_metadata(output)
    assert found["images"] == 9 and "epochs" not in found
    assert str(folder) in found["note"]
    drawn = [
        x.generate(3, labels=[0, 1, 2], seed=4)
        for x in map(LAPGAN.from_preset, (folder, output))
    ]
    np.testing.assert_array_equal(*drawn)
    with pytest.raises(SystemExit):
        tool.main()
    assert "there already" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["x", "nothing", "gan_cifar10", "new"])
    with pytest.raises(SystemExit):
        tool.main()
    assert "no folder called 'nothing'" in capsys.readouterr().err
