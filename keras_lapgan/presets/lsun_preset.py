from keras_lapgan.presets.preset import Preset
from keras_lapgan.presets.preset import network
from keras_lapgan.presets.preset import paper_networks

SCENES = (
    "bedroom",
    "bridge",
    "church_outdoor",
    "classroom",
    "conference_room",
    "dining_room",
    "kitchen",
    "living_room",
    "restaurant",
    "tower",
)


class LSUNPreset(Preset):
    """The LAPGAN of one LSUN scene class, 64x64.

    The released code's networks: five convolutions in groups. At 4x4, where
    the paper starts from real pictures, a dense pair stands, so that sampling
    needs no data; and at 8x8, which is too small for the convolutional
    discriminator, a dense discriminator.

    Reference:
        - Denton et al., 2015, section 4.
        - Yu et al., *LSUN*, 2015 (arXiv 1506.03365).
    """

    source_size = 64
    crop = "center"
    normalization = "per_channel"
    terms = """\
LSUN: Fisher Yu, Ari Seff, Yinda Zhang, Shuran Song, Thomas Funkhouser,
Jianxiong Xiao, "LSUN: Construction of a Large-scale Image Dataset using Deep
Learning with Humans in the Loop", 2015, https://www.yf.io/p/lsun. The pictures
were collected from the web and belong to their makers."""
    epoch_images = 128_000
    learning_rate = 0.01

    def __init__(self, name, description, sizes, parameters, data, **kwargs):
        super().__init__(name, description, sizes, parameters, **kwargs)
        self.data = data

    def networks(self, k):
        size = self.sizes[k]
        shared = {"size": size, "num_classes": self.num_classes}
        if self.is_coarsest(k):
            return paper_networks(self, k, 0, (1200, 1200), (600, 600))
        generator = network("LSUNGenerator", **shared)
        if size < 13:
            return generator, network(
                "DenseDiscriminator",
                **shared,
                hidden_units=[600, 600],
                conditional=True,
            )
        return generator, network("LSUNDiscriminator", **shared)


PRESETS = tuple(
    LSUNPreset(
        f"lapgan_lsun_{scene}",
        f"The paper's LAPGAN of LSUN's {scene.replace('_', ' ')}s.",
        sizes=(64, 32, 16, 8, 4),
        parameters=10_277_929,
        data=f"lsun/{scene}",
    )
    for scene in SCENES
)
