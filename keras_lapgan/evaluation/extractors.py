from keras_lapgan.metrics.extractors import EfficientNetLite0
from keras_lapgan.metrics.extractors import ExtractorError
from keras_lapgan.metrics.extractors import Inception
from keras_lapgan.metrics.extractors import inception_file
from keras_lapgan.metrics.extractors import lite0_file

CHOICES = ("auto", "inception", "lite0", "none")


def choose_extractor(name="auto"):
    """Makes the network whose features are compared.

    Args:
        name: str. `"inception"`, that of published FIDs, fetched if it is not
            on this machine; `"lite0"`, EfficientNet-Lite0; `"none"`; or
            `"auto"`, Inception if its weights are on this machine, else Lite0
            if they are, else none. Defaults to `"auto"`.

    Returns:
        A `keras_lapgan.metrics.extractors.Extractor`, or None.

    Raises:
        ExtractorError: the weights asked for are not there.
        ValueError: an unknown name.
    """
    if name not in CHOICES:
        raise ValueError(
            f"`extractor` is one of {CHOICES}. Received: extractor={name!r}"
        )
    if name == "inception":
        return Inception()
    if name == "lite0":
        return EfficientNetLite0()
    if name == "auto":
        for find, make in (
            (lambda: inception_file(download=False), Inception),
            (lite0_file, EfficientNetLite0),
        ):
            try:
                find()
            except ExtractorError:
                continue
            return make()
    return None
