import numpy as np
import pytest
from keras import ops

from keras_lapgan.training.objectives import OBJECTIVES
from keras_lapgan.training.objectives import get_objective

REAL = np.array([[1.5], [-0.25], [3.0]], "float32")
FAKE = np.array([[-2.0], [0.5], [0.1]], "float32")


def losses(name, real=REAL, fake=FAKE):
    objective = get_objective(name)
    return (
        float(objective.discriminator(ops.array(real), ops.array(fake))),
        float(objective.generator(ops.array(real), ops.array(fake))),
    )


def log_sigmoid(x):
    return -np.log1p(np.exp(-x.astype("float64")))


def test_equations_1_and_2():
    d, g = losses("minimax")
    # log(1 - sigmoid(x)) = log sigmoid(-x)
    value = log_sigmoid(REAL).mean() + log_sigmoid(-FAKE).mean()
    assert d == pytest.approx(-value / 2, rel=1e-6)
    assert g == pytest.approx(log_sigmoid(-FAKE).mean(), rel=1e-6)


def test_non_saturating():
    d, g = losses("non_saturating")
    assert d == losses("minimax")[0]
    assert g == pytest.approx(-log_sigmoid(FAKE).mean(), rel=1e-6)


def test_least_squares():
    d, g = losses("least_squares")
    expected = (((REAL - 1) ** 2).mean() + (FAKE**2).mean()) / 2
    assert d == pytest.approx(expected, rel=1e-6)
    assert g == pytest.approx(((FAKE - 1) ** 2).mean() / 2, rel=1e-6)
    assert get_objective("least_squares").threshold == 0.5


def test_hinge():
    d, g = losses("hinge")
    expected = np.maximum(1 - REAL, 0).mean() + np.maximum(1 + FAKE, 0).mean()
    assert d == pytest.approx(expected, rel=1e-6)
    assert g == pytest.approx(-FAKE.mean(), rel=1e-6)


def test_relativistic_pairs():
    d, g = losses("relativistic")
    gaps = REAL - FAKE
    assert d == pytest.approx(-log_sigmoid(gaps).mean(), rel=1e-6)
    assert g == pytest.approx(-log_sigmoid(-gaps).mean(), rel=1e-6)


def test_accuracy():
    def accuracy(name):
        return float(get_objective(name).accuracy(REAL, FAKE))

    # 2 of 3 real and 1 of 3 generated; 2 of 3 pairs.
    assert accuracy("hinge") == pytest.approx(3 / 6)
    assert accuracy("relativistic") == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_who_wins(name):
    good, bad = np.full((4, 1), 3.0), np.full((4, 1), -3.0)
    assert losses(name, good, bad)[0] < losses(name, bad, good)[0]
    assert losses(name, bad, good)[1] < losses(name, bad, bad)[1]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_huge_logits(name):
    huge = np.array([[1e4], [-1e4]], "float32")
    assert np.isfinite(losses(name, huge, huge)).all()


def test_unsure_discriminator_starts_at_log_2():
    zero = np.zeros((4, 1), "float32")
    assert losses("non_saturating", zero, zero) == pytest.approx(
        (np.log(2), np.log(2))
    )


def test_unknown_name():
    with pytest.raises(ValueError, match="'hinge'.*Received: objective='l1'"):
        get_objective("l1")
