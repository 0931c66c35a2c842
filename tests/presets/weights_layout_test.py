import copy

import h5py
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan import LAPGANLevel
from keras_lapgan import PresetError
from keras_lapgan import networks
from keras_lapgan.presets import get_preset
from keras_lapgan.presets.preset_folder import serialized
from keras_lapgan.presets.weights_layout import parameter_counts
from keras_lapgan.presets.weights_layout import weights_layout

# Arguments that are not the default ones.
OTHERS = {
    "Dense": ({"hidden_units": (5, 6, 7), "noise_dim": 4}, {}),
    "Convolutional": (
        {"filters": 3, "kernel_sizes": (3, 1, 5)},
        {"filters": 2, "kernel_size": 3},
    ),
    "LSUN": ({}, {}),
    "Residual": (
        {"filters": (3, 4), "blocks": 1, "noise_dim": 4},
        {"filters": (3,), "blocks": 2, "units": 5},
    ),
}


def made(kind, num_classes, channels, normalization):
    """A pyramid of one kind, of pictures that are not square."""
    shared = {"num_classes": num_classes, "channels": channels}
    levels = []
    for k, size in enumerate([(28, 26), (14, 14)]):
        for_g, for_d = OTHERS[kind] if k else ({}, {})
        generator, discriminator = (
            getattr(networks, f"{kind}{role}")(
                size, **shared, **arguments, conditional=k == 0
            )
            for role, arguments in (
                ("Generator", for_g),
                ("Discriminator", for_d),
            )
        )
        levels.append(LAPGANLevel(generator, discriminator, index=k))
    return LAPGAN(levels, normalization=normalization)


@pytest.mark.parametrize(
    "kind, num_classes, channels, normalization",
    [
        ("Dense", 0, 3, "unit"),
        ("Dense", 3, 1, "per_pixel"),
        ("Convolutional", 0, 1, "per_channel"),
        ("Convolutional", 3, 3, "per_pixel"),
        ("LSUN", 0, 3, "per_channel"),
        ("LSUN", 3, 1, "unit"),
        ("Residual", 0, 1, "per_pixel"),
        ("Residual", 3, 3, "unit"),
    ],
)
def test_it_is_what_keras_saves(
    tmp_path, kind, num_classes, channels, normalization
):
    model = made(kind, num_classes, channels, normalization)
    config = serialized(model)
    model.optimizer = None
    model.save_weights(tmp_path / "model.weights.h5")
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item.shape

    with h5py.File(tmp_path / "model.weights.h5") as file:
        file.visititems(visit)
    assert weights_layout(config) == found
    assert parameter_counts(config) == [
        (level.generator.count_params(), level.discriminator.count_params())
        for level in model.levels
    ]


@pytest.mark.parametrize(
    "kind, least", [("Convolutional", 9), ("LSUN", 13), ("Dense", 1)]
)
def test_no_place_for_convolutions(kind, least):
    config = get_preset("gan_cifar10").config()
    network = config["config"]["levels"][0]["config"]["discriminator"]
    network["class_name"] = f"{kind}Discriminator"
    network["config"] = {"size": [least, 28]}
    assert weights_layout(config)
    if least == 1:
        return
    smaller = copy.deepcopy(config)
    network = smaller["config"]["levels"][0]["config"]["discriminator"]
    network["config"]["size"] = [least - 1, 28]
    with pytest.raises(PresetError, match="no place for its convolutions"):
        weights_layout(smaller)
    # The class says so too.
    with pytest.raises(ValueError, match="size"):
        getattr(networks, network["class_name"])(least - 1)


def test_sides_that_a_residual_network_cannot_halve():
    config = get_preset("gan_cifar10").config()
    level = config["config"]["levels"][0]["config"]
    for role in ("generator", "discriminator"):
        wrong = copy.deepcopy(level[role])
        level[role]["class_name"] = f"Residual{role.capitalize()}"
        level[role]["config"] = {"size": 28, "filters": [2, 3, 4]}
        assert weights_layout(config)
        level[role]["config"]["size"] = [28, 30]
        with pytest.raises(PresetError, match=r"multiples of 4.*\[28, 30\]"):
            weights_layout(config)
        level[role] = wrong
