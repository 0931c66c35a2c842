import math
import operator

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("keras_lapgan")
class UniformNoise(keras.layers.Layer):
    """The noise of one level: uniform in [-1, 1].

    Two ways to draw it. Called, as in training, it draws on the device from a
    `StepRandom`. `draw` is for sampling: it uses numpy's counter-based Philox
    generator on the host, so that picture `i` of a seed gets the same noise
    whatever the number of pictures, the batch size, the process or the
    backend.

    Args:
        shape: tuple of ints. Shape of one picture's noise: `(100,)` for a
            dense generator, `(height, width, 1)` for a convolutional one.

    Call arguments:
        inputs: any tensor; its first axis is the batch's.
        random: `StepRandom`. Where the numbers come from.

    Returns:
        A float32 tensor of shape `(batch, *shape)`.

    Example:

    ```python
    noise = UniformNoise((100,))
    z = noise.draw(4, seed=42, level=2)
    ```

    Reference:
        - Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, 2011
          (Philox).
    """

    def __init__(self, shape, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.built = True

    def call(self, inputs, random):
        batch = ops.shape(inputs)[0]
        u = random.uniform((batch, *self.shape), "noise")
        return 2.0 * u - 1.0

    def draw(self, count, seed, level, start=0):
        """Draws the noise of pictures `start` to `start + count - 1`.

        Args:
            count: int. Number of pictures.
            seed: int in [0, 2**64).
            level: int. The level's index; each has its own stream.
            start: int. Index of the first picture. Defaults to 0.

        Returns:
            A float32 numpy array of shape `(count, *shape)`, strictly
            between -1 and 1.
        """
        seed = checked_seed(seed)
        size = math.prod(self.shape)
        # Philox makes four 64-bit words for each value of its counter. Each
        # picture owns a whole number of counter values.
        blocks = -(-size // 4)
        # A list with a number above 2**63 would become float64.
        key = np.array([seed, level], dtype="uint64")
        philox = np.random.Philox(key=key, counter=start * blocks)
        words = philox.random_raw(count * blocks * 4)
        words = words.reshape(count, blocks * 4)[:, :size]
        # The middles of 2**24 equal cells.
        unit = ((words >> np.uint64(40)) + 0.5) * 2.0**-23 - 1.0
        return unit.astype("float32").reshape(count, *self.shape)

    def compute_output_shape(self, *args, **kwargs):
        return (None, *self.shape)

    def get_config(self):
        return {**super().get_config(), "shape": list(self.shape)}


def checked_seed(seed):
    """Returns `seed` as an int in [0, 2**64); a fresh one for None."""
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1, "uint64")[0])
    try:
        value = operator.index(seed)
    except TypeError:
        value = -1
    if not 0 <= value < 2**64:
        raise ValueError(
            "`seed` must be an integer from 0 to 2**64 - 1, or None. "
            f"Received: seed={seed!r}"
        )
    return value
