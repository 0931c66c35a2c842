"""The formats that a sampler is written in."""

from typing import NamedTuple

from keras_lapgan.export.export_error import ExportError


class Format(NamedTuple):
    """One format.

    Attributes:
        file: str. What is written, beside `signature.json` and `run.py`.
        backend: str or None. The Keras backend that writes it; None is any.
        modules: dict of str. Modules that writing and checking need, and what
            pip installs them by.
        versions: tuple of str. Distributions whose versions are written down.
        precisions: tuple of str. Those that the runtime's own tools offer.
        fixed_batch: bool. Whether a file can be made for one batch size.
    """

    file: str
    backend: str | None
    modules: dict
    versions: tuple
    precisions: tuple = ("float32",)
    fixed_batch: bool = True


_TENSORFLOW = {"tensorflow": "tensorflow"}

#: Environment of a process that exports. Accelerators round otherwise, and
#: torch writes its device into the file.
CPU_ONLY = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "JAX_PLATFORMS": "cpu",
    "KERAS_TORCH_DEVICE": "cpu",
}

FORMATS = {
    "tf_saved_model": Format(
        "saved_model", "tensorflow", _TENSORFLOW, ("tensorflow",)
    ),
    "onnx": Format(
        "model.onnx",
        "tensorflow",
        {
            **_TENSORFLOW,
            "tf2onnx": "keras-lapgan[onnx]",
            "onnxruntime": "keras-lapgan[onnx]",
        },
        ("tensorflow", "tf2onnx", "onnx", "onnxruntime"),
        ("float32", "float16", "int8"),
    ),
    "openvino": Format(
        "model.xml",
        "tensorflow",
        {**_TENSORFLOW, "openvino": "keras-lapgan[openvino]"},
        ("tensorflow", "openvino", "nncf"),
        ("float32", "float16", "int8"),
    ),
    "litert": Format(
        "model.tflite",
        "tensorflow",
        {**_TENSORFLOW, "ai_edge_litert": "keras-lapgan[litert]"},
        ("tensorflow", "ai-edge-litert"),
        ("float32", "float16", "int8"),
    ),
    "torch": Format("model.pt2", "torch", {"torch": "torch"}, ("torch",)),
    "keras": Format("model.keras", None, {}, (), fixed_batch=False),
    "safetensors": Format(
        "model.safetensors",
        None,
        {"safetensors": "keras-lapgan[safetensors]"},
        ("safetensors",),
        ("float32", "float16"),
        fixed_batch=False,
    ),
}


def get_format(name):
    """The `Format` of a name.

    Raises:
        ExportError: there is none of this name.
    """
    if not isinstance(name, str) or name not in FORMATS:
        raise ExportError(
            f"`format` must be one of {', '.join(FORMATS)}. "
            f"Received: format={name!r}"
        )
    return FORMATS[name]
