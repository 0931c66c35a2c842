"""A LAPGAN's sampler, rebuilt of what every exporter and reader knows."""

import itertools
import math

import keras
import numpy as np
from keras import layers
from keras import ops

from keras_lapgan.export.export_error import ExportError
from keras_lapgan.layers.class_plane import ClassPlane
from keras_lapgan.layers.dropout import StepDropout
from keras_lapgan.layers.grouped_convolution import GroupedConv2D
from keras_lapgan.layers.lp_pooling import EPSILON
from keras_lapgan.layers.lp_pooling import PairwiseL2Pooling
from keras_lapgan.layers.resampling import resampling_matrix

# What `scripts/runtime_safetensors.py` computes.
_ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh")


class PlainSampler:
    """The chain of a LAPGAN in float32, of Keras' own layers.

    The same chain twice: as a functional model that opens without this
    package and that converters understand, and as a list of nodes with named
    arrays, for those who have no Keras.

    Args:
        model: `LAPGAN`.
        inputs: list of dict, see `signature.file_inputs`.
        outputs: list of dict, see `signature.file_outputs`.

    Attributes:
        model: functional `keras.Model` from a dict of the inputs to a dict of
            the outputs.
        nodes: list of dict, in the order of computing: `"name"`, `"op"`,
            `"inputs"` and the op's own entries. `"op"` is None for a layer
            that only Keras knows; `"layer"` is its class then.
        arrays: dict of float32 numpy arrays, `"<node>.<array>"`.

    Raises:
        ExportError: a network that is no graph of layers.
    """

    def __init__(self, model, inputs, outputs):
        self.nodes = []
        self.arrays = {}
        # By `id`, which lives as long as its tensor, which is kept here too.
        self._names, self._kept = {}, []
        tensors = {
            spec["name"]: keras.Input(
                spec["shape"][1:], dtype=spec["dtype"], name=spec["name"]
            )
            for spec in inputs
        }
        for name, tensor in tensors.items():
            self._name(tensor, name)
        dtypes = {spec["level"]: spec["dtype"] for spec in outputs}
        levels = [s["level"] for s in inputs if s["name"].startswith("noise")]
        image = tensors.get(f"images_{max(levels) + 1}")
        if image is not None:
            image = self._from_pixels(model, image, max(levels) + 1)
        stages = {}
        for k in sorted(levels, reverse=True):
            values = {"noise": tensors[f"noise_{k}"]}
            if "labels" in tensors:
                values["labels"] = tensors["labels"]
            if image is None:
                image = self._network(model, k, values)
            else:
                condition = self._condition(model, image, k)
                values["condition"] = condition
                band = self._network(model, k, values)
                image = self._add(
                    layers.Add(name=f"picture_{k}", dtype="float32"),
                    [condition, band],
                    {"op": "add"},
                )
            if k in dtypes:
                stages[f"images_{k}"] = self._to_pixels(
                    model, image, k, dtypes[k]
                )
        self.model = keras.Model(
            tensors,
            {spec["name"]: stages[spec["name"]] for spec in outputs},
            name="sampler",
        )

    # === The chain ===

    def _network(self, model, k, values):
        """The generator of level `k`, as one nested model."""
        network = model.levels[k].ema_generator
        if not _is_functional(network):
            raise ExportError(
                f"The generator of level {k} has a `call` of its own, which "
                "an exported file cannot know. Build it as a graph of layers: "
                "a `keras_lapgan.networks.Network`, or a functional model. "
                f"Received: {type(network).__name__}"
            )
        prefix = f"level_{k}."
        originals, built, last = {}, [], []

        def clone(operation):
            twin, node, arrays = _plain(operation)
            originals[id(twin)] = (operation, node, arrays)
            built.append((operation, twin))
            return twin

        def call(operation, *args, **kwargs):
            outputs = operation(*args, **kwargs)
            original, node, arrays = originals[id(operation)]
            name = prefix + (
                original.name
                if isinstance(original, keras.layers.Layer)
                else node["op"] or original.name
            )
            given = [x for x in _tensors((args, kwargs)) if _is_symbolic(x)]
            self._record(name, outputs, given, node, arrays)
            if original is network.output._keras_history.operation:
                last.append(outputs)
            return outputs

        named = network.input
        if not isinstance(named, dict):
            named = {x.name: x for x in _tensors(named)}
        inner = {
            id(x): keras.Input(x.shape[1:], dtype=x.dtype, name=name)
            for name, x in named.items()
        }
        for name, x in named.items():
            self._name(inner[id(x)], self._names[id(values[name])])
        twin = keras.models.clone_model(
            network,
            input_tensors=keras.tree.map_structure(
                lambda x: inner[id(x)], network.input
            ),
            clone_function=clone,
            call_function=call,
        )
        twin.name = prefix[:-1]
        for layer, its_twin in built:
            # One of another class has got its weights when it was made.
            if type(its_twin) is type(layer) and hasattr(layer, "weights"):
                its_twin.set_weights(_weights(layer))
        tensor = twin(values)
        self._name(tensor, self._names[id(last[-1])])
        return tensor

    def _condition(self, model, image, k):
        """Equation (2) of the pyramid, as products with its two matrices."""
        (h, w), (height, width) = model.sizes[k + 1], model.sizes[k]
        rows = resampling_matrix(h, height, model.up).astype("float32")
        columns = resampling_matrix(w, width, model.up).astype("float32")
        channels = image.shape[-1]
        name = f"condition_{k}"
        across = layers.EinsumDense(
            "bhwc,hy->bywc",
            (height, w, channels),
            trainable=False,
            dtype="float32",
            name=f"{name}_rows",
        )
        along = layers.EinsumDense(
            "bhwc,wx->bhxc",
            (height, width, channels),
            trainable=False,
            dtype="float32",
            name=name,
        )
        tensor = along(across(image))
        across.set_weights([rows.T])
        along.set_weights([columns.T])
        arrays = {"rows": rows, "columns": columns}
        self._record(name, tensor, [image], {"op": "resample"}, arrays)
        return tensor

    def _from_pixels(self, model, image, k):
        mean, std = _statistics(model, k)
        return self._affine(f"normalised_{k}", image, 1.0 / std, -mean / std)

    def _to_pixels(self, model, image, k, dtype):
        mean, std = _statistics(model, k)
        image = self._affine(f"pixels_{k}", image, std, mean)
        name = f"images_{k}"
        last = name if dtype == "float32" else f"clipped_{k}"
        image = self._add(
            layers.ReLU(max_value=255.0, dtype="float32", name=last),
            [image],
            {"op": "clip", "low": 0.0, "high": 255.0},
        )
        if dtype == "float32":
            return image
        tensor = ops.cast(ops.round(image), dtype)
        self._record(name, tensor, [image], {"op": "round"}, {})
        return tensor

    def _affine(self, name, image, scale, offset):
        layer = layers.Rescaling(
            scale.tolist(), offset.tolist(), dtype="float32", name=name
        )
        arrays = {"scale": scale, "offset": offset}
        return self._add(layer, [image], {"op": "affine"}, arrays)

    # === Nodes ===

    def _name(self, tensor, name):
        self._names[id(tensor)] = name
        self._kept.append(tensor)

    def _add(self, layer, tensors, node, arrays=None):
        tensor = layer(tensors if len(tensors) > 1 else tensors[0])
        self._record(layer.name, tensor, tensors, node, arrays or {})
        return tensor

    def _record(self, name, outputs, given, node, arrays):
        # A layer that is called twice is two nodes.
        taken = {node["name"] for node in self.nodes}
        names = itertools.chain(
            [name], (f"{name}_{i}" for i in itertools.count(2))
        )
        name = next(name for name in names if name not in taken)
        for tensor in _tensors(outputs):
            self._name(tensor, name)
        inputs = [self._names[id(x)] for x in given]
        self.nodes.append(
            {"name": name, "op": node["op"], "inputs": inputs, **node}
        )
        for key, value in arrays.items():
            self.arrays[f"{name}.{key}"] = np.ascontiguousarray(
                value, dtype="float32"
            )


def _tensors(structure):
    return keras.tree.flatten(structure)


def _is_symbolic(x):
    return isinstance(x, keras.KerasTensor)


def _is_functional(network):
    nothing = keras.Input(())
    graph = type(keras.Model(nothing, nothing))
    return isinstance(network, graph) and type(network).call is graph.call


def _statistics(model, k):
    """Mean and deviation of level `k`, no larger than they have to be."""
    found = []
    for value in model.pixel_statistics(k):
        value = ops.convert_to_numpy(value)[0].astype("float32")
        value = np.broadcast_to(value, (*model.sizes[k], model.channels))
        found.append(value)
    if not any(np.ptp(value, axis=(0, 1)).any() for value in found):
        found = [value[0, 0] for value in found]
        if not any(np.ptp(value) for value in found):
            found = [value[0] for value in found]
    return found


# === Layers ===


def _weights(layer):
    return [ops.convert_to_numpy(w).astype("float32") for w in layer.weights]


def _named(layer):
    return dict(
        zip((w.name for w in layer.weights), _weights(layer), strict=True)
    )


def _plain(operation):
    """What stands for an operation of a network.

    Returns:
        A new operation of Keras' own, not yet with weights unless it is a
        model; the node; its arrays.
    """
    plain = _PLAIN.get(type(operation))
    if plain is not None:
        return plain(operation)
    name = type(operation).__name__
    if name == "OneHot":
        config = operation.get_config()
        return (
            _copy(operation),
            {"op": "one_hot", "depth": config["num_classes"]},
            {},
        )
    return _copy(operation), {"op": None, "layer": name}, {}


def _copy(operation):
    config = operation.get_config()
    if isinstance(operation, keras.layers.Layer):
        config["dtype"] = "float32"
    return type(operation).from_config(config)


def _activation(layer):
    return keras.activations.serialize(layer.activation)


def _known(op, layer, **more):
    """A node, if its activation is one that everybody computes."""
    activation = _activation(layer)
    if activation not in _ACTIVATIONS:
        return {"op": None, "layer": f"{type(layer).__name__}, {activation}"}
    return {"op": op, "activation": activation, **more}


def _dense(layer):
    return _copy(layer), _known("dense", layer), _named(layer)


def _convolution(layer):
    node = _known("conv2d", layer, groups=layer.groups)
    if (layer.padding, *layer.strides, *layer.dilation_rate) != (
        "same",
        *(1, 1, 1, 1),
    ):
        node = {"op": None, "layer": "Conv2D, strided, dilated or 'valid'"}
    arrays = _named(layer)
    if layer.groups == 1:
        return _copy(layer), node, arrays
    # TensorFlow runs these only inside XLA, on some CPUs, which converters do
    # not read.
    image = keras.Input(layer.input.shape[1:], dtype="float32")
    config = layer.get_config()
    config.update(
        filters=layer.filters // layer.groups, groups=1, dtype="float32"
    )
    convolutions = [
        layers.Conv2D.from_config({**config, "name": f"group_{i}"})
        for i in range(layer.groups)
    ]
    parts = ops.split(image, layer.groups, axis=-1)
    parts = [c(part) for c, part in zip(convolutions, parts, strict=True)]
    joined = layers.Concatenate(dtype="float32", name="groups")(parts)
    twin = keras.Model(image, joined, name=layer.name)
    pieces = [
        np.split(array, layer.groups, axis=-1) for array in _weights(layer)
    ]
    for i, convolution in enumerate(convolutions):
        convolution.set_weights([piece[i] for piece in pieces])
    return twin, node, arrays


def _batch_norm(layer):
    names = {"moving_mean": "mean", "moving_variance": "variance"}
    arrays = {names.get(k, k): v for k, v in _named(layer).items()}
    node = {"op": "batch_norm", "epsilon": layer.epsilon}
    if layer.axis not in (-1, len(layer.input.shape) - 1):
        node = {"op": None, "layer": "BatchNormalization of another axis"}
    return _copy(layer), node, arrays


def _class_plane(layer):
    """Its rows, made once: one for each class."""
    kernel, bias = _weights(layer)
    table = ops.convert_to_numpy(
        layer.activation(ops.convert_to_tensor(kernel + bias))
    )
    shape = (*layer.size, 1)
    labels = keras.Input((), dtype="int32")
    lookup = layers.Embedding(*table.shape, dtype="float32", name="table")
    plane = layers.Reshape(shape, dtype="float32", name="plane")
    twin = keras.Model(labels, plane(lookup(labels)), name=layer.name)
    lookup.set_weights([table])
    return twin, {"op": "lookup", "shape": list(shape)}, {"table": table}


def _pairwise_l2(layer):
    maps = keras.Input(layer.input.shape[1:], dtype="float32")
    height, width, channels = layer.output.shape[1:]
    pairs = layers.Reshape(
        (height, width, channels, 2), dtype="float32", name="pairs"
    )(maps)
    norm = ops.sqrt(ops.sum(ops.square(pairs), axis=-1) + EPSILON)
    twin = keras.Model(maps, norm, name=layer.name)
    return twin, {"op": "pairwise_l2", "epsilon": EPSILON}, {}


def _leaky_relu(layer):
    node = {"op": "leaky_relu", "slope": float(layer.negative_slope)}
    return _copy(layer), node, {}


def _sum(layer):
    node = {"op": "add"}
    if len(layer.input) != 2:
        node = {"op": None, "layer": "Add of more than two"}
    return _copy(layer), node, {}


def _halved(layer):
    """Means of 2x2 pixels."""
    height, width = layer.input.shape[1:3]
    if (*layer.pool_size, *layer.strides, layer.data_format) != (
        *(2, 2, 2, 2),
        "channels_last",
    ) or (height % 2 or width % 2):
        return _copy(layer), {"op": None, "layer": "AveragePooling2D"}, {}
    return _resampled(layer, "area", height // 2, width // 2)


def _doubled(layer):
    """Each pixel repeated, 2x2."""
    height, width = layer.input.shape[1:3]
    if (*layer.size, layer.interpolation, layer.data_format) != (
        *(2, 2),
        "nearest",
        "channels_last",
    ):
        return _copy(layer), {"op": None, "layer": "UpSampling2D"}, {}
    return _resampled(layer, "replicate", 2 * height, 2 * width)


def _resampled(layer, method, *size):
    arrays = {
        name: resampling_matrix(source, target, method)
        for name, source, target in zip(
            ("rows", "columns"), layer.input.shape[1:3], size, strict=True
        )
    }
    return _copy(layer), {"op": "resample"}, arrays


def _concat(layer):
    node = {"op": "concat"}
    if layer.axis not in (-1, len(layer.output.shape) - 1):
        node = {"op": None, "layer": "Concatenate of another axis"}
    return _copy(layer), node, {}


def _reshape(layer):
    return (
        _copy(layer),
        {"op": "reshape", "shape": list(layer.target_shape)},
        {},
    )


def _flatten(layer):
    size = math.prod(layer.input.shape[1:])
    return _copy(layer), {"op": "reshape", "shape": [size]}, {}


def _identity(layer):
    """Dropout, which does nothing when pictures are drawn."""
    twin = layers.Identity(dtype="float32", name=layer.name)
    return twin, {"op": "identity"}, {}


_PLAIN = {
    ClassPlane: _class_plane,
    GroupedConv2D: _convolution,
    PairwiseL2Pooling: _pairwise_l2,
    StepDropout: _identity,
    layers.Dropout: _identity,
    layers.Dense: _dense,
    layers.Conv2D: _convolution,
    layers.LeakyReLU: _leaky_relu,
    layers.Add: _sum,
    layers.AveragePooling2D: _halved,
    layers.UpSampling2D: _doubled,
    layers.BatchNormalization: _batch_norm,
    layers.Concatenate: _concat,
    layers.Reshape: _reshape,
    layers.Flatten: _flatten,
}
