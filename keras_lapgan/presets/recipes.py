"""Recipes: arguments of `LAPGAN.compile`, serialised."""

from keras_lapgan.presets.serialized import keras_object


def _adam(learning_rate):
    """Adam without momentum."""
    return {
        "module": "keras.optimizers",
        "class_name": "Adam",
        "config": {
            "learning_rate": learning_rate,
            "beta_1": 0.0,
            "beta_2": 0.99,
        },
        "registered_name": None,
    }


def paper_recipe(learning_rate, steps_per_epoch):
    """The paper's: damped SGD for all networks, its decay and ramp.

    Args:
        learning_rate: float. 0.02 in the paper, 0.01 for LSUN in the release.
        steps_per_epoch: int. What decay and ramp count in.
    """
    optimizer = {
        "learning_rate": learning_rate,
        "steps_per_epoch": steps_per_epoch,
    }
    return {
        "d_optimizer": keras_object("training", "DampedSGD", **optimizer),
        "g_optimizer": keras_object("training", "DampedSGD", **optimizer),
        "objective": "non_saturating",
        "ema_decay": 0.999,
    }


def quick_recipe(num_levels):
    """For an hour or two on a small machine, by what short runs showed.

    Relativistic pairs with R1 and R2 (Huang et al., 2024) and Adam without
    momentum, a discriminator faster than its generator: the dense level comes
    as close to real pictures in a tenth of the steps that damped SGD takes, a
    convolutional one to real bands in half of those of Adam alone. The penalty
    stands in for dropout: networks without it belong to this recipe. The
    average of the weights is long, and of the last tenth of the steps until it
    is; the dense level, which trains long, gains by it.

    Args:
        num_levels: int. The coarsest is dense.
    """
    finer = num_levels - 1
    return {
        "d_optimizer": [_adam(6e-4)] * finer + [_adam(8e-4)],
        "g_optimizer": [_adam(2e-4)] * finer + [_adam(1e-4)],
        "objective": "relativistic",
        "gradient_penalty": [0.02] * finer + [0.03],
        "ema_decay": 0.9999,
    }


def residual_recipe():
    """For residual networks: as `quick_recipe`, with one pace for all levels.

    They come in a tenth of the pictures where the dense level gets to, so the
    average is shorter.
    """
    return {
        "d_optimizer": _adam(4e-4),
        "g_optimizer": _adam(2e-4),
        "objective": "relativistic",
        "gradient_penalty": 0.02,
        "ema_decay": 0.9995,
    }
