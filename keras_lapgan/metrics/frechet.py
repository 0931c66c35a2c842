import contextlib

import numpy as np

from keras_lapgan.metrics.checks import check_feature_pair
from keras_lapgan.metrics.checks import check_features
from keras_lapgan.metrics.checks import check_floats
from keras_lapgan.metrics.distances import blocks


def frechet_distance(real_features, generated_features):
    """Frechet distance between two sets of features, taken as Gaussians.

    `|m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2)`

    with the unbiased covariances. It is called FID for the features of the
    Inception network of 2015-12-05 and for no others. The trace of the root is
    the nuclear norm of `A1 A2^T`, where `C = A^T A`; with fewer images than
    features `A` is the centred features themselves, so that case is exact, and
    quick. All is float64. The distance of finite sets is biased upwards: print
    the floor, real against other real images, at the same n.

    Args:
        real_features: float array `(n, d)`, n at least 2.
        generated_features: float array `(m, d)`, m at least 2.

    Returns:
        A float, at least 0.

    Raises:
        ValueError: An argument is of another form, has NaN or infinite
            values or less than 2 rows, or the two differ in d.

    Example:

    ```python
    frechet_distance(real_features, generated_features)
    ```

    Reference:
    - [Heusel et al., 2017](https://arxiv.org/abs/1706.08500)
    """
    real, generated = check_feature_pair(real_features, generated_features)
    real_mean, real_root = _mean_and_root(real)
    mean, root = _mean_and_root(generated)
    return _distance(real_mean, real_root, mean, root)


def frechet_statistics(features):
    """Mean and covariance of features, to keep in place of them.

    Args:
        features: float array `(n, d)`, n at least 2.

    Returns:
        Float64 arrays `(d,)` and `(d, d)`; the covariance is unbiased.

    Raises:
        ValueError: They are of another form, have NaN or infinite values, or
            are less than 2.
    """
    return _statistics(check_features(features, "features"))


def frechet_distance_from_statistics(
    real_mean, real_covariance, generated_mean, generated_covariance
):
    """`frechet_distance` of sets of which mean and covariance are known.

    Args:
        real_mean: float array `(d,)`.
        real_covariance: float array `(d, d)`.
        generated_mean: float array `(d,)`.
        generated_covariance: float array `(d, d)`.

    Returns:
        A float, at least 0.

    Raises:
        ValueError: Shapes do not fit together, values are not finite, or a
            matrix is not symmetric and positive semi-definite.
    """
    means, roots = [], []
    for side, mean, covariance in (
        ("real", real_mean, real_covariance),
        ("generated", generated_mean, generated_covariance),
    ):
        mean = check_floats(mean, f"{side}_mean").astype("float64")
        name = f"{side}_covariance"
        covariance = check_floats(covariance, name).astype("float64")
        d = np.size(real_mean)
        if mean.shape != (d,) or covariance.shape != (d, d):
            raise ValueError(
                "Expected means (d,) and covariances (d, d) of one d. "
                f"Received: {side}_mean.shape={mean.shape}, "
                f"{name}.shape={covariance.shape}"
            )
        means.append(mean)
        roots.append(_root(covariance, name))
    return _distance(means[0], roots[0], means[1], roots[1])


def _distance(mean1, root1, mean2, root2):
    traces = np.vdot(root1, root1) + np.vdot(root2, root2)
    cross = np.linalg.svd(root1 @ root2.T, compute_uv=False).sum()
    distance = np.sum((mean1 - mean2) ** 2) + traces - 2 * cross
    return max(float(distance), 0.0)


def _mean_and_root(features):
    count, d = features.shape
    if count > d:
        mean, covariance = _statistics(features)
        return mean, _root(covariance, "covariance")
    mean = features.mean(axis=0, dtype="float64")
    return mean, (features - mean) / np.sqrt(count - 1)


def _statistics(features):
    count, d = features.shape
    mean = features.mean(axis=0, dtype="float64")
    covariance = np.zeros((d, d))
    for rows in blocks(count, d):
        centred = features[rows] - mean
        covariance += centred.T @ centred
    return mean, covariance / (count - 1)


def _root(covariance, name):
    """A matrix `A` such that `A^T A` is the covariance."""
    largest = np.abs(covariance).max()
    symmetric = np.allclose(covariance, covariance.T, atol=1e-6 * largest)
    if symmetric:
        # Five times as quick, where no direction is without variance.
        with contextlib.suppress(np.linalg.LinAlgError):
            return np.linalg.cholesky(covariance).T
    values, vectors = np.linalg.eigh(covariance)
    if not symmetric or values.min() < -1e-6 * np.abs(values).max():
        raise ValueError(
            f"Expected {name} to be symmetric and positive semi-definite. "
            f"Received: eigenvalues from {values.min():.3g} to "
            f"{values.max():.3g}"
        )
    return np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
