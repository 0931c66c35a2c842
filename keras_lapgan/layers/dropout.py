import keras
from keras import ops

from keras_lapgan.layers.randomness import active_random


@keras.saving.register_keras_serializable("keras_lapgan")
class StepDropout(keras.layers.Dropout):
    """Dropout whose mask is a function of the training step.

    Inside `StepRandom.active()`, as in the models' training step, the mask
    depends on the run's seed, the step and the layer's name only, so that
    resumed runs and levels trained one by one see the same masks. Anywhere
    else this is `keras.layers.Dropout`.

    Args:
        rate: float in [0, 1). Share of the inputs that is set to zero; the
            others are scaled by `1 / (1 - rate)`.
        noise_shape: tuple or None. As in `keras.layers.Dropout`:
            `(None, 1, 1, None)` drops whole maps. Defaults to None.

    Call arguments:
        inputs: float tensor of any shape.
        training: bool. Without it nothing is dropped.

    Example:

    ```python
    layer = StepDropout(0.5, name="dropout")
    with StepRandom(seed=1, step=0).active():
        y = layer(keras.ops.ones((2, 8)), training=True)
    ```
    """

    def call(self, inputs, training=False):
        random = active_random()
        if not training or self.rate == 0 or random is None:
            return super().call(inputs, training=training)
        shape = list(ops.shape(inputs))
        if self.noise_shape is not None:
            for axis, size in enumerate(self.noise_shape):
                shape[axis] = shape[axis] if size is None else size
        kept = random.uniform(tuple(shape), self.name) >= self.rate
        scale = ops.cast(1 / (1 - self.rate), inputs.dtype)
        return inputs * ops.cast(kept, inputs.dtype) * scale
