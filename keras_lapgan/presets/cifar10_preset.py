from keras_lapgan.presets.preset import Preset
from keras_lapgan.presets.preset import paper_networks
from keras_lapgan.presets.preset import residual_networks

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


class CIFAR10Preset(Preset):
    """The LAPGANs of CIFAR-10.

    The paper's pyramid is 8 -> 14 -> 28 on corner crops of the 32x32
    pictures, with a dense pair at 8 and convolutional pairs above; with the
    recipe "residual", residual pairs at all levels.

    Args:
        name: str.
        description: str.
        parameters: int.
        sizes: tuple of ints. Defaults to `(28, 14, 8)`.
        filters: int. Planes of the convolutional pairs; of residual ones a
            tuple for each level, of a number for each resolution. Defaults to
            128.
        g_units: tuple of 2 ints. Defaults to `(1200, 1200)`.
        d_units: tuple of 2 ints; of residual pairs an int for each level.
            Defaults to `(600, 600)`.
        class_conditional: bool. Defaults to False.
        activations: str or list of str. The dense generator's. Defaults to
            `"relu"`.
        **kwargs: `recipe`, `hub` and `weights_sha256`, see `Preset`.

    Reference:
        - Denton et al., 2015, section 4.
        - Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*,
          2009.
    """

    data = "cifar10"
    source_size = 32
    terms = """\
CIFAR-10: Alex Krizhevsky, "Learning Multiple Layers of Features from Tiny
Images", technical report, University of Toronto, 2009,
https://www.cs.toronto.edu/~kriz/cifar.html. Its authors give no licence text;
they ask that work which uses the data cites the report. The pictures were
collected from the web and belong to their makers."""

    def __init__(
        self,
        name,
        description,
        parameters,
        sizes=(28, 14, 8),
        filters=128,
        g_units=(1200, 1200),
        d_units=(600, 600),
        class_conditional=False,
        activations="relu",
        **kwargs,
    ):
        super().__init__(
            name,
            description,
            sizes,
            parameters,
            class_names=CLASS_NAMES if class_conditional else (),
            **kwargs,
        )
        self.filters = filters
        self.g_units = g_units
        self.d_units = d_units
        self.activations = activations

    def networks(self, k):
        if self.recipe == "residual":
            return residual_networks(self, k, self.filters[k], self.d_units[k])
        return paper_networks(
            self,
            k,
            self.filters,
            self.g_units,
            self.d_units,
            activations=self.activations,
        )


PRESETS = (
    CIFAR10Preset(
        "lapgan_cifar10",
        "The paper's LAPGAN of CIFAR-10, 128 planes, by the quick recipe.",
        parameters=4_798_385,
        recipe="quick",
    ),
    CIFAR10Preset(
        "lapgan_cifar10_class_conditional",
        "The paper's CC-LAPGAN of CIFAR-10, 128 planes, by the quick recipe.",
        parameters=4_856_889,
        recipe="quick",
        class_conditional=True,
    ),
    CIFAR10Preset(
        "lapgan_cifar10_small",
        "The paper's LAPGAN of CIFAR-10 with 32 planes, for two cores.",
        parameters=2_447_441,
        filters=32,
        recipe="quick",
    ),
    CIFAR10Preset(
        "lapgan_cifar10_class_conditional_small",
        "The paper's CC-LAPGAN of CIFAR-10 with 32 planes, for two cores.",
        parameters=2_491_737,
        filters=32,
        recipe="quick",
        class_conditional=True,
    ),
    CIFAR10Preset(
        "lapgan_cifar10_residual",
        "The paper's pyramid of CIFAR-10 and classes, with residual networks.",
        parameters=4_876_931,
        filters=((32, 64, 128), (64, 128), (64, 128)),
        d_units=(128, 128, 256),
        recipe="residual",
        class_conditional=True,
    ),
    CIFAR10Preset(
        "lapgan_cifar10_paper",
        "The paper's LAPGAN of CIFAR-10, with its dropout and its recipe.",
        parameters=4_798_385,
    ),
    CIFAR10Preset(
        "lapgan_cifar10_class_conditional_paper",
        "The paper's CC-LAPGAN of CIFAR-10, with its dropout and its recipe.",
        parameters=4_856_889,
        class_conditional=True,
    ),
    CIFAR10Preset(
        "lapgan_cifar10_release",
        "The released code's default: 16 -> 32, 64 planes, wide dense nets.",
        parameters=75_089_093,
        sizes=(32, 16),
        filters=64,
        g_units=(8000, 8000),
        d_units=(1600, 1600),
        activations=["relu", "sigmoid"],
    ),
    CIFAR10Preset(
        "gan_cifar10",
        "The paper's baseline: one dense GAN of whole pictures.",
        parameters=6_160_153,
        sizes=(28,),
    ),
)
