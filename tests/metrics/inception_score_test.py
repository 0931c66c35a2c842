import numpy as np
import pytest

from keras_lapgan.metrics import inception_score


def logits(count, classes=10, seed=0):
    return np.random.default_rng(seed).normal(0, 3, (count, classes))


def softmax(x):
    x = np.exp(x - x.max(axis=1, keepdims=True))
    return x / x.sum(axis=1, keepdims=True)


def test_closed_forms():
    one_hot = np.eye(8)
    # As many classes as images: sure and varied.
    assert inception_score(one_hot, splits=1)["mean"] == pytest.approx(8)
    assert inception_score(one_hot, splits=4) == pytest.approx(
        {"mean": 2, "std": 0}
    )
    same = one_hot[[3] * 5]
    assert inception_score(same, splits=5) == {"mean": 1, "std": 0}
    unsure = np.full((7, 8), 1 / 8)
    assert inception_score(unsure, splits=1)["mean"] == pytest.approx(1)


def test_definition_and_splits():
    p = softmax(logits(50))
    scores = []
    for part in np.split(p, 5):
        marginal = part.mean(axis=0)
        divergence = (part * np.log(part / marginal)).sum(axis=1)
        scores.append(np.exp(divergence.mean()))
    expected = {"mean": np.mean(scores), "std": np.std(scores)}
    assert inception_score(p, splits=5) == pytest.approx(expected)
    assert inception_score(
        logits(50) + 1000, from_logits=True, splits=5
    ) == pytest.approx(expected)


# torchmetrics warns of its memory, and of the deviation of one split.
@pytest.mark.filterwarnings("ignore")
def test_torchmetrics():
    reason = "torchmetrics, with which to compare, is not installed"
    torch = pytest.importorskip("torch", reason=reason)
    module = pytest.importorskip("torchmetrics.image.inception", reason=reason)

    x = logits(60)

    class Logits(torch.nn.Module):
        def forward(self, images):
            return torch.from_numpy(x)[images[:, 0, 0, 0].long()]

    score = module.InceptionScore(feature=Logits(), splits=1)
    numbers = torch.arange(60, dtype=torch.uint8)
    score.update(numbers[:, None, None, None].expand(-1, 3, 8, 8))
    mean, _ = score.compute()
    assert inception_score(x, from_logits=True, splits=1)[
        "mean"
    ] == pytest.approx(float(mean), rel=1e-5)


def test_order():
    sorted_by_class = np.eye(5).repeat(20, axis=0)
    assert inception_score(sorted_by_class, splits=5)["mean"] == 1
    shuffled = inception_score(sorted_by_class, splits=5, seed=0)
    assert 4 < shuffled["mean"] < 5
    assert shuffled == inception_score(sorted_by_class, splits=5, seed=0)


def test_what_is_refused():
    with pytest.raises(ValueError, match="splits=10, 7 images"):
        inception_score(softmax(logits(7)))
    for bad in (logits(10), 2 * softmax(logits(10))):
        with pytest.raises(ValueError, match="from_logits=True"):
            inception_score(bad)
    assert inception_score(softmax(logits(1)), splits=1)["mean"] == 1
