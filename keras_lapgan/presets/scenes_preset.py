from keras_lapgan.presets.lsun_preset import LSUNPreset
from keras_lapgan.presets.preset import paper_networks

CLASS_NAMES = (
    "alp",
    "altar",
    "barbershop",
    "barn",
    "butcher_shop",
    "cliff",
    "cliff_dwelling",
    "confectionery",
    "coral_reef",
    "dam",
    "dining_table",
    "fountain",
    "gondola",
    "lakeside",
    "lighthouse",
    "obelisk",
    "pipe_organ",
    "seashore",
    "steel_arch_bridge",
    "suspension_bridge",
    "thatched_roof",
    "triumphal_arch",
    "viaduct",
    "water_tower",
)


class ScenesPreset(LSUNPreset):
    """A CC-LAPGAN of the 24 scene classes of Tiny ImageNet, 64x64.

    Args:
        name: str.
        description: str.
        parameters: int.
        filters: int or None. Planes of the paper's convolutional pairs,
            trained by the quick recipe; None takes the LSUN networks.
            Defaults to None.
        **kwargs: `hub` and `weights_sha256`, see `Preset`.
    """

    normalization = "per_channel"
    terms = """\
Tiny ImageNet: Stanford University, course CS231n, 2015, a 64x64 subset of
ImageNet (Deng et al., "ImageNet: A Large-Scale Hierarchical Image Database",
CVPR 2009). ImageNet is offered for non-commercial research and education; the
pictures belong to their photographers. Use these weights for no other
purpose."""
    epoch_images = 12_000

    def __init__(
        self, name, description, sizes, parameters, filters=None, **kwargs
    ):
        super().__init__(
            name,
            description,
            sizes,
            parameters,
            data="tiny_imagenet_scenes",
            class_names=CLASS_NAMES,
            recipe="paper" if filters is None else "quick",
            **kwargs,
        )
        self.filters = filters

    def networks(self, k):
        if self.filters is None:
            return super().networks(k)
        return paper_networks(self, k, self.filters, (1200, 1200), (600, 600))


PRESETS = (
    ScenesPreset(
        "lapgan_scenes",
        "A CC-LAPGAN of 24 scene classes, with the LSUN networks.",
        sizes=(64, 32, 16, 8, 4),
        parameters=10_619_769,
    ),
    ScenesPreset(
        "lapgan_scenes_small",
        "A CC-LAPGAN of 24 scene classes, 32 planes, for two cores.",
        sizes=(64, 32, 16, 8),
        parameters=2_880_245,
        filters=32,
    ),
)
