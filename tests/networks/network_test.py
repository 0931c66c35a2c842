import pytest
from keras import ops

from keras_lapgan import networks
from keras_lapgan.networks.network import check_level


@pytest.mark.parametrize(
    "size", [0, -8, 8.0, True, "8", None, (8,), (8, 0), (8, 8, 3)]
)
def test_bad_sizes_are_named(size):
    with pytest.raises(ValueError, match="Received: size="):
        check_level(size, 3, 0)


def test_bad_channels_and_classes_are_named():
    with pytest.raises(ValueError, match="Received: channels=0"):
        check_level(8, 0, 0)
    with pytest.raises(ValueError, match="Received: num_classes=-1"):
        check_level(8, 3, -1)
    with pytest.raises(ValueError, match="Received: num_classes=None"):
        check_level(8, 3, None)


@pytest.mark.parametrize("name", networks.__all__)
def test_every_network_says_what_it_is(name):
    network = getattr(networks, name)((14, 16), channels=1, num_classes=2)
    assert network.size == (14, 16)
    assert network.channels == 1
    assert network.num_classes == 2
    assert network.conditional == (not name.startswith("Dense"))
    assert ("condition" in network.input) == network.conditional
    if name.endswith("Generator"):
        assert network.output.shape == (None, 14, 16, 1)
        assert network.input["noise"].shape == (None, *network.noise_shape)
    else:
        assert network.output.shape == (None, 1)
    # A list is what JSON makes of a pair.
    config = network.get_config() | {"size": [14, 16]}
    assert type(network).from_config(config).size == (14, 16)


@pytest.mark.parametrize("name", networks.__all__)
def test_layer_names_do_not_depend_on_what_was_built_before(name):
    network_class = getattr(networks, name)
    first = network_class(16, num_classes=2)
    second = network_class(16, num_classes=2)
    assert [w.path for w in first.weights] == [w.path for w in second.weights]
    assert [x.name for x in first.layers] == [x.name for x in second.layers]


@pytest.mark.parametrize("name", networks.__all__)
def test_no_two_weights_start_equal(name):
    network = getattr(networks, name)(16, num_classes=2)
    seen = {}
    for weight in network.trainable_variables:
        values = ops.convert_to_numpy(weight)
        key = tuple(values.reshape(-1)[:4].tolist())
        if any(key):
            assert key not in seen, (weight.path, seen[key])
            seen[key] = weight.path
