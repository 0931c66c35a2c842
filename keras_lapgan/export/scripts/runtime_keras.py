"""Runs `model.keras` with Keras, on any of its backends."""


def load(folder, signature):
    """Returns a function of the inputs to the outputs, by name."""
    try:
        import keras
    except ImportError as error:
        raise ImportError(
            "This model needs Keras and a backend, `pip install keras "
            "tensorflow`; jax or torch in place of tensorflow with "
            f"KERAS_BACKEND=jax or torch ({error})"
        ) from error
    model = keras.saving.load_model(
        str(folder / signature["file"]), compile=False
    )
    return model.predict_on_batch
