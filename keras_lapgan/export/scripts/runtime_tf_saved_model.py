"""Runs `saved_model/` with TensorFlow."""


def load(folder, signature):
    """Returns a function of the inputs to the outputs, by name."""
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            f"This model needs TensorFlow, `pip install tensorflow` ({error})"
        ) from error
    model = tf.saved_model.load(str(folder / signature["file"]))

    def run(inputs):
        # Through `model`, which would take its variables along if it went.
        function = model.signatures["serving_default"]
        outputs = function(**{k: tf.constant(v) for k, v in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return run
