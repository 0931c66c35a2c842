"""Runs `model.onnx` with onnxruntime."""


def load(folder, signature):
    """Returns a function of the inputs to the outputs, by name."""
    import os

    # Or it reports its use.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"This model needs onnxruntime, `pip install onnxruntime` ({error})"
        ) from error
    # Quicker ones, such as CUDAExecutionProvider, round otherwise.
    session = onnxruntime.InferenceSession(
        str(folder / signature["file"]), providers=["CPUExecutionProvider"]
    )
    names = [entry["name"] for entry in signature["outputs"]]

    def run(inputs):
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run
