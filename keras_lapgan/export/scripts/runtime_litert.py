"""Runs `model.tflite` with LiteRT."""


def load(folder, signature):
    """Returns a function of the inputs to the outputs, by name."""
    import os

    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError(
            f"This model needs LiteRT, `pip install ai-edge-litert` ({error})"
        ) from error
    interpreter = Interpreter(
        model_path=str(folder / signature["file"]), num_threads=os.cpu_count()
    )
    runner = interpreter.get_signature_runner()

    def run(inputs):
        return runner(**inputs)

    return run
