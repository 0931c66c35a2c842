import numpy as np
from keras import ops

from keras_lapgan.evaluation.comparison import Comparison

#: Samples drawn between two calls of `progress`.
_CHUNK = 512
_SHOWN = 16


def diagnose_levels(
    model,
    real,
    *,
    count,
    extractor,
    cache,
    seed=0,
    progress=None,
):
    """Tells how well each level draws, by itself and in the chain.

    A level above the coarsest trains on the blurred pictures of real ones,
    and draws from those of the levels before it. So it is measured twice:
    what it draws *given real* pictures of the next level, and what comes out
    at its size *in the chain*. The difference is the exposure gap. Both are
    compared with real pictures of that size; the real pictures that a level
    is given are others than those it is compared with.

    Args:
        model: `LAPGAN`.
        real: `RealPictures` of the model's size, not stretched.
        count: int. Pictures of each kind.
        extractor: `Extractor` or None.
        cache: `ResultCache`.
        seed: int. Of the samples. Defaults to 0.
        progress: callable or None. See `Comparison`.

    Returns:
        A dict and a list. The dict has `"levels"`, a list of dicts, finest
        first: `level`, `size`, `in_chain` and, above the coarsest,
        `given_real`, each the figures of a `Comparison`, and `excess`: how far
        the level's kernel distance by itself (given real pictures) is above
        its floor, which does not depend on n; and `"weakest"`, the number of
        the level with the largest excess. Without an extractor both are None.
        The list has a dict of pictures a level: `in_chain` and, above the
        coarsest, `real`, `given` (these, shrunk and enlarged) and
        `given_real`, what the level drew from them.
    """
    reference, labels = real.reference(count)
    other, other_labels = real.other(count)
    if not model.num_classes:
        labels = other_labels = None
    real_stages = stages_of(model, reference)
    other_stages = stages_of(model, other)
    chain = draw(model, count, seed, labels, progress)
    levels, pictures = [], []
    for k in reversed(range(len(model.levels))):
        height, width = model.sizes[k]

        def told(what, done, total, k=k):
            if progress is not None:
                progress(f"level {k}: {what}", done, total)

        comparison = Comparison(
            to_uint8(real_stages[k]),
            to_uint8(other_stages[k]),
            extractor=extractor,
            cache=cache,
            progress=told,
        )
        found = {"level": k, "size": [height, width]}
        shown = {"in_chain": chain[k]}
        if k + 1 < len(model.levels):
            coarser = other_stages[k + 1]
            given = draw(model, count, seed, other_labels, told, k, coarser)[0]
            found["given_real"] = comparison.of(
                given, other_labels, other_labels
            )
            blurred = model.pyramid.condition(coarser[:_SHOWN], k)
            blurred = np.clip(ops.convert_to_numpy(blurred), 0, 255)
            shown |= {
                "real": comparison.other[:_SHOWN],
                "given": to_uint8(blurred),
                "given_real": given,
            }
        found["in_chain"] = comparison.of(chain[k], labels, other_labels)
        levels.insert(0, found)
        pictures.insert(0, shown)
    return _ranked(levels), pictures


def draw(model, count, seed, labels=None, progress=None, level=None, given=()):
    """Draws pictures in parts, and tells how far it is.

    Args:
        model: `LAPGAN`.
        count: int.
        seed: int.
        labels: int array `(count,)` or None.
        progress: callable or None. See `Comparison`.
        level: int or None. Draw only this level, from `given`. Defaults to
            None, the whole chain.
        given: float array `(count, height, width, channels)` in 0..255, of the
            next coarser level.

    Returns:
        A list of uint8 arrays, finest first: of all levels, or of `level`.
    """
    parts = []
    for start in range(0, count, _CHUNK):
        if progress is not None:
            progress("drawing samples", start, count)
        end = min(start + _CHUNK, count)
        noise = [
            one.noise.draw(end - start, seed, k, start)
            if level in (None, k)
            else None
            for k, one in enumerate(model.levels)
        ]
        asked = {
            "labels": None if labels is None else labels[start:end],
            "noise": noise,
        }
        if level is None:
            stages = model.generate(end - start, return_pyramid=True, **asked)
        else:
            images = given[start:end]
            stages = [
                model.generate_from(images, level + 1, stop=level, **asked)
            ]
        parts.append(stages)
    return [np.concatenate(stages) for stages in zip(*parts, strict=True)]


def stages_of(model, images):
    """Real pictures at the size of each level.

    Args:
        model: `LAPGAN`.
        images: uint8 array `(n, height, width, channels)` of the model's
            size.

    Returns:
        A list of float32 arrays in 0..255, finest first.
    """
    parts = []
    for start in range(0, len(images), _CHUNK):
        some = model.normalization(images[start : start + _CHUNK])
        parts.append(
            [
                ops.convert_to_numpy(model.to_pixels(stage, k))
                for k, stage in enumerate(model.pyramid.gaussian(some))
            ]
        )
    return [np.concatenate(stages) for stages in zip(*parts, strict=True)]


def to_uint8(images):
    """Rounds float pictures in 0..255."""
    return np.rint(images).astype("uint8")


def _ranked(levels):
    """The levels with their excess, and which is weakest."""
    for level in levels:
        own = level.get("given_real", level["in_chain"])
        level["excess"] = None
        for key, figure in own.items():
            if key.startswith(("kd_", "kid")):
                level["excess"] = figure["value"] - figure["floor"]
    known = [level for level in levels if level["excess"] is not None]
    weakest = max(known, key=lambda level: level["excess"], default=None)
    return {
        "levels": levels,
        "weakest": None if weakest is None else weakest["level"],
    }
