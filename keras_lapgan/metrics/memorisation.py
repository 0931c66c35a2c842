import itertools
import math

import numpy as np

from keras_lapgan.metrics.checks import check_features
from keras_lapgan.metrics.checks import check_images
from keras_lapgan.metrics.checks import check_int
from keras_lapgan.metrics.distances import blocks


def memorisation(train, generated, heldout, *, flips=False, shift=0):
    """Whether generated images are copies of training images.

    The Euclidean distance of each generated image to the nearest training
    image, against that of held-out real images, which are no copies. Pixels
    count in [0, 1]. A ratio below 1 alone does not prove copies: blurred
    images are near everything. A share far above the held-out images' does.

    Args:
        train: uint8 images `(n, height, width, channels)`, or their float
            features `(n, d)`.
        generated: the same for generated images.
        heldout: the same for real images that are not in `train`.
        flips: bool. Whether mirrored training images are searched too; twice
            the work. Defaults to `False`.
        shift: int. Moves of the training images to search, in pixels to each
            side; see `nearest_neighbours`. Defaults to 0.

    Returns:
        A dict of floats:

        - `"generated"`: median distance of generated to training images.
        - `"heldout"`: the same of held-out images.
        - `"ratio"`: the first over the second.
        - `"share"`: share of generated images nearer to a training image than
          half of `"heldout"`.
        - `"heldout_share"`: the same of held-out images: the false positives.

    Raises:
        ValueError: An argument is of another form, shapes do not fit
            together, or half of the held-out images are in `train`.

    Example:

    ```python
    memorisation(train, model.generate(1000, seed=0), test)["share"]
    ```

    Reference:
    - for a test of significance, Meehan et al., *A non-parametric test to
      detect data-copying in generative models*, 2020
    """
    search = {"flips": flips, "shift": shift}
    near, _ = nearest_neighbours(generated, train, **search)
    real, _ = nearest_neighbours(heldout, train, **search)
    return memorisation_from_distances(near, real)


def memorisation_from_distances(generated, heldout):
    """`memorisation` where distances to the nearest training images are known.

    Args:
        generated: float array `(m,)`. Of generated images.
        heldout: float array `(n,)`. Of held-out real images.

    Returns:
        As `memorisation`.

    Raises:
        ValueError: half of the held-out images are in the training set.
    """
    median = float(np.median(heldout))
    if median == 0:
        raise ValueError(
            "Expected heldout images that are not in train. Received: "
            f"{(heldout == 0).sum()} of {len(heldout)} are equal to one of "
            "train"
        )
    return {
        "generated": float(np.median(generated)),
        "heldout": median,
        "ratio": float(np.median(generated) / median),
        "share": float((generated < median / 2).mean()),
        "heldout_share": float((heldout < median / 2).mean()),
    }


def nearest_neighbours(queries, references, *, flips=False, shift=0):
    """The nearest reference to each query, in pixels or features.

    It is found by a float32 matrix product (float64 for float64 features), and
    its distance is then computed from differences. Of references that differ
    by a few grey levels in all either may be chosen.

    With `shift`, a query's middle, without a margin of `shift` pixels, is
    compared with every window of that size of a reference, moved by up to
    `shift` pixels: 81 windows for 4. The nearest reference in each place is
    chosen by means over 4 x 4 pixels (2 x 2 where the middle's sides are no
    multiples of 4, none where odd), which finds copies surely and others
    nearly always.

    Args:
        queries: uint8 images `(m, height, width, channels)`, or float
            features `(m, d)`.
        references: the same, n of them.
        flips: bool. Whether mirrored references count too. Images only.
            Defaults to `False`.
        shift: int. See above. Images only. Defaults to 0.

    Returns:
        distances: float64 array `(m,)`, for pixels in [0, 1].
        indices: int64 array `(m,)`, of references.

    Raises:
        ValueError: An argument is of another form, shapes do not fit
            together, or `shift` leaves no middle.
    """
    if np.ndim(queries) == 4:
        queries = check_images(queries, "queries")
        references = check_images(references, "references")
        search = _search_pixels
    else:
        queries = check_features(queries, "queries", least=1)
        references = check_features(references, "references", least=1)
        search = _search_features
    if queries.shape[1:] != references.shape[1:]:
        raise ValueError(
            "Expected images, or features, of one size. "
            f"Received: queries.shape={queries.shape}, "
            f"references.shape={references.shape}"
        )
    return search(queries, references, flips, check_int(shift, "shift"))


def _search_features(queries, references, flips, shift):
    if flips or shift:
        raise ValueError(
            "Only images can be flipped and shifted, not features. "
            f"Received: flips={flips}, shift={shift}"
        )
    # Distances come from products, which lose digits far from the origin.
    centre = references.mean(axis=0)
    indices = _nearest(queries - centre, references - centre)
    return _distances(queries, references[indices]), indices


def _search_pixels(queries, references, flips, shift):
    height, width = (side - 2 * shift for side in queries.shape[1:3])
    if min(height, width) < 1:
        raise ValueError(
            "Expected shift to be less than half of the images' sides. "
            f"Received: shift={shift} for images {queries.shape[1:3]}"
        )
    box = math.gcd(4, height, width) if shift else 1
    queries = queries[:, shift : shift + height, shift : shift + width]
    keys = _flat(_box_means(queries, box)[:, ::box, ::box])
    means = _box_means(references, box)
    distances = np.full(len(queries), np.inf)
    indices = np.zeros(len(queries), "int64")
    moves = range(2 * shift + 1)
    for top, left, step in itertools.product(
        moves, moves, (1, -1) if flips else (1,)
    ):
        down = slice(top, top + height)
        across = slice(left, left + width)
        places = means[:, down, across][:, ::box, ::box][:, :, ::step]
        found = _nearest(keys, _flat(places))
        windows = references[found, down, across][:, :, ::step]
        distance = _distances(queries, windows)
        nearer = distance < distances
        distances[nearer] = distance[nearer]
        indices[nearer] = found[nearer]
    return distances / 255, indices


def _nearest(queries, references):
    """For each query the index of the nearest reference."""
    indices = np.empty(len(queries), "int64")
    half_norms = np.einsum("id,id->i", references, references) / 2
    for rows in blocks(len(queries), len(references)):
        nearness = queries[rows] @ references.T
        nearness -= half_norms
        indices[rows] = nearness.argmax(axis=1)
    return indices


def _distances(left, right):
    """Distance of each left to its right, from differences."""
    squared = np.empty(len(left))
    for rows in blocks(len(left), left[0].size):
        difference = _flat(left[rows].astype("float64") - right[rows])
        squared[rows] = np.einsum("id,id->i", difference, difference)
    return np.sqrt(squared)


def _box_means(images, box):
    """Means over `box` x `box` pixels at every place, about -128..128."""
    means = images.astype("float32") - 128
    for axis in (1, 2):
        windows = np.lib.stride_tricks.sliding_window_view(means, box, axis)
        means = windows.mean(axis=-1)
    return means


def _flat(images):
    return images.reshape(len(images), -1)
