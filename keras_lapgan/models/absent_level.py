class AbsentLevel:
    """The place of a level whose networks are elsewhere.

    A `LAPGAN` can be built of some of its levels, to train these alone; of
    the others it knows how large their bands are, and their config.

    Args:
        config: dict. A `LAPGANLevel` in Keras' serialised form.
        index: int. The level's number.
    """

    def __init__(self, config, index):
        self.config = config
        self.index = index
        self.size = config["config"]["generator"]["config"]["size"]
