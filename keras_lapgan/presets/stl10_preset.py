from keras_lapgan.presets.preset import Preset
from keras_lapgan.presets.preset import paper_networks


class STL10Preset(Preset):
    """The LAPGAN of STL-10's unlabelled pictures, 96x96.

    Reference:
        - Denton et al., 2015, section 4.
        - Coates, Lee, Ng, *An Analysis of Single-Layer Networks in
          Unsupervised Feature Learning*, 2011.
    """

    data = "stl10"
    split = "unlabelled"
    source_size = 96
    crop = "center"
    terms = """\
STL-10: Adam Coates, Honglak Lee, Andrew Y. Ng, "An Analysis of Single-Layer
Networks in Unsupervised Feature Learning", AISTATS 2011,
https://cs.stanford.edu/~acoates/stl10. Its pictures are from ImageNet, which
is offered for non-commercial research and education; they belong to their
makers."""
    epoch_images = 100_000

    def networks(self, k):
        return paper_networks(self, k, 128, (1200, 1200), (600, 600))


PRESETS = (
    STL10Preset(
        "lapgan_stl10",
        "The paper's LAPGAN of STL-10, 8 -> 16 -> 32 -> 64 -> 96.",
        sizes=(96, 64, 32, 16, 8),
        parameters=7_667_513,
    ),
)
