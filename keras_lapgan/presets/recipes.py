"""Recipes: arguments of `LAPGAN.compile`, serialised."""

from keras_lapgan.presets.serialized import keras_object


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


def quick_recipe(num_levels, steps_per_epoch):
    """For an hour or two on a small machine, by what short runs showed.

    At equal steps on CIFAR-10, Adam with a discriminator faster than its
    generator brings the convolutional levels closer to real bands than damped
    SGD; the dense level learns fastest with the paper's damped SGD at ten
    times its rate.

    Args:
        num_levels: int. The coarsest is dense.
        steps_per_epoch: int.
    """

    def one_a_level(adam_rate):
        adam = {
            "module": "keras.optimizers",
            "class_name": "Adam",
            "config": {"learning_rate": adam_rate, "beta_1": 0.5},
            "registered_name": None,
        }
        dense = keras_object(
            "training",
            "DampedSGD",
            learning_rate=0.2,
            steps_per_epoch=steps_per_epoch,
        )
        return [adam] * (num_levels - 1) + [dense]

    return {
        "d_optimizer": one_a_level(5e-4),
        "g_optimizer": one_a_level(2e-4),
        "objective": "non_saturating",
        "ema_decay": 0.999,
    }
