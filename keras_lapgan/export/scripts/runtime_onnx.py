"""Runs `model.onnx` with onnxruntime."""


def load(folder, signature):
    """Returns a function of the inputs to the outputs, by name."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"This model needs onnxruntime, `pip install onnxruntime` ({error})"
        ) from error
    # All that is installed, GPUs first.
    providers = onnxruntime.get_available_providers()
    session = onnxruntime.InferenceSession(
        str(folder / signature["file"]), providers=providers
    )
    names = [entry["name"] for entry in signature["outputs"]]

    def run(inputs):
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run
