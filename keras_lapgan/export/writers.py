"""A plain sampler, written in each format."""

import io
import os
import tempfile
from pathlib import Path

from keras_lapgan.export.export_error import ExportError

# What ONNX Runtime has had since 2023.
_OPSET = 18


def write_file(plain, folder, signature):
    """Writes the file of a signature's format.

    Args:
        plain: `PlainSampler`.
        folder: `pathlib.Path`, an empty folder.
        signature: dict. Its `"file"` names what is written.

    Raises:
        ExportError: the model has what the format cannot hold.
    """
    path = folder / signature["file"]
    _WRITERS[signature["format"]](plain, path, signature)


# === TensorFlow ===


def _served(plain, signature):
    """The sampler as a function of tensors, and what these are."""
    import tensorflow as tf

    names = [spec["name"] for spec in signature["inputs"]]
    specs = [
        tf.TensorSpec(spec["shape"], spec["dtype"], name=spec["name"])
        for spec in signature["inputs"]
    ]

    def serve(*tensors):
        values = dict(zip(names, tensors, strict=True))
        return plain.model(values, training=False)

    return serve, specs


def _write_saved_model(plain, path, signature):
    import tensorflow as tf

    serve, specs = _served(plain, signature)
    module = tf.Module()
    # `keras.export.ExportArchive` would store all of them twice.
    module.weights = [variable.value for variable in plain.model.variables]
    module.serve = tf.function(serve, input_signature=specs, autograph=False)
    tf.saved_model.save(module, str(path), signatures=module.serve)


def _write_onnx(plain, path, signature):
    import onnx
    import tensorflow as tf
    import tf2onnx

    # ONNX Runtime would report its use.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

    serve, specs = _served(plain, signature)
    serve = tf.function(serve, input_signature=specs, autograph=False)
    model, _ = tf2onnx.convert.from_function(serve, specs, opset=_OPSET)
    # Its own names for the batch axes differ from input to input.
    for value in [*model.graph.input, *model.graph.output]:
        first = value.type.tensor_type.shape.dim[0]
        if not first.dim_value:
            first.dim_param = "batch"
    if signature["precision"] == "float16":
        from onnxruntime.transformers.float16 import convert_float_to_float16
        from onnxruntime.transformers.onnx_model import OnnxModel

        model = OnnxModel(convert_float_to_float16(model, keep_io_types=True))
        # The converter puts its casts last, which others than ONNX Runtime
        # refuse.
        model.topological_sort()
        model = model.model
    if signature["precision"] == "int8":
        _quantize_onnx(model, path)
    else:
        path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(path, full_check=True)


def _quantize_onnx(model, path):
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization import quantize_dynamic

    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        whole = Path(scratch) / path.name
        whole.write_bytes(model.SerializeToString())
        # Of the four ways, the nearest to the float32 pictures and fastest.
        quantize_dynamic(
            whole, path, weight_type=QuantType.QUInt8, per_channel=True
        )


def _write_openvino(plain, path, signature):
    import openvino
    import tensorflow as tf

    serve, specs = _served(plain, signature)
    model = openvino.convert_model(
        tf.function(serve, input_signature=specs, autograph=False)
    )
    if signature["precision"] == "int8":
        import nncf

        model = nncf.compress_weights(
            model, mode=nncf.CompressWeightsMode.INT8_SYM
        )
    half = signature["precision"] == "float16"
    openvino.save_model(model, path, compress_to_fp16=half)


def _write_litert(plain, path, signature):
    import tensorflow as tf

    # From a function alone, the converter leaves the weights out without a
    # word.
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        _write_saved_model(plain, scratch, signature)
        converter = tf.lite.TFLiteConverter.from_saved_model(scratch)
        if signature["precision"] != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if signature["precision"] == "float16":
            converter.target_spec.supported_types = [tf.float16]
        path.write_bytes(converter.convert())


# === torch ===


def _write_torch(plain, path, signature):
    import torch

    class Sampler(torch.nn.Module):
        def forward(self, values):
            # As an attribute it would be stored twice: what Keras computes
            # with counts as constants.
            return plain.model(values, training=False)

    batch = signature["batch"]
    # An example of one picture would fix the batch at 1.
    values = {
        spec["name"]: torch.zeros(
            (batch or 2, *spec["shape"][1:]),
            dtype=getattr(torch, spec["dtype"]),
        )
        for spec in signature["inputs"]
    }
    axis = {} if batch else {0: torch.export.Dim("batch", min=1)}
    program = torch.export.export(
        Sampler().eval(),
        (values,),
        dynamic_shapes=(dict.fromkeys(values, axis),),
    )
    # Torch's own writer of files aborts the process where the disk is full.
    content = io.BytesIO()
    torch.export.save(program, content)
    path.write_bytes(content.getvalue())


# === Any backend ===


def _write_keras(plain, path, signature):
    # `keras.layers` are these; what else there is, no other process knows.
    for layer in plain.model._flatten_layers():
        if type(layer).__module__.partition(".")[0] != "keras":
            raise ExportError(
                "The format keras holds Keras' own layers; "
                f"{layer.name} is none of them. Use another format. "
                f"Received: {type(layer).__module__}.{type(layer).__name__}"
            )
    plain.model.save(path)


def _write_safetensors(plain, path, signature):
    from safetensors.numpy import save

    unknown = [node for node in plain.nodes if node["op"] is None]
    if unknown:
        raise ExportError(
            "The format safetensors holds arrays and a list of simple steps; "
            f"{unknown[0]['name']} is none of them. Use another format, onnx "
            f"or keras. Received: {unknown[0]['layer']}"
        )
    dtype = signature["precision"]
    arrays = {name: x.astype(dtype) for name, x in plain.arrays.items()}
    signature["graph"] = plain.nodes
    about = {"format": "keras_lapgan", "name": signature["name"]}
    if signature["license"]:
        about["license"] = signature["license"]
    path.write_bytes(save(arrays, metadata=about))


_WRITERS = {
    "tf_saved_model": _write_saved_model,
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "litert": _write_litert,
    "torch": _write_torch,
    "keras": _write_keras,
    "safetensors": _write_safetensors,
}
