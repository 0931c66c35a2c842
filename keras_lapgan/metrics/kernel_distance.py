import numpy as np

from keras_lapgan.metrics.checks import check_feature_pair
from keras_lapgan.metrics.checks import check_int
from keras_lapgan.metrics.distances import blocks


def kernel_distance(
    real_features,
    generated_features,
    *,
    subsets=100,
    subset_size=1000,
    seed=0,
):
    """Kernel distance between two sets of features, over random subsets.

    The mean of `polynomial_mmd` of pairs of subsets. It is called KID for the
    features of the Inception network of 2015-12-05 and for no others. The
    estimate is unbiased: whatever n is, it is about 0, also below it, between
    sets from one source.

    Args:
        real_features: float array `(n, d)`.
        generated_features: float array `(m, d)`.
        subsets: int. How many pairs of subsets. Defaults to 100.
        subset_size: int. Images of a subset, none of them twice, at least 2
            and at most n and m. Defaults to 1000.
        seed: int. What the subsets are drawn from. Defaults to 0.

    Returns:
        A dict of floats: `"mean"`, and `"std"` over the subsets.

    Raises:
        ValueError: An argument is of another form, or `subset_size` is larger
            than a set.

    Example:

    ```python
    kernel_distance(real_features, generated_features)["mean"] * 1e3
    ```

    Reference:
    - [Binkowski et al., 2018](https://arxiv.org/abs/1801.01401)
    """
    real, generated = check_feature_pair(real_features, generated_features)
    subsets = check_int(subsets, "subsets", 1)
    size = check_int(subset_size, "subset_size", 2)
    if size > min(len(real), len(generated)):
        raise ValueError(
            "Expected subset_size to be at most the size of either set. Give "
            "a smaller one (figures of other sizes have the same mean, and "
            f"vary more). Received: subset_size={size}, "
            f"len(real_features)={len(real)}, "
            f"len(generated_features)={len(generated)}"
        )
    rng = np.random.default_rng(check_int(seed, "seed"))
    values = [
        polynomial_mmd(
            real[rng.choice(len(real), size, replace=False)],
            generated[rng.choice(len(generated), size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return {"mean": float(np.mean(values)), "std": float(np.std(values))}


def polynomial_mmd(real_features, generated_features):
    """Unbiased squared maximum mean discrepancy, polynomial kernel.

    The kernel is `(x y / d + 1)^3`, its diagonals left out. Products are in
    the features' precision, sums in float64: with float32 features the result
    is off by about 1e-7 times the mean kernel.

    Args:
        real_features: float array `(n, d)`, n at least 2.
        generated_features: float array `(m, d)`, m at least 2.

    Returns:
        A float; it may be below 0.

    Raises:
        ValueError: An argument is of another form, has NaN or infinite
            values or less than 2 rows, or the two differ in d.
    """
    real, generated = check_feature_pair(real_features, generated_features)
    n, m = len(real), len(generated)
    within_real = (_kernel_sum(real, real) - _diagonal(real)) / (n * (n - 1))
    within = _kernel_sum(generated, generated) - _diagonal(generated)
    across = _kernel_sum(real, generated) / (n * m)
    return float(within_real + within / (m * (m - 1)) - 2 * across)


def _kernel_sum(x, y):
    total = 0.0
    for rows in blocks(len(x), len(y)):
        total += _kernel(x[rows] @ y.T, x.shape[1])
    return total


def _diagonal(x):
    return _kernel(np.einsum("id,id->i", x, x), x.shape[1])


def _kernel(products, d):
    """Sum of the kernel over inner products, which are overwritten."""
    products /= d
    products += 1
    # numpy's third power takes ten times as long as two products.
    cubes = products * products
    cubes *= products
    return cubes.sum(dtype="float64")
