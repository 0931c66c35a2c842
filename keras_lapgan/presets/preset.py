from keras_lapgan.presets.recipes import paper_recipe
from keras_lapgan.presets.recipes import quick_recipe
from keras_lapgan.presets.recipes import residual_recipe
from keras_lapgan.presets.serialized import keras_object


class Preset:
    """What defines a published LAPGAN: data, networks and recipe, as data.

    A preset makes a plain config in Keras' serialised form; it builds
    nothing. Subclasses, one a data set, say what the levels are made of.

    Args:
        name: str. The published name, for example `"lapgan_cifar10"`.
        description: str. One line.
        sizes: tuple of ints. Sides of the levels' pictures, finest first.
        parameters: int. Of all generators and discriminators, so that a
            table of presets builds none.
        class_names: tuple of str. Classes of a class-conditional preset.
            Defaults to `()`, unconditional.
        recipe: str. `"paper"`, in batches of 128; or, in batches of 64 and
            without dropout, `"quick"` or `"residual"`, for networks of that
            kind. See `recipes.py`. Defaults to `"paper"`.
        hub: str or None. Where weights are that are too large for the wheel,
            `"hf://user/name@commit"`. Defaults to None.
        weights_sha256: str or None. Of the file there. Defaults to None.
    """

    #: The data set's name as `keras_lapgan.datasets.load_images` takes it.
    data = None
    split = "train"
    #: Side of the pictures that are read, before cropping.
    source_size = None
    crop = "corners"
    normalization = "per_pixel"
    #: Licence of trained weights, as the Hub names licences, and the NOTICE
    #: that lies beside them: terms of the data.
    license = "other"
    terms = None
    #: Of the paper's recipe.
    learning_rate = 0.02
    #: Pictures an epoch, for the learning rate's decay, which counts epochs.
    epoch_images = 45_000

    def __init__(
        self,
        name,
        description,
        sizes,
        parameters,
        class_names=(),
        recipe="paper",
        hub=None,
        weights_sha256=None,
    ):
        self.name = name
        self.hub = hub
        self.weights_sha256 = weights_sha256
        self.description = description
        self.sizes = tuple(sizes)
        self.parameters = parameters
        self.class_names = tuple(class_names)
        self.recipe = recipe
        self.batch_size = 128 if recipe == "paper" else 64

    @property
    def num_classes(self):
        return len(self.class_names)

    def networks(self, k):
        """Returns level `k`'s `(generator, discriminator)` as configs."""
        raise NotImplementedError(type(self).__name__)

    def is_coarsest(self, k):
        return k == len(self.sizes) - 1

    def compile_config(self):
        """Returns the arguments of `LAPGAN.compile`, serialised."""
        if self.recipe == "residual":
            return residual_recipe()
        if self.recipe == "quick":
            return quick_recipe(len(self.sizes))
        steps_per_epoch = self.epoch_images // self.batch_size
        return paper_recipe(self.learning_rate, steps_per_epoch)

    def config(self):
        """Returns the model's config, as Keras' `config.json` has it."""
        levels = []
        for k in range(len(self.sizes)):
            generator, discriminator = self.networks(k)
            levels.append(
                keras_object(
                    "models",
                    "LAPGANLevel",
                    generator=generator,
                    discriminator=discriminator,
                    index=k,
                )
            )
        model = keras_object(
            "models",
            "LAPGAN",
            levels=levels,
            normalization=self.normalization,
            source_size=self.source_size,
            crop=self.crop,
            class_names=list(self.class_names) or None,
            name=self.name,
        )
        return {**model, "compile_config": self.compile_config()}


def network(class_name, **config):
    return keras_object("networks", class_name, **config)


def paper_networks(preset, k, filters, g_units, d_units, **dense):
    """The paper's pair of level `k`: dense at the coarsest, else convolutional.

    Args:
        preset: `Preset`.
        k: int. The level.
        filters: int. Planes of the convolutions.
        g_units: tuple of 2 ints. Hidden units of the dense generator.
        d_units: tuple of 2 ints. Hidden units of the dense discriminator.
        **dense: other arguments of `DenseGenerator`.
    """
    shared = {"size": preset.sizes[k], "num_classes": preset.num_classes}
    quick = preset.recipe == "quick"
    dropout = {"dropout": 0.0} if quick else {}
    # Without dropout and with R1 and R2, one that starts as the paper's
    # learns nothing for long.
    stddev = {"kernel_stddev": 0.03} if quick else {}
    if preset.is_coarsest(k):
        return (
            network(
                "DenseGenerator", **shared, hidden_units=list(g_units), **dense
            ),
            network(
                "DenseDiscriminator",
                **shared,
                hidden_units=list(d_units),
                **dropout,
                **stddev,
            ),
        )
    return (
        network("ConvolutionalGenerator", **shared, filters=filters),
        network(
            "ConvolutionalDiscriminator", **shared, filters=filters, **dropout
        ),
    )


def residual_networks(preset, k, filters, d_units):
    """A residual pair of level `k`, with one block at each resolution.

    Args:
        preset: `Preset`.
        k: int. The level.
        filters: tuple of ints. Maps at each resolution, finest first.
        d_units: int. Units of the discriminator's dense layer.
    """
    shared = {
        "size": preset.sizes[k],
        "filters": list(filters),
        "blocks": 1,
        "num_classes": preset.num_classes,
        "conditional": not preset.is_coarsest(k),
    }
    return (
        network("ResidualGenerator", **shared),
        network("ResidualDiscriminator", **shared, units=d_units),
    )
