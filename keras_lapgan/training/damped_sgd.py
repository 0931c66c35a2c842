import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_lapgan")
class DampedSGD(keras.optimizers.Optimizer):
    """Gradient descent with Torch's damped momentum, a ramp and a decay.

    The paper's optimiser. Step `t` (from 0), in epoch `e`:

        m = min(momentum + momentum_ramp * e, max_momentum)
        v = g                    if t == 0
        v = m * v + (1 - m) * g  otherwise
        x = x - lr * v,  lr = max(learning_rate / (1 + decay)**e, 1e-6)

    `keras.optimizers.SGD` has no damping, so its steps are `1 / (1 - m)` times
    larger at the same learning rate, and it cannot ramp its momentum.

    Args:
        learning_rate: float, or `keras.optimizers.schedules` object. Before
            the decay. Defaults to 0.02.
        momentum: float in [0, 1). In the first epoch. Defaults to 0.5.
        momentum_ramp: float. Added each epoch. Defaults to 0.0008.
        max_momentum: float in [0, 1). Where the ramp ends. Defaults to 0.8.
        decay: float. The learning rate is divided by `1 + decay` each epoch.
            Defaults to 4e-5.
        steps_per_epoch: int. Length of the epoch that ramp and decay count
            in. Defaults to 352 (45,000 pictures in batches of 128).
        name: str. Defaults to `"damped_sgd"`.
        **kwargs: `clipnorm`, `weight_decay` and the other arguments of
            `keras.optimizers.Optimizer`.

    Example:

    ```python
    model.compile(d_optimizer=DampedSGD(0.02), g_optimizer=DampedSGD(0.02))
    ```

    Reference:
        - Denton et al., 2015, section 3.2, and the code released with it.
        - Torch's `optim.sgd` with its default `dampening = momentum`.
    """

    MIN_LEARNING_RATE = 1e-6

    def __init__(
        self,
        learning_rate=0.02,
        momentum=0.5,
        momentum_ramp=0.0008,
        max_momentum=0.8,
        decay=4e-5,
        steps_per_epoch=352,
        name="damped_sgd",
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        for key, value in (
            ("momentum", momentum),
            ("max_momentum", max_momentum),
        ):
            if not 0 <= value < 1:
                raise ValueError(
                    f"`{key}` must be in [0, 1). Received: {key}={value}"
                )
        if steps_per_epoch < 1:
            raise ValueError(
                "`steps_per_epoch` must be at least 1. "
                f"Received: steps_per_epoch={steps_per_epoch}"
            )
        self.momentum = momentum
        self.momentum_ramp = momentum_ramp
        self.max_momentum = max_momentum
        self.decay = decay
        self.steps_per_epoch = steps_per_epoch

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        velocity = self._velocities[index]
        gradient = ops.cast(gradient, variable.dtype)
        epoch = ops.cast(self.iterations // self.steps_per_epoch, "float32")
        m = ops.minimum(
            self.momentum + self.momentum_ramp * epoch,
            max(self.momentum, self.max_momentum),
        )
        m = ops.where(ops.equal(self.iterations, 0), 0.0, m)
        lr = ops.cast(learning_rate, "float32")
        # The floor is the decay's: a rate set below it, 0 say, stays.
        floor = ops.minimum(lr, self.MIN_LEARNING_RATE)
        lr = ops.maximum(lr * ops.exp(-epoch * math.log1p(self.decay)), floor)
        m = ops.cast(m, variable.dtype)
        self.assign(velocity, m * velocity + (1 - m) * gradient)
        self.assign_sub(variable, ops.cast(lr, variable.dtype) * velocity)

    def get_config(self):
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "momentum_ramp": self.momentum_ramp,
            "max_momentum": self.max_momentum,
            "decay": self.decay,
            "steps_per_epoch": self.steps_per_epoch,
        }
