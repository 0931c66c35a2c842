import numpy as np

from keras_lapgan.metrics.checks import check_features
from keras_lapgan.metrics.checks import check_int


def inception_score(predictions, *, from_logits=False, splits=10, seed=None):
    """Inception score: how sure and how varied a classifier's answers are.

    `exp(mean KL(p(y | x), p(y)))` of each of a number of equal parts of the
    images. Only figures of one classifier can be compared; published ones
    are the Inception network's of 2015-12-05, 10 splits of 50,000 images.

    Args:
        predictions: float array `(n, classes)`, a row an image.
        from_logits: bool. Whether rows are logits. Otherwise they are
            probabilities that sum to 1. Defaults to `False`.
        splits: int. How many parts, at most n. Defaults to 10.
        seed: int, or None. What the images' order is drawn from; None leaves
            them as they are. Shuffle what is sorted by class. Defaults to
            `None`.

    Returns:
        A dict of floats: `"mean"`, and `"std"` over the parts.

    Raises:
        ValueError: An argument is of another form, rows are no probabilities,
            or there are more parts than images.

    Example:

    ```python
    inception_score(classifier.predict(images), from_logits=True)["mean"]
    ```

    Reference:
    - [Salimans et al., 2016](https://arxiv.org/abs/1606.03498)
    """
    predictions = check_features(predictions, "predictions", least=1)
    predictions = predictions.astype("float64")
    splits = check_int(splits, "splits", 1)
    count = len(predictions)
    if splits > count:
        raise ValueError(
            "Expected as many images as splits at least. "
            f"Received: splits={splits}, {count} images"
        )
    if from_logits:
        predictions -= predictions.max(axis=1, keepdims=True)
        np.exp(predictions, out=predictions)
        predictions /= predictions.sum(axis=1, keepdims=True)
    elif predictions.min() < 0 or (
        np.abs(predictions.sum(axis=1) - 1).max() > 1e-3
    ):
        raise ValueError(
            "Expected rows of probabilities. Logits want from_logits=True. "
            f"Received: values from {predictions.min():.3g}, rows whose sum is "
            f"up to {predictions.sum(axis=1).max():.3g}"
        )
    if seed is not None:
        rng = np.random.default_rng(check_int(seed, "seed"))
        predictions = predictions[rng.permutation(count)]
    scores = [_score(part) for part in np.array_split(predictions, splits)]
    return {"mean": float(np.mean(scores)), "std": float(np.std(scores))}


def _score(p):
    # The mean divergence is the entropy of the mean less the mean entropy.
    return np.exp(_entropy(p.mean(axis=0)) - _entropy(p) / len(p))


def _entropy(p):
    return -np.sum(p * np.log(np.where(p > 0, p, 1)))
