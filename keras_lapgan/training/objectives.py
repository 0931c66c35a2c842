from typing import NamedTuple

from keras import ops


class Objective(NamedTuple):
    """A pair of losses on a discriminator's logits.

    Attributes:
        discriminator: function of `(real, fake)` logits to a scalar.
        generator: function of `(real, fake)` logits to a scalar. Of the real
            ones only if `paired`, else they may be None.
        threshold: float. A logit above it says "real". Of no meaning if
            `paired`.
        paired: bool. Each real picture is held against a generated one, and
            only the difference of their logits counts.
    """

    discriminator: callable
    generator: callable
    threshold: float = 0.0
    paired: bool = False

    def accuracy(self, real, fake):
        """Share of pictures, or of pairs, that the logits tell apart."""
        if self.paired:
            return ops.mean(ops.cast(real > fake, "float32"))
        return (
            ops.mean(ops.cast(real > self.threshold, "float32"))
            + ops.mean(ops.cast(fake <= self.threshold, "float32"))
        ) / 2.0


def _cross_entropy(real, fake):
    # One mean over as many real as generated pictures.
    return (ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))) / 2.0


OBJECTIVES = {
    # Equations (1) and (2) of Denton et al., 2015, with the generator's
    # gradient as used in practice: maximise log D(G(z)).
    "non_saturating": Objective(
        _cross_entropy, lambda real, fake: ops.mean(ops.softplus(-fake))
    ),
    # The same equations to the letter: minimise log(1 - D(G(z))).
    "minimax": Objective(
        _cross_entropy, lambda real, fake: -ops.mean(ops.softplus(fake))
    ),
    # Mao et al., 2017, with labels 1, 0 and 1.
    "least_squares": Objective(
        lambda real, fake: (
            (ops.mean(ops.square(real - 1.0)) + ops.mean(ops.square(fake)))
            / 2.0
        ),
        lambda real, fake: ops.mean(ops.square(fake - 1.0)) / 2.0,
        threshold=0.5,
    ),
    # Lim & Ye, 2017.
    "hinge": Objective(
        lambda real, fake: (
            ops.mean(ops.relu(1.0 - real)) + ops.mean(ops.relu(1.0 + fake))
        ),
        lambda real, fake: -ops.mean(fake),
    ),
    # Jolicoeur-Martineau, 2019, in pairs; see `gradient_penalty`.
    "relativistic": Objective(
        lambda real, fake: ops.mean(ops.softplus(fake - real)),
        lambda real, fake: ops.mean(ops.softplus(real - fake)),
        paired=True,
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
