class PresetError(ValueError):
    """A preset that does not exist, cannot be read or does not fit."""
