import platform
import sys
from typing import NamedTuple

import keras
import numpy as np

from keras_lapgan.evaluation.comparison import Comparison
from keras_lapgan.evaluation.comparison import memorisation
from keras_lapgan.evaluation.extractors import choose_extractor
from keras_lapgan.evaluation.figure import draw_evaluation
from keras_lapgan.evaluation.level_diagnosis import diagnose_levels
from keras_lapgan.evaluation.level_diagnosis import draw
from keras_lapgan.evaluation.real_pictures import RealPictures
from keras_lapgan.evaluation.real_pictures import stretched
from keras_lapgan.evaluation.result_cache import ResultCache
from keras_lapgan.evaluation.result_cache import content_hash
from keras_lapgan.utils.image_grid import save_png
from keras_lapgan.version import __version__

#: How many pictures each measure takes if nobody says.
PIXEL_COUNT = 6000
FEATURE_COUNT = 3000
LEVEL_COUNT = 1000
COPIES_COUNT = 1000
#: Fewer say nothing.
_LEAST = 10


class Evaluation(NamedTuple):
    """What an evaluation found.

    Attributes:
        report: dict, as JSON holds it: `"protocol"`, the figures of
            `Comparison`, `"memorisation"`, and of a model `"levels"` and
            `"weakest"`, see `diagnose_levels`.
        pictures: dict of what `draw_evaluation` shows: `"real"`,
            `"generated"`, `"nearest"` (see `memorisation`), and `"levels"` of
            a model.
    """

    report: dict
    pictures: dict


def evaluate_samples(
    images,
    real,
    *,
    labels=None,
    count=None,
    extractor=None,
    cache=None,
    progress=None,
):
    """Measures pictures that are there already, whoever made them.

    Args:
        images: uint8 array `(n, height, width, 3)`, stretched if `real` is.
        real: `RealPictures` of the same size.
        labels: int array `(n,)` or None. Their classes, which must be numbered
            as the real pictures' are. Defaults to None.
        count: int or None. How many to take, for each measure. Defaults to
            None: 6,000 for measures of pixels, 3,000 for those of features,
            1,000 to look for copies, or as many as there are.
        extractor: `keras_lapgan.metrics.extractors.Extractor` or None: no
            measures of features. Defaults to None.
        cache: `ResultCache`. Defaults to one in the user's cache folder.
        progress: callable or None. See `Comparison`. Defaults to None.

    Returns:
        An `Evaluation`.

    Raises:
        ValueError: too few pictures, or more asked for than there are.
    """
    n = _checked_count(count, real.most, len(images))
    if labels is not None:
        labels = np.asarray(labels)
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"`labels` must be an int for each of {len(images)} samples. "
                f"Received: labels.shape={labels.shape}, dtype={labels.dtype}"
            )
        labels = labels[:n]
    found = _evaluated(
        images[:n], real, labels, count, extractor, cache, progress
    )
    found.report["protocol"]["samples_sha256"] = content_hash(images[:n])
    return found


def evaluate_model(
    model,
    real,
    *,
    count=None,
    seed=0,
    levels=True,
    extractor=None,
    cache=None,
    progress=None,
):
    """Measures what a model draws, as a whole and level by level.

    A class-conditional model draws the classes of the real pictures.

    Args:
        model: `LAPGAN`.
        real: `RealPictures` of its size. If they are stretched, so are the
            samples; levels are measured unstretched.
        count: as in `evaluate_samples`; levels are measured with up to 1,000.
        seed: int. Of the samples. Defaults to 0.
        levels: bool. Whether to measure each level, see `diagnose_levels`.
            Defaults to True.
        extractor: as in `evaluate_samples`.
        cache: as in `evaluate_samples`.
        progress: as in `evaluate_samples`.

    Returns:
        An `Evaluation`.

    Raises:
        ValueError: too few pictures, or more asked for than there are.
    """
    n = _checked_count(count, real.most)
    real = real.settled(n)
    labels = real.labels(n) if model.num_classes else None
    images = draw(model, n, seed, labels, progress)[0]
    found = _evaluated(
        stretched(images) if real.stretch else images,
        real,
        labels,
        count,
        extractor,
        cache,
        progress,
    )
    found.report["protocol"] |= {
        "seed": seed,
        "generators": "averaged",
        "averaged_steps": [
            int(keras.ops.convert_to_numpy(level.averaged_steps))
            for level in model.levels
        ],
    }
    if levels:
        diagnosis, pictures = diagnose_levels(
            model,
            real.unstretched(),
            count=min(n, count or LEVEL_COUNT, LEVEL_COUNT),
            extractor=extractor,
            cache=cache or ResultCache(),
            seed=seed,
            progress=progress,
        )
        found.report.update(diagnosis)
        found.report["protocol"]["levels_stretch"] = False
        found.pictures["levels"] = pictures
    return found


def diagnose(
    model,
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
    """What `LAPGAN.diagnose` does."""
    if isinstance(extractor, str):
        extractor = choose_extractor(extractor)
    found = evaluate_model(
        model,
        RealPictures.for_model(model, data, split, labels=labels),
        count=count,
        seed=seed,
        extractor=extractor,
        progress=progress,
    )
    if figure is not None:
        save_png(figure, draw_evaluation(found))
    return found.report


def _checked_count(count, real, samples=None):
    """How many pictures are compared at most."""
    most = real if samples is None else min(real, samples)
    n = min(PIXEL_COUNT, most) if count is None else count
    if n > most:
        why = (
            "there are no more samples"
            if most == samples
            else "there are no more real pictures with as many others for the "
            "floor"
        )
        raise ValueError(
            f"At most {most} can be compared: {why}. Received: count={count}"
        )
    if n < _LEAST:
        raise ValueError(
            f"To compare takes {_LEAST} pictures at least. Received: {n}"
        )
    return n


def _evaluated(images, real, labels, count, extractor, cache, progress):
    cache = cache or ResultCache()
    n = len(images)
    real = real.settled(n)
    reference, reference_labels = real.reference(n)
    if images.shape != reference.shape:
        raise ValueError(
            "Samples and real pictures must be of one size. Received: samples "
            f"of shape {images.shape[1:]}, real pictures of "
            f"{reference.shape[1:]}"
        )
    other, other_labels = real.other(n)
    comparison = Comparison(
        reference,
        other,
        reference_labels=reference_labels,
        feature_count=count or FEATURE_COUNT,
        extractor=extractor,
        cache=cache,
        progress=progress,
    )
    report = {"protocol": _protocol(real, extractor)}
    report["protocol"]["reference_sha256"] = content_hash(reference)
    report |= comparison.of(images, labels, other_labels)
    copies = min(n, count or COPIES_COUNT, COPIES_COUNT)
    report["memorisation"], nearest = memorisation(
        images[:copies], real, cache, progress
    )
    return Evaluation(
        report,
        {"real": reference, "generated": images, "nearest": nearest},
    )


def _protocol(real, extractor):
    backend = keras.backend.backend()
    protocol = {
        **real.protocol,
        "size": list(real.size),
        "crop": real.crop,
        "stretch": real.stretch,
        "real_seed": real.seed,
        "floor": real.floor,
        "extractor": None,
        "versions": {
            "keras_lapgan": __version__,
            "keras": keras.__version__,
            "backend": backend,
            backend: sys.modules[backend].__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
    if extractor is not None:
        protocol["extractor"] = {
            "name": extractor.name,
            "weights_sha256": extractor.weights_sha256,
            "resize": extractor.resize,
            "size": list(extractor.size),
        }
    return protocol
