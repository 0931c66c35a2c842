import contextlib
import random

import keras
import numpy as np
from keras import ops

from keras_lapgan.datasets.image_batches import ImageBatches
from keras_lapgan.layers.crop import Crop
from keras_lapgan.layers.laplacian_pyramid import LaplacianPyramid
from keras_lapgan.layers.noise import checked_seed
from keras_lapgan.layers.normalization import ImageNormalization
from keras_lapgan.models.absent_level import AbsentLevel
from keras_lapgan.models.adversarial_model import AdversarialModel
from keras_lapgan.models.adversarial_model import Bands
from keras_lapgan.models.sampler import Samplers
from keras_lapgan.training import inputs
from keras_lapgan.utils.preset_error import PresetError


class _ClassProperty:
    """A read-only property of the class itself."""

    def __init__(self, function):
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance, owner):
        return self.function(owner)


@keras.saving.register_keras_serializable("keras_lapgan")
class LAPGAN(AdversarialModel):
    """A Laplacian-pyramid GAN.

    A picture is drawn coarse to fine: the coarsest level makes a small
    picture from noise; each finer level enlarges what there is and adds a
    band of detail that its generator makes from noise and the enlarged
    picture. Training needs no chain: every level learns on its own from the
    pyramids of real pictures.

    The model comes compiled with the paper's recipe; call `compile` for
    another. `fit` takes pictures (and labels); `generate` returns pictures;
    called, the model is the sampler: `model(noise)`, or
    `model((noise, labels))` for a class-conditional one, with `noise` a list
    of one tensor a level, finest first, returns float32 pictures in 0..255.

    Pictures are NHWC, uint8 or float in 0..255; cropping and normalisation
    happen inside, on the device.

    Args:
        levels: list of `LAPGANLevel`, finest first. Their sizes decrease. One
            level makes a plain (conditional) GAN. (Where `from_preset` built
            some levels only, an `AbsentLevel` stands for each other.)
        down: str. How the pyramid shrinks, see `LaplacianPyramid`. Defaults
            to `"area"`.
        up: str. How it enlarges. Defaults to `"linear"`.
        normalization: str. `"unit"`, `"per_channel"` or `"per_pixel"`, see
            `ImageNormalization`; the latter two learn their statistics from
            the first data given to `fit`, or from `adapt`. Defaults to
            `"unit"`.
        source_size: int or None. Side of the pictures that are cropped to the
            model's size. Pictures of the model's own size are taken as well.
            None means no other size. Defaults to None.
        crop: str. `"corners"`, `"random"` or `"center"`, see `Crop`. Defaults
            to `"corners"`.
        flip: bool. Mirror half of the training pictures. Defaults to False.
        class_names: list of str or None. Defaults to None.

    Example:

    ```python
    model = LAPGAN.from_preset("lapgan_cifar10_small", load_weights=False)
    model.fit(images, batch_size=128, epochs=2)  # uint8 (n, 32, 32, 3)
    pictures = model.generate(16, seed=42)  # uint8 (16, 28, 28, 3)
    ```

    Reference:
        - Denton, Chintala, Szlam, Fergus, *Deep Generative Image Models using
          a Laplacian Pyramid of Adversarial Networks*, NIPS 2015.
    """

    def __init__(
        self,
        levels,
        down="area",
        up="linear",
        normalization="unit",
        source_size=None,
        crop="corners",
        flip=False,
        class_names=None,
        **kwargs,
    ):
        # Noise, pictures and pyramid stay float32 under every policy.
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        if keras.config.image_data_format() != "channels_last":
            raise ValueError(
                "keras-lapgan works on channels_last pictures: weights, "
                "pyramid and class planes have that layout. Call "
                "`keras.config.set_image_data_format('channels_last')`. "
                "Received: image_data_format="
                f"{keras.config.image_data_format()!r}"
            )
        levels = list(levels)
        if not levels:
            raise ValueError("`levels` must not be empty. Received: levels=[]")
        last = len(levels) - 1
        for k, level in enumerate(levels):
            if level.index != k:
                raise ValueError(
                    "`levels` are given finest first and numbered so. "
                    f"Received: levels[{k}].index={level.index}"
                )
            if isinstance(level, AbsentLevel):
                continue
            if level.conditional != (k < last):
                raise ValueError(
                    "All levels but the coarsest, and only they, take a "
                    f"condition. Received: levels[{k}].conditional="
                    f"{level.conditional} of {len(levels)} levels"
                )
        present = [x for x in levels if not isinstance(x, AbsentLevel)]
        if not present:
            raise ValueError(
                "A model has one level at least. Received: none of "
                f"{len(levels)}"
            )
        num_classes = {level.num_classes for level in present}
        channels = {level.generator.channels for level in present}
        if len(num_classes) > 1 or len(channels) > 1:
            raise ValueError(
                "All levels must have the same numbers of classes and of "
                f"channels. Received: num_classes={sorted(num_classes)}, "
                f"channels={sorted(channels)}"
            )
        self.num_classes = num_classes.pop()
        self.channels = channels.pop()
        if class_names is not None and len(class_names) != self.num_classes:
            raise ValueError(
                f"`class_names` must name {self.num_classes} classes. "
                f"Received: {len(class_names)} names"
            )
        self.levels = levels
        self.pyramid = LaplacianPyramid(
            tuple(level.size for level in levels),
            down=down,
            up=up,
            name="pyramid",
        )
        self.down = down
        self.up = up
        self.sizes = tuple(_pair(level.size) for level in levels)
        self.image_shape = (*self.sizes[0], self.channels)
        self.source_size = source_size
        self.crop_mode = crop
        self.flip = flip
        self.crop = Crop(self.sizes[0], mode=crop, flip=flip, name="crop")
        self.normalization = ImageNormalization(
            normalization, self.image_shape, name="normalization"
        )
        # `fit` would call the model on pictures to build what is not built.
        for layer in (self.pyramid, self.crop, self.normalization):
            layer.build((None, *self.image_shape))
        self.class_names = None if class_names is None else list(class_names)
        sizes = [self.sizes[0]]
        if source_size is not None:
            sizes.insert(0, _pair(source_size))
            if any(a < b for a, b in zip(*sizes, strict=True)):
                raise ValueError(
                    "`source_size` must not be smaller than the model's "
                    f"pictures, {sizes[1]}. Received: source_size="
                    f"{source_size!r}"
                )
        self._image_spec = inputs.ImageSpec(
            sizes, self.channels, self.num_classes
        )
        #: Licence and NOTICE of trained weights, a pair of str or None: what
        #: `from_preset` found and `save_to_preset` hands on. None if fresh.
        self.terms = None
        self._samplers = Samplers(self)
        self.built = True
        self.compile()

    # === Levels ===

    def level(self, k):
        """Returns the `LAPGANLevel` of index `k`, 0 the finest.

        Raises:
            ValueError: there is no such level, or this model is without it.
        """
        if k not in range(len(self.levels)):
            raise ValueError(
                f"`k` must be from 0 (finest) to {len(self.levels) - 1} "
                f"(coarsest). Received: k={k!r}"
            )
        self.check_present([k])
        return self.levels[k]

    def trainable_levels(self):
        return [x for x in self.levels if not isinstance(x, AbsentLevel)]

    def level_indices(self):
        return list(range(len(self.levels)))

    @property
    def is_complete(self):
        """bool. Whether all levels are there."""
        return len(self.trainable_levels()) == len(self.levels)

    def check_chain(self):
        """Raises a `PresetError` if levels that `chained` takes are absent."""
        chained, last = self._training.chained, len(self.levels) - 1
        present = [level.index for level in self.trainable_levels()]
        finest = min(level.index for level in self.trained_levels())
        if chained and not set(range(finest, last + 1)) <= set(present):
            raise PresetError(
                "`chained` bands are drawn on what all coarser levels draw; "
                f"this model has {', '.join(map(str, present))} alone of 0 to "
                f"{last}. Train its levels with `chained=0` (`--chained 0`), "
                f"then join them. Received: chained={chained}"
            )

    def check_present(self, wanted=None):
        """Raises a `PresetError` if some levels, or any, are not there."""
        present = [level.index for level in self.trainable_levels()]
        wanted = self.level_indices() if wanted is None else wanted
        if not set(wanted) <= set(present):
            raise PresetError(
                f"This takes level{'s' * (len(wanted) > 1)} "
                f"{', '.join(map(str, wanted))}; this model has "
                f"{', '.join(map(str, present))} alone of 0 to "
                f"{len(self.levels) - 1}. Join it with the others: "
                "`keras-lapgan assemble`, `LAPGAN.assemble`."
            )

    def bands(self, data, random, training):
        images, labels = inputs.split_batch(data)
        self._image_spec.check_shape(images.shape)
        if self.num_classes:
            if labels is None:
                raise ValueError(
                    "This model is class-conditional: give it labels too. "
                    "Received: no labels"
                )
            labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
        else:
            labels = None
        # In a test the middle of each picture, as it is.
        images = self.crop(images, random=random if training else None)
        images = self.normalization(images)
        bands = {
            k: Bands(band, condition, labels)
            for k, (band, condition) in enumerate(
                self.pyramid.decompose(images)
            )
        }
        if training and self._training.chained:
            return self._chained(bands, random.at("chain"))
        return bands

    def _chained(self, bands, random):
        """`bands`, some to be redrawn on what the coarser levels draw."""
        self.check_chain()
        finest, coarsest = self.trained_levels()[0].index, max(bands)
        chained, image = dict(bands), None
        for k in range(coarsest, finest, -1):
            level, here = self.levels[k], random.at(f"level_{k}")
            condition = None
            if image is not None:
                condition = self.pyramid.condition(image, k)
            noise = level.noise(bands[k].band, random=here)
            band = level.sample_band(condition, bands[k].labels, noise)
            image = band if condition is None else condition + band
            real = bands[k - 1].condition
            drawn = ops.stop_gradient(self.pyramid.condition(image, k - 1))
            chance = here.uniform((ops.shape(real)[0], 1, 1, 1), "chance")
            chained[k - 1] = bands[k - 1]._replace(
                drawn_condition=ops.where(
                    chance < self._training.chained, drawn, real
                )
            )
        return chained

    # === Training ===

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        *,
        validation_data=None,
        sample_weight=None,
        class_weight=None,
        **kwargs,
    ):
        """Trains, as `keras.Model.fit`, after looking at the data.

        Args:
            x: pictures, uint8 or float in 0..255, of the model's size or of
                `source_size`: an array `(n, height, width, channels)`, or a
                `tf.data.Dataset`, `keras.utils.PyDataset` or generator of
                batches of pictures, of `(pictures, labels)`, or of TFDS items
                (dicts with `"image"` and `"label"`).
            y: int array `(n,)`, labels beside an array `x` for a
                class-conditional model.
            batch_size: int or None. Pictures a step, beside an array.
                Defaults to 32, as in Keras.
            epochs: int. Defaults to 1.
            validation_data: like `x`, or `(x, y)`. Of pictures larger than
                the model's the middle is taken, without flips.
            sample_weight: not supported.
            class_weight: not supported.
            **kwargs: `callbacks`, `verbose` and the others of
                `keras.Model.fit`. Callbacks that watch a value, such as
                `EarlyStopping("val_g_loss", mode="min")`, need its `mode`:
                Keras guesses it only for its own metrics.

        To go on after a kill, give it `ImageBatches` and
        `keras.callbacks.BackupAndRestore(folder)`: with its
        `save_freq="epoch"` the weights are bit for bit those of an
        uninterrupted run. With `save_freq=<int>` Keras forgets the step, and
        the epoch begins again; for saves within epochs there is
        `keras_lapgan.callbacks.RunCheckpoint(save_steps=)`.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: wrong size, rank, channels, range or labels; an empty
                data set; weights of samples or classes.
        """
        if sample_weight is not None or class_weight is not None:
            raise ValueError(
                "A GAN has no loss a picture to weigh. Repeat pictures in the "
                "data instead. Received: sample_weight or class_weight"
            )
        x, y = inputs.prepare(self._image_spec, x, y)
        validation_data = self._prepared_validation(validation_data)
        if isinstance(x, ImageBatches):
            # Its order is its own, a function of the epoch.
            kwargs["shuffle"] = False
            follow = keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: setattr(x, "epoch", epoch)
            )
            kwargs["callbacks"] = [*(kwargs.get("callbacks") or []), follow]
        if not self.normalization.is_adapted:
            x = self.adapt(x)
        return super().fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            validation_data=validation_data,
            **kwargs,
        )

    def evaluate(self, x=None, y=None, **kwargs):
        """Losses of all trained levels, as `keras.Model.evaluate`."""
        # `fit` evaluates through here; it has prepared its data once, and a
        # generator would lose a batch at each look.
        if not kwargs.get("_use_cached_eval_dataset"):
            x, y = inputs.prepare(self._image_spec, x, y)
        return super().evaluate(x, y, **kwargs)

    def _prepared_validation(self, data):
        if data is None:
            return None
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        x, y = inputs.prepare(self._image_spec, x, y)
        return x if y is None else (x, y)

    def adapt(self, x, max_images=50_000):
        """Learns the normalisation's mean and deviation from pictures.

        `fit` calls this by itself if it has not been done.

        Args:
            x: pictures in any form that `fit` takes.
            max_images: int. Stop after so many. Defaults to 50,000.

        Returns:
            `x`, to be used in its place: of a generator 2,000 pictures are
            read, and put back.
        """
        arrays = inputs.split_batch(x)[0] if isinstance(x, dict) else x
        if inputs.is_array(arrays):
            arrays = inputs.as_array(arrays)
            batches = (arrays[i : i + 500] for i in range(0, len(arrays), 500))
        elif isinstance(x, keras.utils.PyDataset):
            batches = (x[i] for i in range(x.num_batches or max_images))
        elif iter(x) is x:
            batches, x = inputs.take(x, 2000)
        else:
            batches = iter(x)

        def cropped():
            seen = 0
            for i, batch in enumerate(batches):
                images, _ = inputs.split_batch(batch)
                crops = self.crop(images, random=_HostRandom(i))
                yield ops.convert_to_numpy(crops)
                seen += len(crops)
                if seen >= max_images:
                    return

        self.normalization.adapt(cropped())
        return x

    # === Sampling ===

    def call(self, inputs, training=False):
        self.check_present()
        noise, labels = self._split_noise(inputs)
        values = {f"noise_{k}": z for k, z in enumerate(noise)}
        if self.num_classes:
            values["labels"] = labels
        return self._samplers.chain(values)[0]

    def _split_noise(self, inputs):
        noise, labels = inputs, None
        if self.num_classes:
            if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
                raise ValueError(
                    "A class-conditional model is called as "
                    "`model((noise, labels))`. Received: "
                    f"{type(inputs).__name__}"
                )
            noise, labels = inputs
        if not isinstance(noise, (list, tuple)):
            noise = [noise]
        if len(noise) != len(self.levels):
            raise ValueError(
                f"`noise` must be a list of {len(self.levels)} tensors, one a "
                f"level, finest first. Received: {len(noise)}. (Pictures go "
                "to `fit` and `generate_from`.)"
            )
        return noise, labels

    def generate(
        self,
        count=None,
        *,
        labels=None,
        seed=None,
        noise=None,
        return_pyramid=False,
        batch_size=None,
        dtype="uint8",
    ):
        """Draws pictures, coarse to fine.

        Picture `i` of a seed is the same whatever `count` and `batch_size`
        are, in any process and on any backend (to the backend's rounding).

        Args:
            count: int. Number of pictures. May be left out if `labels` or
                `noise` tell it.
            labels: int, or int array `(count,)`: classes, for a
                class-conditional model. Defaults to all classes in turn,
                `i % num_classes`.
            seed: int in [0, 2**64), or None for a fresh one. Defaults to
                None.
            noise: list of one array `(count, *noise_shape)` or None a level,
                finest first, to use in place of drawing it. Defaults to None.
            return_pyramid: bool. Return the picture at every level. Defaults
                to False.
            batch_size: int or None. Pictures a call of the networks. Defaults
                to at most 128.
            dtype: str. `"uint8"`, rounded and clipped, or `"float32"`,
                clipped to 0..255 but not rounded. Defaults to `"uint8"`.

        Returns:
            An array `(count, height, width, channels)`; with
            `return_pyramid`, a list of them, finest first.

        Raises:
            ValueError: a wrong count, label, seed, noise or dtype.
        """
        given = []
        if isinstance(noise, (list, tuple)):
            given += [len(z) for z in noise if z is not None]
        if labels is not None and np.ndim(labels):
            given.append(len(labels))
        if count is None:
            if not given:
                raise ValueError(
                    "`generate` needs to know how many pictures. "
                    "Received: count=None"
                )
            count = given[0]
        _check_count("count", count)
        if any(n != count for n in given):
            raise ValueError(
                "`count`, `labels` and `noise` must agree. Received: "
                f"count={count}, lengths {given}"
            )
        return self._generate(
            count,
            len(self.levels),
            0,
            None,
            labels,
            seed,
            noise,
            return_pyramid,
            batch_size,
            dtype,
        )

    def generate_from(
        self,
        images,
        level,
        *,
        stop=0,
        labels=None,
        seed=None,
        noise=None,
        return_pyramid=False,
        batch_size=None,
        dtype="uint8",
    ):
        """Enlarges pictures: the levels finer than `level` add their detail.

        Args:
            images: uint8 or float array in 0..255, of `level`'s size
                `(n, height, width, channels)`.
            level: int. What level `images` are of, from 1 to the coarsest.
            stop: int. The last level that adds its detail; `level - 1` is the
                next alone. Defaults to 0, the finest.
            labels: as in `generate`.
            seed: as in `generate`.
            noise: as in `generate`; entries of levels that do not run are not
                used.
            return_pyramid: as in `generate`; the list ends with `images`.
            batch_size: as in `generate`.
            dtype: as in `generate`.

        Returns:
            As `generate`.

        Raises:
            ValueError: a level that does not exist, images not of its size.
        """
        if level not in range(1, len(self.levels)):
            raise ValueError(
                "`level` must be from 1 to "
                f"{len(self.levels) - 1}: what it gives is made finer. "
                f"Received: level={level!r}"
            )
        if stop not in range(level):
            raise ValueError(
                f"`stop` must be from 0 to {level - 1}, finer than `level`. "
                f"Received: stop={stop!r}"
            )
        images = np.asarray(images)
        inputs.ImageSpec([self.sizes[level]], self.channels, 0).check(
            images, None
        )
        return self._generate(
            len(images),
            level,
            stop,
            images.astype("float32"),
            labels,
            seed,
            noise,
            return_pyramid,
            batch_size,
            dtype,
        )

    def _generate(
        self,
        count,
        depth,
        stop,
        images,
        labels,
        seed,
        noise,
        return_pyramid,
        batch_size,
        dtype,
    ):
        """Runs levels `depth - 1` to `stop`, on `images` if there are any."""
        self.check_present(range(stop, depth))
        if dtype not in ("uint8", "float32"):
            raise ValueError(
                '`dtype` must be "uint8" or "float32". '
                f"Received: dtype={dtype!r}"
            )
        if batch_size is not None:
            _check_count("batch_size", batch_size)
        seed = checked_seed(seed)
        labels = self._checked_labels(labels, count)
        noise = self._checked_noise(noise, count)

        def values(start, end):
            """The chain's inputs for these pictures."""
            found = {} if labels is None else {"labels": labels[start:end]}
            if images is not None:
                found["images"] = images[start:end]
            for k in range(stop, depth):
                found[f"noise_{k}"] = (
                    self.levels[k].noise.draw(end - start, seed, k, start)
                    if noise[k] is None
                    else noise[k][start:end]
                )
            return found

        stages = self._samplers.draw(depth, stop, count, values, batch_size)
        if dtype == "uint8":
            stages = [np.rint(stage).astype("uint8") for stage in stages]
        return stages if return_pyramid else stages[0]

    def _checked_labels(self, labels, count):
        if not self.num_classes:
            if labels is not None:
                raise ValueError(
                    "This model is not class-conditional. "
                    f"Received: labels={labels!r}"
                )
            return None
        if labels is None:
            return np.arange(count, dtype="int32") % self.num_classes
        labels = np.asarray(labels)
        if labels.ndim == 0:
            labels = np.full(count, labels)
        if (
            labels.shape != (count,)
            or labels.dtype.kind not in "iu"
            or labels.min() < 0
            or labels.max() >= self.num_classes
        ):
            raise ValueError(
                f"`labels` must be integers from 0 to {self.num_classes - 1},"
                f" of shape ({count},). Received: labels={labels!r}"
            )
        return labels.astype("int32")

    def _checked_noise(self, noise, count):
        if noise is None:
            return [None] * len(self.levels)
        if not isinstance(noise, (list, tuple)):
            raise ValueError(
                "`noise` must be a list of an array or None a level, finest "
                f"first. Received: {type(noise).__name__}"
            )
        if len(noise) != len(self.levels):
            raise ValueError(
                f"`noise` must have {len(self.levels)} entries, finest "
                f"first. Received: {len(noise)}"
            )
        checked = []
        for level, z in zip(self.levels, noise, strict=True):
            if z is not None:
                self.check_present([level.index])
                shape = (count, *level.noise.shape)
                z = np.asarray(z, dtype="float32")
                if z.shape != shape:
                    raise ValueError(
                        f"`noise[{level.index}]` must have shape {shape}. "
                        f"Received: shape={z.shape}"
                    )
            checked.append(z)
        return checked

    # === Evaluation ===

    def diagnose(
        self,
        data,
        split=None,
        *,
        labels=None,
        count=None,
        seed=0,
        extractor="auto",
        figure=None,
        progress=None,
    ):
        """Measures samples against real pictures, as a whole and by level.

        What `keras-lapgan evaluate` prints. Each level above the coarsest is
        measured given real pictures and in the chain: the difference is what
        it loses to the levels before it. `"weakest"` names the level that is
        farthest from real pictures by itself.

        Args:
            data: str or path, as `keras_lapgan.datasets.load_images` takes;
                or a uint8 array `(n, height, width, 3)` of the model's size
                or its `source_size`.
            split: str or None. Of a data set. Defaults to None, `"train"`.
            labels: int array `(n,)`, beside an array, for a class-conditional
                model. Defaults to None.
            count: int or None. Samples for each measure. Defaults to None:
                6,000 for measures of pixels, 3,000 for those of features,
                1,000 for those of levels, or what the data allow.
            seed: int. Of the samples. Defaults to 0.
            extractor: `keras_lapgan.metrics.extractors.Extractor`, or
                `"auto"`, `"inception"`, `"lite0"` or `"none"`: whose features
                are compared. Defaults to `"auto"`, what is on this machine.
            figure: path or None. A PNG file to draw it all into. Defaults to
                None.
            progress: callable or None. Called as `progress(what, done,
                total)`. Defaults to None.

        Returns:
            A dict of figures, each with its `n`, `value` and `floor`, what
            other real pictures get; see `keras_lapgan.evaluation.Comparison`
            and `diagnose_levels`.

        Raises:
            DataError: (a ValueError) the data cannot be used.
            ExtractorError: the weights of the extractor asked for are not
                there.
            ValueError: too few pictures.

        Example:

        ```python
        report = model.diagnose("cifar10", figure="diagnosis.png")
        report["weakest"]
        ```
        """
        from keras_lapgan.evaluation import diagnose

        self.check_present()
        return diagnose(
            self,
            data,
            split,
            labels=labels,
            count=count,
            seed=seed,
            extractor=extractor,
            figure=figure,
            progress=progress,
        )

    # === Pixels ===

    def pixel_statistics(self, k):
        """Mean and deviation of the pixels at level `k`.

        Returns:
            Two float32 tensors of shape `(1, height, width, channels)`.
        """

        def at_level(value):
            value = ops.broadcast_to(value, (1, *self.image_shape))
            return self.pyramid.gaussian(value)[k]

        return (
            at_level(self.normalization.mean),
            at_level(self.normalization.std),
        )

    def to_pixels(self, images, k=0):
        """Turns normalised pictures of level `k` into float32 in 0..255.

        Exact at level 0. At coarser levels of a `per_pixel` normalisation the
        statistics are those of level 0, shrunk, which is right to about one
        grey level.
        """
        mean, std = self.pixel_statistics(k)
        return ops.clip(images * std + mean, 0.0, 255.0)

    def from_pixels(self, images, k=0):
        """Normalises pictures of level `k` in 0..255."""
        mean, std = self.pixel_statistics(k)
        return (ops.cast(images, "float32") - mean) / std

    # === Presets ===

    @_ClassProperty
    def presets(cls):
        """dict. The published presets by name, see `list_presets`."""
        from keras_lapgan.presets import list_presets

        return list_presets()

    @classmethod
    def from_preset(
        cls,
        preset,
        *,
        load_weights=True,
        revision=None,
        dtype=None,
        levels=None,
        **overrides,
    ):
        """Builds a model from a preset.

        Every file is checked before anything is built from it, so presets of
        strangers can be looked at: nothing in one runs code.

        Args:
            preset: str or path. A name of `keras_lapgan.list_presets()`; a
                folder that `save_to_preset` or `keras-lapgan train` wrote;
                `hf://user/name` or `hf://user/name@revision` on the Hugging
                Face Hub, or the repository's web address. A name wins over a
                folder of that name in the current folder.
            load_weights: bool. False gives fresh weights. Defaults to True.
            revision: str or None. A branch, tag or commit on the Hub. Defaults
                to None, its main branch.
            dtype: str or None. Dtype policy of the networks: `"float32"`,
                `"mixed_bfloat16"` or `"bfloat16"`. Defaults to None, the
                policy in use, however the weights are stored.
            levels: list of int, or None. Build only these, 0 the finest, to
                train them on their own machine; `assemble` joins them.
                Without all the coarser ones they are compiled with
                `chained=0`. Defaults to None, all that the preset has.
            **overrides: arguments of the model to change: `class_names`,
                `crop`, `flip`, `name`, `source_size`; with
                `load_weights=False` also `down`, `up`, `normalization` and
                `num_classes`, for which trained weights mean nothing.

        Returns:
            A `LAPGAN`, compiled with the recipe that its weights were trained
            with; with the optimizers' state if it was saved with it.

        Raises:
            PresetError: (a ValueError) an unknown name, a name without trained
                weights, a folder or repository that is not a preset or is
                damaged, no access to it, a change that weights do not allow.

        Example:

        ```python
        model = LAPGAN.from_preset("lapgan_cifar10_small")
        model = LAPGAN.from_preset("hf://user/name", revision="v1")
        model = LAPGAN.from_preset("./mine", dtype="mixed_bfloat16")
        ```
        """
        from keras_lapgan.presets import load_preset

        return load_preset(
            preset,
            cls,
            load_weights=load_weights,
            revision=revision,
            dtype=dtype,
            levels=levels,
            **overrides,
        )

    @classmethod
    def assemble(cls, presets):
        """Joins levels that were trained apart into one model.

        Args:
            presets: list of str or path, each as `from_preset` takes it. Of a
                level that several have, the last that trained it counts.

        Returns:
            A `LAPGAN` of all levels, compiled with the first one's recipe.

        Raises:
            PresetError: (a ValueError) a level is missing, or the presets
                differ in networks, sizes, data or normalisation.

        Example:

        ```python
        model = LAPGAN.assemble(["runs/level_0", "runs/level_1"])
        model.save_to_preset("runs/all")
        ```
        """
        from keras_lapgan.presets.assemble import assemble_presets

        return assemble_presets(presets, cls)[0]

    def save_to_preset(
        self,
        folder,
        *,
        metadata=None,
        include_optimizer=False,
        weights_dtype="float32",
    ):
        """Writes `config.json`, `metadata.json`, `model.weights.h5`, a card.

        All files or none: whatever stops the process, the folder holds what
        it held, or the new preset. Its other files stay, and in a `README.md`
        what you wrote.

        Args:
            folder: path. Made if missing.
            metadata: dict or None. What else is known: `"data"`, `"split"`,
                `"epochs"`, `"license"`, `"note"`, `"metrics"`. Defaults to
                None.
            include_optimizer: bool. Keep the optimizers' state too. Defaults
                to False.
            weights_dtype: str. Store the networks' weights as `"float32"`,
                `"float16"` or `"bfloat16"`. Defaults to `"float32"`.

        Raises:
            PresetError: (a ValueError) the model has networks or optimizers
                of your own, which a preset cannot hold; other metadata.
            OSError: the disk is full or the folder cannot be written.
        """
        from keras_lapgan.presets import save_preset

        save_preset(
            self,
            folder,
            metadata,
            include_optimizer=include_optimizer,
            weights_dtype=weights_dtype,
        )

    # === Export ===

    def export(
        self,
        path,
        format="tf_saved_model",
        *,
        level=None,
        stages=False,
        batch="dynamic",
        precision="float32",
        dtype="uint8",
        overwrite=False,
    ):
        """Writes the sampler for a runtime without Keras, and checks it.

        The folder gets the model's file, `signature.json` (what goes in and
        comes out) and `run.py`, which draws with that runtime and numpy what
        `generate` draws for the same seed. The file takes noise, one input a
        level, and labels of a class-conditional model. It has been run, and
        its pictures were compared with Keras' own.

        Args:
            path: path of a new folder.
            format: str. `"tf_saved_model"`, `"onnx"`, `"openvino"`,
                `"litert"`, `"torch"` (a `torch.export` program), `"keras"`
                (Keras' own layers, without this package) or `"safetensors"`
                (arrays, and the steps to compute). Where another backend has
                to write it, a process with that backend does. Defaults to
                `"tf_saved_model"`.
            level: int or None. This level alone: it takes the picture of the
                next coarser level, float32 in 0..255, as well. Defaults to
                None, the whole chain.
            stages: bool. Return the pictures of all levels. Defaults to
                False.
            batch: int or `"dynamic"`. Pictures a call. Defaults to
                `"dynamic"`, any number.
            precision: str. `"float32"`, or what the runtime's tools offer of
                `"float16"` and `"int8"`. Defaults to `"float32"`.
            dtype: str. Of the pictures, `"uint8"` or `"float32"` in 0..255.
                Defaults to `"uint8"`.
            overwrite: bool. Replace an earlier export. Defaults to False.

        Returns:
            A dict, the content of `signature.json`; its `"verified"` says how
            far the file's pictures are from Keras'.

        Raises:
            ExportError: (a ValueError) it cannot be written like this, a
                package is missing, or the file does not draw what Keras
                draws. Nothing is left behind.
            OSError: the disk is full or the folder cannot be written.

        Example:

        ```python
        model = LAPGAN.from_preset("lapgan_cifar10_small")
        model.export("exported", "onnx")
        ```
        """
        from keras_lapgan.export.export_model import export_model

        if level is None or level in self.level_indices():
            self.check_present(None if level is None else [level])
        return export_model(
            self,
            path,
            format,
            level=level,
            stages=stages,
            batch=batch,
            precision=precision,
            dtype=dtype,
            overwrite=overwrite,
        )

    # === Config ===

    def get_config(self):
        config = {
            **super().get_config(),
            "levels": [
                level.config
                if isinstance(level, AbsentLevel)
                else keras.saving.serialize_keras_object(level)
                for level in self.levels
            ],
            "down": self.down,
            "up": self.up,
            "normalization": self.normalization.mode,
            "source_size": self.source_size,
            "crop": self.crop_mode,
            "flip": self.flip,
            "class_names": self.class_names,
        }
        if not self.is_complete:
            config["present"] = [x.index for x in self.trainable_levels()]
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        present = config.pop("present", range(len(config["levels"])))
        base = random.getrandbits(64)
        levels = []
        for k, level in enumerate(config["levels"]):
            if k not in present:
                levels.append(AbsentLevel(level, k))
                continue
            # A level begins with the same weights alone as beside others.
            with _seeded(f"{base}/level_{k}"):
                levels.append(keras.saving.deserialize_keras_object(level))
        return cls(**{**config, "levels": levels})


class _HostRandom:
    """What crops are drawn by, the same on every backend."""

    def __init__(self, number):
        self.number = number

    def uniform(self, shape, stream):
        rng = np.random.default_rng([self.number, *stream.encode()])
        return rng.random(shape, "float32")


@contextlib.contextmanager
def _seeded(seed):
    """Gives Keras' initializers, which draw their seeds with `random`, one."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def _pair(size):
    return (size, size) if isinstance(size, int) else tuple(size)


def _check_count(name, value):
    whole = isinstance(value, (int, np.integer)) and value is not True
    if not whole or value < 1:
        raise ValueError(
            f"`{name}` must be an integer of at least 1. "
            f"Received: {name}={value!r}"
        )
