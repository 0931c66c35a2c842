import numpy as np

from keras_lapgan.metrics.checks import check_features

#: Share of the mean variance that is added to each direction's, so that
#: there may be fewer images than features.
_SHRINKAGE = 0.1


def class_agreement(real_features, real_labels, features, labels):
    """How often a classifier of real images finds the class asked for.

    The classifier is linear discriminant analysis of the real images'
    features, its covariance shrunk by a tenth of its mean variance. The share
    for other real images says how far it can be trusted, 1 / classes is
    chance.

    Args:
        real_features: float array `(n, d)`, to train it on.
        real_labels: int array `(n,)`.
        features: float array `(m, d)`, of generated images.
        labels: int array `(m,)`. The classes asked for.

    Returns:
        The share of images whose class is found, a float in [0, 1].

    Raises:
        ValueError: An argument is of another form.

    Example:

    ```python
    class_agreement(real, real_labels, generated, labels)
    ```
    """
    real = check_features(real_features, "real_features").astype("float64")
    other = check_features(features, "features", least=1).astype("float64")
    if real.shape[1] != other.shape[1]:
        raise ValueError(
            "Expected as many features of both. Received: "
            f"real_features.shape={real.shape}, features.shape={other.shape}"
        )
    real_labels = _checked_labels(real_labels, real, "real_labels")
    labels = _checked_labels(labels, other, "labels")
    classes, which, counts = np.unique(
        real_labels, return_inverse=True, return_counts=True
    )
    means = np.zeros((len(classes), real.shape[1]))
    np.add.at(means, which, real)
    means /= counts[:, None]
    within = real - means[which]
    covariance = within.T @ within / len(real)
    # Features that never vary tell nothing, and must not divide by zero.
    scale = max(np.trace(covariance) / len(covariance), 1e-12)
    covariance[np.diag_indices_from(covariance)] += _SHRINKAGE * scale
    weights = np.linalg.solve(covariance, means.T)
    offsets = np.log(counts / len(real)) - (means.T * weights).sum(axis=0) / 2
    found = classes[np.argmax(other @ weights + offsets, axis=1)]
    return float(np.mean(found == labels))


def _checked_labels(labels, features, name):
    labels = np.asarray(labels)
    if labels.shape != (len(features),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"Expected {name} to be an int for each of {len(features)} images. "
            f"Received: {name}.shape={labels.shape}, dtype={labels.dtype}"
        )
    return labels
