import functools
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

    Every figure comes with its number of pictures, `n`, and its `floor`: the
    same figure for other real pictures in place of the generated ones.

    - `swd`: sliced Wasserstein distance x 1e3, a size of the pyramid each.
    - `bands`: standard deviation, kurtosis and spectrum of each level of that
      pyramid; `channels`: mean and standard deviation.
    - `fd_<extractor>`, `kd_<extractor>`, `is_<extractor>`: Frechet distance,
      kernel distance (unbiased, of all pictures at once), inception score in
      10 parts; `fid`, `kid`, `is` for the Inception of 2015-12-05.
    - `precision`, `recall`, `density`, `coverage` of the features, k = 5.
    - `class_agreement`: how often a classifier of these features, trained on
      the reference, finds the class asked for.
    - `ms_ssim`: mean similarity of random pairs, of a class if
      `within_classes` is true.

    What is not defined is left out: sizes below 7 pixels or that are not
    square have no patches, MS-SSIM wants 16 pixels, features an extractor and
    RGB, agreement classes.

    Args:
        reference: uint8 array `(n, height, width, channels)`.
        other: uint8 array of the same shape, for the floor.
        reference_labels: int array `(n,)` or None. Classes of the reference.
            Defaults to None.
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
        reference_labels=None,
        feature_count=None,
        extractor=None,
        progress=None,
    ):
        self.reference = reference
        self.reference_labels = reference_labels
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
            result |= self._feature_measures(generated, labels, other_labels)
        if min(height, width) >= _LEAST_MS_SSIM:
            result |= self._ms_ssim(generated, labels, other_labels)
        return result

    # === Pixels ===

    def _swd(self, generated):
        self._progress("sliced Wasserstein distance", 0, 1)
        values = self._distances(generated)
        return {
            side: _figure(generated, value, self._swd_floor[side])
            for side, value in values.items()
        }

    def _distances(self, images):
        found = metrics.sliced_wasserstein(self.reference, images)
        return {str(side): value for side, value in found.items()}

    @functools.cached_property
    def _swd_floor(self):
        return self._cache.figures(
            "swd",
            [self.reference, self.other],
            lambda: self._distances(self.other),
        )

    def _bands(self, generated):
        self._progress("bands", 0, 1)
        found, floor = _described(generated), self._band_floor
        return {
            "bands": {
                side: {
                    name: _figure(generated, value, floor["levels"][side][name])
                    for name, value in level.items()
                }
                for side, level in found["levels"].items()
            },
            "channels": {
                name: _figure(
                    generated,
                    found[f"channel_{name}"],
                    floor[f"channel_{name}"],
                )
                for name in ("mean", "std")
            },
        }

    @functools.cached_property
    def _band_floor(self):
        return self._cache.figures(
            "bands", [self.other], lambda: _described(self.other)
        )

    def _ms_ssim(self, generated, labels, other_labels):
        self._progress("MS-SSIM", 0, 1)
        within = _has_pairs(labels) and _has_pairs(other_labels)
        if not within:
            labels = other_labels = None
        floor = self._cache.figures(
            f"ms_ssim {within}",
            [self.other, *([np.asarray(other_labels)] if within else [])],
            lambda: {"mean": _similarity(self.other, other_labels)},
        )
        value = _similarity(generated, labels)
        found = _figure(generated, value, floor["mean"])
        return {"ms_ssim": found | {"within_classes": within}}

    # === Features ===

    def _feature_measures(self, generated, labels, other_labels):
        names = ("fd_{}", "kd_{}", "is_{}")
        if self.extractor.fid:
            names = ("fid", "kid", "is")
        names = (name.format(self.extractor.name) for name in names)
        keys = dict(zip(("fd", "kd", "is"), names, strict=True))
        drawn = generated[: self.feature_count]
        extracted = self._extract(drawn, "features of samples")
        values = self._measured(extracted)
        result = {
            keys.get(name, name): _figure(
                drawn, value, self._feature_floor[name]
            )
            for name, value in values.items()
        }
        known = (self.reference_labels, labels, other_labels)
        if all(x is not None for x in known) and _has_classes(known[0]):
            result["class_agreement"] = _figure(
                drawn,
                self._agreement(extracted, labels),
                self._agreement(self._other_features, other_labels),
            )
        return result

    def _agreement(self, found, labels):
        real = self._real_features["features"]
        return metrics.class_agreement(
            real,
            self.reference_labels[: len(real)],
            found["features"],
            labels[: len(found["features"])],
        )

    @functools.cached_property
    def _feature_floor(self):
        reference, other = (
            images[: self.feature_count]
            for images in (self.reference, self.other)
        )
        return self._cache.figures(
            self._what("measures"),
            [reference, other],
            lambda: self._measured(self._other_features),
        )

    @functools.cached_property
    def _other_features(self):
        return self._features(
            self.other[: self.feature_count], "features of other real pictures"
        )

    @functools.cached_property
    def _real_features(self):
        return self._features(
            self.reference[: self.feature_count], "features of real pictures"
        )

    def _measured(self, drawn):
        real = self._real_features
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


def _figure(images, value, floor):
    return {"n": len(images), "value": value, "floor": floor}


def _described(images):
    """`band_statistics`, with the keys that JSON has."""
    found = metrics.band_statistics(images)
    levels = {str(side): level for side, level in found["levels"].items()}
    return found | {"levels": levels}


def _similarity(images, labels):
    """Mean MS-SSIM of random pairs, within classes where there are labels."""
    pairs = _PAIRS
    if labels is not None:
        labels = np.asarray(labels)
        values, counts = np.unique(labels, return_counts=True)
        values = values[counts >= 2]
        kept = np.isin(labels, values)
        images, labels = images[kept], labels[kept]
        pairs = math.ceil(_PAIRS / len(values))
    return metrics.ms_ssim_diversity(images, labels, pairs=pairs)["mean"]


def _has_classes(labels):
    return len(np.unique(labels)) > 1


def _has_pairs(labels):
    if labels is None:
        return False
    return int(np.unique(labels, return_counts=True)[1].max()) >= 2


# === Copies ===


def nearest_training(samples, real, seen, progress=None):
    """The training picture nearest to each sample, in pixels.

    Args:
        samples: uint8 array `(m, height, width, channels)`.
        real: `RealPictures`. How training cut and flipped its pictures.
        seen: uint8 array `(n, height, width, channels)`. These, whole.
        progress: callable or None. See `Comparison`.

    Returns:
        distances: float64 array `(m,)`, pixels in [0, 1].
        pictures: uint8 array of the shape of `samples`, the nearest ones.
    """
    distances = np.full(len(samples), np.inf)
    pictures = np.zeros_like(samples)
    for start in range(0, len(seen), _SEARCHED_AT_ONCE):
        if progress:
            progress("nearest training pictures", start, len(seen))
        some = seen[start : start + _SEARCHED_AT_ONCE]
        for cut in real.as_trained(some):
            for step in (1, -1) if real.flip else (1,):
                training = cut[:, :, ::step]
                found, indices = metrics.nearest_neighbours(samples, training)
                nearer = found < distances
                distances[nearer] = found[nearer]
                pictures[nearer] = training[indices[nearer]]
    return distances, pictures


def memorisation(samples, real, cache, progress=None):
    """Whether samples are copies, in the form of `Comparison`'s figures.

    Args:
        samples: uint8 array `(m, height, width, channels)`.
        real: `RealPictures`.
        cache: `ResultCache`.
        progress: callable or None. See `Comparison`.

    Returns:
        A dict and a list. The dict has `value` and `floor`, the medians of
        samples' and of held-out pictures' distances; their `ratio`; the
        `share` of samples nearer than half the floor, `heldout_share` of
        held-out pictures; and how many training pictures were `searched`. The
        list has `(distance, sample, training picture)` of each sample, the
        nearest first.
    """
    seen = real.seen()
    distances, pictures = nearest_training(samples, real, seen, progress)
    unseen = real.unseen(len(samples))
    heldout = cache.figures(
        f"nearest {real.crop} {real.size} {real.stretch} {real.flip}",
        [unseen, seen],
        lambda: {
            "distances": nearest_training(unseen, real, seen, progress)[
                0
            ].tolist()
        },
    )
    found = metrics.memorisation_from_distances(
        distances, np.asarray(heldout["distances"])
    )
    order = np.argsort(distances, kind="stable")
    return {
        "n": len(samples),
        "value": found["generated"],
        "floor": found["heldout"],
        "ratio": found["ratio"],
        "share": found["share"],
        "heldout_share": found["heldout_share"],
        "searched": len(seen),
    }, [(distances[i], samples[i], pictures[i]) for i in order]
