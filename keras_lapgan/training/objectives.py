from typing import NamedTuple

from keras import ops


class Objective(NamedTuple):
    """A pair of losses on a discriminator's logits.

    Attributes:
        discriminator: function of `(real, fake)` logits to a scalar.
        generator: function of the `fake` logits to a scalar.
        threshold: float. A logit above it says "real".
    """

    discriminator: callable
    generator: callable
    threshold: float = 0.0


def _cross_entropy(real, fake):
    # One mean over as many real as generated pictures.
    return (ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))) / 2.0


OBJECTIVES = {
    # Equations (1) and (2) of Denton et al., 2015, with the generator's
    # gradient as used in practice: maximise log D(G(z)).
    "non_saturating": Objective(
        _cross_entropy, lambda fake: ops.mean(ops.softplus(-fake))
    ),
    # The same equations to the letter: minimise log(1 - D(G(z))).
    "minimax": Objective(
        _cross_entropy, lambda fake: -ops.mean(ops.softplus(fake))
    ),
    # Mao et al., 2017, with labels 1, 0 and 1.
    "least_squares": Objective(
        lambda real, fake: (
            (ops.mean(ops.square(real - 1.0)) + ops.mean(ops.square(fake)))
            / 2.0
        ),
        lambda fake: ops.mean(ops.square(fake - 1.0)) / 2.0,
        threshold=0.5,
    ),
    # Lim & Ye, 2017.
    "hinge": Objective(
        lambda real, fake: (
            ops.mean(ops.relu(1.0 - real)) + ops.mean(ops.relu(1.0 + fake))
        ),
        lambda fake: -ops.mean(fake),
    ),
}


def get_objective(name):
    """Returns the `Objective` called `name`."""
    if not isinstance(name, str) or name not in OBJECTIVES:
        raise ValueError(
            f"`objective` must be one of {', '.join(map(repr, OBJECTIVES))}. "
            f"Received: objective={name!r}"
        )
    return OBJECTIVES[name]
