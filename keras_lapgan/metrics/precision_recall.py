import numpy as np

from keras_lapgan.metrics.checks import check_feature_pair
from keras_lapgan.metrics.checks import check_int
from keras_lapgan.metrics.distances import blocks
from keras_lapgan.metrics.distances import rounding
from keras_lapgan.metrics.distances import squared_distances


def precision_recall(real_features, generated_features, *, nearest=5):
    """Precision, recall, density and coverage of generated images.

    Each image has a ball that reaches to the k-th nearest other image of its
    set. In float32 for float32 features: an image at the very rim of a ball
    may fall to the other side, which changes the third decimal.
    Equal images are at distance exactly 0, and a ball of radius 0 holds
    nothing.

    Args:
        real_features: float array `(n, d)`, n above `nearest`.
        generated_features: float array `(m, d)`, m above `nearest`.
        nearest: int. The k above. Defaults to 5.

    Returns:
        A dict of floats:

        - `"precision"`: share of generated images inside a real one's ball.
        - `"recall"`: share of real images inside a generated one's ball.
        - `"density"`: in how many real balls a generated image is, over k.
          It may exceed 1.
        - `"coverage"`: share of real balls that hold a generated image.

    Raises:
        ValueError: An argument is of another form, has NaN or infinite
            values or too few rows, or the two differ in d.

    Example:

    ```python
    precision_recall(real_features, generated_features)["coverage"]
    ```

    Reference:
    - [Kynkaanniemi et al., 2019](https://arxiv.org/abs/1904.06991)
    - [Naeem et al., 2020](https://arxiv.org/abs/2002.09797)
    """
    nearest = check_int(nearest, "nearest", 1)
    real, generated = check_feature_pair(
        real_features, generated_features, least=nearest + 1
    )
    dtype = np.result_type(real, generated)
    # Distances come from products, which lose digits far from the origin.
    centre = real.mean(axis=0, dtype="float64").astype(dtype)
    real, generated = real - centre, generated - centre
    real_radii = _squared_radii(real, nearest)
    generated_radii = _squared_radii(generated, nearest)
    balls = np.zeros(len(generated), "int64")
    inside = covered = 0
    for rows in blocks(len(real), len(generated)):
        squared = squared_distances(real[rows], generated)
        radii = real_radii[rows]
        balls += (squared < radii[:, None]).sum(axis=0)
        covered += (squared.min(axis=1) < radii).sum()
        inside += (squared < generated_radii).any(axis=1).sum()
    return {
        "precision": float((balls > 0).mean()),
        "recall": float(inside / len(real)),
        "density": float(balls.mean() / nearest),
        "coverage": float(covered / len(real)),
    }


def _squared_radii(features, nearest):
    radii = np.empty(len(features), features.dtype)
    for rows in blocks(len(features), len(features)):
        squared = squared_distances(features[rows], features)
        # An image is its own nearest: the k-th other is at index k.
        squared.partition(nearest, axis=1)
        radii[rows] = squared[:, nearest]
    # What lies on a rim, as copies of the picture there do, is outside however
    # its distance was rounded. No norm in the ball is above this one.
    norms = np.einsum("id,id->i", features, features)
    farthest = (np.sqrt(norms) + np.sqrt(radii)) ** 2
    return np.maximum(radii - rounding(features) * (norms + farthest), 0)
