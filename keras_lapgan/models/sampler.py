import keras
import numpy as np

# A batch is padded to one of these, so that a new count seldom means a new
# compilation.
_BATCH_SIZES = (1, 8, 32, 64, 128)


class Sampler(keras.Model):
    """The chain of a LAPGAN from some level to another, a pure function.

    Takes a dict of `noise_<k>` for each level, of `labels` if the model is
    class-conditional, and of `images` where the chain starts from pictures.
    Returns all stages as float32 pixels in 0..255, finest first.

    Args:
        model: `LAPGAN`.
        depth: int. The first level that runs is `depth - 1`.
        stop: int. The last one that runs.
    """

    def __init__(self, model, depth, stop):
        super().__init__(name=f"sampler_{depth}_{stop}", autocast=False)
        self.model = model
        self.depth = depth
        self.stop = stop
        self.built = True

    def call(self, values, training=False):
        model = self.model
        stages = []
        image = values.get("images")
        if image is not None:
            image = model.from_pixels(image, self.depth)
            stages.append(model.to_pixels(image, self.depth))
        for k in reversed(range(self.stop, self.depth)):
            condition = None
            if image is not None:
                condition = model.pyramid.condition(image, k)
            # Equation (5) of Denton et al., 2015.
            band = model.levels[k].sample_band(
                condition, values.get("labels"), values[f"noise_{k}"]
            )
            image = band if condition is None else condition + band
            stages.append(model.to_pixels(image, k))
        return stages[::-1]


class Samplers:
    """Makes a model's samplers when they are asked for, and keeps them.

    A plain object, so that neither the weights file nor `summary()` of the
    model sees models that own nothing.
    """

    def __init__(self, model):
        self._model = model
        self._by_range = {}

    def _sampler(self, depth, stop=0):
        key = depth, stop
        if key not in self._by_range:
            self._by_range[key] = Sampler(self._model, depth, stop)
        return self._by_range[key]

    def chain(self, values):
        """All stages for a whole chain's inputs, as tensors."""
        return self._sampler(len(self._model.levels)).call(values)

    def draw(self, depth, stop, count, values, batch_size=None):
        """Runs the chain in batches, compiled.

        Args:
            depth: int. The first level that runs is `depth - 1`.
            stop: int. The last one that runs.
            count: int. Number of pictures.
            values: function from `start, end` to the inputs of these
                pictures, a dict of numpy arrays.
            batch_size: int or None. Pictures a call. Defaults to at most 128.

        Returns:
            A list of float32 numpy arrays, finest first.
        """
        sampler = self._sampler(depth, stop)
        chunk = min(batch_size or _BATCH_SIZES[-1], count)
        batches = []
        for start in range(0, count, chunk):
            end = min(start + chunk, count)
            n = end - start
            size = next((b for b in _BATCH_SIZES if b >= n), n)
            size = min(size, batch_size or size)
            padded = {
                name: np.concatenate([x, np.repeat(x[-1:], size - n, axis=0)])
                for name, x in values(start, end).items()
            }
            results = sampler.predict_on_batch(padded)
            batches.append([stage[:n] for stage in results])
        return [np.concatenate(parts) for parts in zip(*batches, strict=True)]
