"""Runs `model.xml` with OpenVINO."""


def load(folder, signature):
    """Returns a function of the inputs to the outputs, by name."""
    try:
        import openvino
    except ImportError as error:
        raise ImportError(
            f"This model needs OpenVINO, `pip install openvino` ({error})"
        ) from error
    # Without the hint some CPUs compute in bfloat16.
    model = openvino.Core().compile_model(
        str(folder / signature["file"]),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32"},
    )
    names = [entry["name"] for entry in signature["outputs"]]

    def run(inputs):
        results = model(inputs)
        return {name: results[name] for name in names}

    return run
