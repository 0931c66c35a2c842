"""Runs `model.safetensors` with numpy, node by node of the signature."""

import numpy as np


def load(folder, signature):
    """Returns a function of the inputs to the outputs, by name."""
    try:
        from safetensors.numpy import load_file
    except ImportError as error:
        raise ImportError(
            f"This model needs safetensors, `pip install safetensors` ({error})"
        ) from error
    arrays = load_file(str(folder / signature["file"]))
    graph = [
        (node, _OPS[_known(node)], _arrays_of(node, arrays))
        for node in signature["graph"]
    ]
    names = {entry["name"] for entry in signature["outputs"]}
    last_use = {
        name: i
        for i, (node, _, _) in enumerate(graph)
        for name in node["inputs"]
    }

    def run(inputs):
        values = dict(inputs)
        for i, (node, op, weights) in enumerate(graph):
            xs = [values[name] for name in node["inputs"]]
            values[node["name"]] = op(node, weights, *xs)
            # What nothing needs any more would fill the memory.
            for name in set(node["inputs"]) - names:
                if last_use[name] == i:
                    del values[name]
        return {name: values[name] for name in names}

    return run


def _known(node):
    if node["op"] not in _OPS:
        raise ValueError(
            f"This script has no operation {node['op']!r}; run.py must be from "
            f"the same export. Received: {node['name']!r}"
        )
    return node["op"]


def _arrays_of(node, arrays):
    """The node's own arrays, those called `<node's name>.<array>`."""
    start = f"{node['name']}."
    return {
        name.removeprefix(start): array.astype("float32")
        for name, array in arrays.items()
        if name.startswith(start)
    }


def _activate(node, x):
    name = node.get("activation", "linear")
    if name == "relu":
        return np.maximum(x, 0)
    if name == "tanh":
        return np.tanh(x)
    if name == "sigmoid":
        # 1 / (1 + exp(-x)) would overflow.
        return 0.5 + 0.5 * np.tanh(0.5 * x)
    if name != "linear":
        raise ValueError(f"Unknown activation. Received: {name!r}")
    return x


def _dense(node, weights, x):
    return _activate(node, x @ weights["kernel"] + weights.get("bias", 0))


def _conv2d(node, weights, x):
    kernel = weights["kernel"]
    rows, columns, depth, filters = kernel.shape
    groups = node.get("groups", 1)
    n, height, width, _ = x.shape
    # 'same': of an odd number of pixels to add, the end gets one more.
    padding = [((k - 1) // 2, k // 2) for k in (rows, columns)]
    x = np.pad(x, [(0, 0), *padding, (0, 0)])
    y = np.zeros((groups, n * height * width, filters // groups), "float32")
    for i in range(rows):
        for j in range(columns):
            view = x[:, i : i + height, j : j + width]
            for g in range(groups):
                part = view[..., g * depth : (g + 1) * depth]
                taps = np.split(kernel[i, j], groups, axis=1)[g]
                y[g] += part.reshape(-1, depth) @ taps
    y = np.concatenate(y, axis=1) + weights.get("bias", 0)
    return _activate(node, y.reshape(n, height, width, filters))


def _batch_norm(node, weights, x):
    scale = weights.get("gamma", 1) / np.sqrt(
        weights["variance"] + np.float32(node["epsilon"])
    )
    return x * scale + (weights.get("beta", 0) - weights["mean"] * scale)


def _pairwise_l2(node, weights, x):
    a, b = x[..., ::2], x[..., 1::2]
    return np.sqrt(a * a + b * b + np.float32(node["epsilon"]))


def _resample(node, weights, x):
    n, height, width, channels = x.shape
    rows, columns = weights["rows"], weights["columns"]
    x = rows @ x.reshape(n, height, width * channels)
    return columns @ x.reshape(n, len(rows), width, channels)


def _reshape(node, weights, x):
    return x.reshape(len(x), *node["shape"])


def _lookup(node, weights, labels):
    return _reshape(node, weights, weights["table"][labels])


def _one_hot(node, weights, labels):
    return np.eye(node["depth"], dtype="float32")[labels]


def _clip(node, weights, x):
    return np.clip(x, np.float32(node["low"]), np.float32(node["high"]))


_OPS = {
    "dense": _dense,
    "conv2d": _conv2d,
    "leaky_relu": lambda node, weights, x: np.where(
        x < 0, np.float32(node["slope"]) * x, x
    ),
    "batch_norm": _batch_norm,
    "concat": lambda node, weights, *xs: np.concatenate(xs, axis=-1),
    "reshape": _reshape,
    "one_hot": _one_hot,
    "lookup": _lookup,
    "pairwise_l2": _pairwise_l2,
    "resample": _resample,
    "add": lambda node, weights, a, b: a + b,
    "affine": lambda node, weights, x: x * weights["scale"] + weights["offset"],
    "clip": _clip,
    "identity": lambda node, weights, x: x,
    "round": lambda node, weights, x: np.rint(x).astype("uint8"),
}
