import math

import numpy as np

from keras_lapgan import metrics

_PATCH = 7
_NEAREST = 5
_SPLITS = 10
_PAIRS = 1000
_LEAST_MS_SSIM = 16
# The search turns them into floats, several times.
_SEARCHED_AT_ONCE = 10_000


class Comparison:
    """Compares generated pictures with real ones, by all measures.

    Every figure comes with its number of pictures and its floor: the same
    figure for other real pictures in place of the generated ones.

    - `swd`: sliced Wasserstein distance x 1e3, a size of the pyramid each.
    - `bands`: standard deviation, kurtosis and spectrum of each level of that
      pyramid; `channels`: mean and standard deviation.
    - `fd_<extractor>`, `kd_<extractor>`, `is_<extractor>`: Frechet distance,
      kernel distance (unbiased, of all pictures at once), inception score in
      10 parts; `fid`, `kid`, `is` for the Inception of 2015-12-05.
    - `precision`, `recall`, `density`, `coverage` of the features, k = 5.
    - `ms_ssim`: mean similarity of random pairs (of a class).

    What is not defined is left out: sizes below 7 pixels or that are not
    square have no patches, MS-SSIM wants 16 pixels, features an extractor and
    RGB.

    Args:
        reference: uint8 array `(n, height, width, channels)`.
        other: uint8 array of the same shape, for the floor.
        feature_count: int or None. How many of the pictures features are
            taken of. Defaults to None, all.
        extractor: `keras_lapgan.metrics.extractors.Extractor` or None.
            Defaults to None.
        cache: `ResultCache`. For what is of real pictures alone.
        progress: callable or None. Called as `progress(what, done, total)`.
    """

    def __init__(
        self,
        reference,
        other,
        *,
        cache,
        feature_count=None,
        extractor=None,
        progress=None,
    ):
        self.reference = reference
        self.other = other
        self.feature_count = min(feature_count or math.inf, len(reference))
        channels = reference.shape[3]
        self.extractor = extractor if channels == 3 else None
        self._cache = cache
        self._progress = progress or (lambda *args: None)

    def of(self, generated, labels=None, other_labels=None):
        """Compares as many generated pictures.

        Args:
            generated: uint8 array of the reference's shape.
            labels: int array `(n,)` or None. Classes of `generated`.
            other_labels: int array `(n,)` or None. Of the other real ones.

        Returns:
            A dict as above, of what JSON holds.
        """
        result = {}
        height, width = generated.shape[1:3]
        if height == width >= _PATCH:
            result["swd"] = self._swd(generated)
        if height == width:
            result |= self._bands(generated)
        if self.extractor is not None:
            result |= self._feature_measures(generated)
        if min(height, width) >= _LEAST_MS_SSIM:
            result |= self._ms_ssim(generated, labels, other_labels)
        return result

    # === Pixels ===

    def _swd(self, generated):
        def distances(images):
            found = metrics.sliced_wasserstein(self.reference, images)
            return {str(side): value for side, value in found.items()}

        self._progress("sliced Wasserstein distance", 0, 1)
        floor = self._cache.figures(
            "swd",
            [self.reference, self.other],
            lambda: distances(self.other),
        )
        values = distances(generated)
        n = len(generated)
        return {
            side: {"n": n, "value": value, "floor": floor[side]}
            for side, value in values.items()
        }

    def _bands(self, generated):
        self._progress("bands", 0, 1)
        n = len(generated)
        found = metrics.band_statistics(generated)
        real = metrics.band_statistics(self.reference)

        def pair(value, floor):
            return {"n": n, "value": value, "floor": floor}

        return {
            "bands": {
                str(side): {
                    name: pair(value, real["levels"][side][name])
                    for name, value in level.items()
                }
                for side, level in found["levels"].items()
            },
            "channels": {
                name: pair(found[f"channel_{name}"], real[f"channel_{name}"])
                for name in ("mean", "std")
            },
        }

    def _ms_ssim(self, generated, labels, other_labels):
        self._progress("MS-SSIM", 0, 1)
        conditional = labels is not None and other_labels is not None

        def similarity(images, labels):
            if not conditional:
                pairs, labels = _PAIRS, None
            else:
                kept, pairs = _classes_of_two(labels)
                images, labels = images[kept], labels[kept]
            found = metrics.ms_ssim_diversity(images, labels, pairs=pairs)
            return found["mean"]

        what, of = f"ms_ssim {conditional}", [self.other]
        if conditional:
            of.append(np.asarray(other_labels))
        floor = self._cache.figures(
            what, of, lambda: similarity(self.other, other_labels)
        )
        return {
            "ms_ssim": {
                "n": len(generated),
                "value": similarity(generated, labels),
                "floor": floor,
            }
        }

    # === Features ===

    def _feature_measures(self, generated):
        n = self.feature_count
        names = ("fd_{}", "kd_{}", "is_{}")
        if self.extractor.fid:
            names = ("fid", "kid", "is")
        fd, kd, score = (name.format(self.extractor.name) for name in names)
        real = self._features(self.reference[:n], "features of real pictures")
        drawn = self._extract(generated[:n], "features of samples")
        floor = self._cache.figures(
            self._what("measures"),
            [self.reference[:n], self.other[:n]],
            lambda: self._measured(
                real,
                self._features(
                    self.other[:n], "features of other real pictures"
                ),
            ),
        )
        values = self._measured(real, drawn)
        keys = {"fd": fd, "kd": kd, "is": score}
        return {
            keys.get(name, name): {
                "n": n,
                "value": value,
                "floor": floor[name],
            }
            for name, value in values.items()
        }

    def _measured(self, real, drawn):
        self._progress("distances of features", 0, 1)
        measured = {
            "fd": metrics.frechet_distance(real["features"], drawn["features"]),
            "kd": metrics.polynomial_mmd(real["features"], drawn["features"]),
        }
        if "logits" in drawn:
            measured["is"] = metrics.inception_score(
                drawn["logits"],
                from_logits=True,
                splits=min(_SPLITS, len(drawn["logits"])),
            )["mean"]
        if len(real["features"]) > _NEAREST:
            measured |= metrics.precision_recall(
                real["features"], drawn["features"], nearest=_NEAREST
            )
        return measured

    def _features(self, images, what):
        return self._cache.arrays(
            self._what("features"),
            [images],
            lambda: self._extract(images, what),
        )

    def _what(self, name):
        """Names a computation that depends on the extractor."""
        found = self.extractor.fingerprint
        return None if found is None else f"{name} {found}"

    def _extract(self, images, what):
        features, logits = self.extractor.extract(
            images, lambda done, total: self._progress(what, done, total)
        )
        found = {"features": features}
        return found if logits is None else found | {"logits": logits}


def _classes_of_two(labels):
    """Which pictures are of classes with two or more; pairs of each."""
    labels = np.asarray(labels)
    values, counts = np.unique(labels, return_counts=True)
    kept = values[counts >= 2]
    return np.isin(labels, kept), math.ceil(_PAIRS / max(1, len(kept)))


def nearest_training(samples, real, progress=None):
    """The training picture nearest to each sample, in pixels.

    Args:
        samples: uint8 array `(m, height, width, channels)`.
        real: `RealPictures`.
        progress: callable or None. See `Comparison`.

    Returns:
        distances: float64 array `(m,)`, pixels in [0, 1].
        pictures: uint8 array of the shape of `samples`, the nearest ones.
    """
    distances = np.full(len(samples), np.inf)
    pictures = np.zeros_like(samples)
    for training in real.training():
        if progress:
            progress("nearest training pictures", 0, None)
        for start in range(0, len(training), _SEARCHED_AT_ONCE):
            some = training[start : start + _SEARCHED_AT_ONCE]
            found, indices = metrics.nearest_neighbours(samples, some)
            nearer = found < distances
            distances[nearer] = found[nearer]
            pictures[nearer] = some[indices[nearer]]
    return distances, pictures


def memorisation(samples, real, cache, progress=None):
    """Whether samples are copies, in the form of `Comparison`'s figures.

    Args:
        samples: uint8 array `(m, height, width, channels)`.
        real: `RealPictures`.
        cache: `ResultCache`.
        progress: callable or None. See `Comparison`.

    Returns:
        A dict of figures: `value` and `floor`, the medians of samples' and
        of held-out pictures' distances, their `ratio`, the `share` of samples
        nearer than half the floor, and `heldout_share`; and the nearest
        training pictures.
    """
    near, pictures = nearest_training(samples, real, progress)
    unseen = real.unseen(len(samples))
    heldout = cache.figures(
        f"nearest {real.crop} {real.size} {real.stretch}",
        [unseen, real.seen()],
        lambda: nearest_training(unseen, real, progress)[0].tolist(),
    )
    found = metrics.memorisation_from_distances(near, np.asarray(heldout))
    return {
        "n": len(samples),
        "value": found["generated"],
        "floor": found["heldout"],
        "ratio": found["ratio"],
        "share": found["share"],
        "heldout_share": found["heldout_share"],
    }, pictures
