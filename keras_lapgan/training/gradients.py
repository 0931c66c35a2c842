"""The only backend code of training: gradients and the step's signature.

Everything above is written once, in `keras.ops`, as a step that assigns to
variables. TensorFlow and torch run such a step as it is; on JAX, where a step
is a function from state to state, the decorators below run it in a
`keras.StatelessScope`.
"""

import keras

from keras_lapgan.training import replicas


def value_and_gradients(function, variables, state=()):
    """Calls `function` and differentiates its loss.

    Args:
        function: callable without arguments that returns `(loss, aux)`: a
            scalar tensor and any nest of tensors.
        variables: list of `keras.Variable`. Differentiate with respect to
            these.
        state: list of `keras.Variable`. All other variables that `function`
            reads or assigns to. Only JAX uses it.

    Returns:
        `(loss, aux, gradients)`, one gradient a variable.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in variables])
            loss, aux = function()
            share = replicas.share_of_loss(loss)
        gradients = tape.gradient(share, [v.value for v in variables])
        return loss, aux, replicas.summed(gradients)

    if backend == "torch":
        import torch

        loss, aux = function()
        values = [v.value for v in variables]
        # Torch refuses what the others take: nothing to learn (a frozen
        # network), and weights that the loss does not use.
        gradients = (
            torch.autograd.grad(loss, values, allow_unused=True)
            if values
            else []
        )
        return loss, aux, list(gradients)

    import jax

    outer = [(v, v.value) for v in state]

    def pure(values):
        mapping = outer + list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            loss, aux = function()
        return loss, (aux, [scope.get_current_value(v) for v in state])

    values = [v.value for v in variables]
    (loss, (aux, new)), gradients = jax.value_and_grad(pure, has_aux=True)(
        values
    )
    for variable, value in zip(state, new, strict=True):
        variable.assign(value)
    return loss, aux, gradients


def value_and_slope(function, x, variables):
    """Calls `function` and differentiates the sum of its values.

    What comes out can be differentiated again, by `value_and_gradients` around
    it.

    Args:
        function: callable from a tensor to a tensor.
        x: tensor. Differentiate with respect to it.
        variables: list of `keras.Variable`. All that `function` reads or
            assigns to. Only JAX uses it.

    Returns:
        `(values, slope)`; the slope has the shape of `x`.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            values = function(x)
            total = tf.reduce_sum(values)
        return values, tape.gradient(total, x)

    if backend == "torch":
        import torch

        # What torch.compile makes of it cannot be differentiated twice.
        @torch.compiler.disable
        def twice_differentiable(x):
            x = x.detach().requires_grad_()
            values = function(x)
            (slope,) = torch.autograd.grad(values.sum(), x, create_graph=True)
            return values, slope

        return twice_differentiable(x)

    import jax
    from keras import ops

    mapping = [(v, v.value) for v in variables]
    state = [v for v in variables if not v.trainable]

    def pure(x):
        with keras.StatelessScope(state_mapping=mapping) as scope:
            values = function(x)
        new = [scope.get_current_value(v) for v in state]
        return ops.sum(values), (values, new)

    (_, (values, new)), slope = jax.value_and_grad(pure, has_aux=True)(x)
    for variable, value in zip(state, new, strict=True):
        variable.assign(value)
    return values, slope


def apply_gradients(optimizer, gradients, variables):
    """Makes one step of `optimizer`, on every backend."""
    if keras.backend.backend() == "torch":
        import torch

        with torch.no_grad():
            optimizer.apply(gradients, variables)
    else:
        replicas.takes_summed(optimizer)
        optimizer.apply(gradients, variables)


def stateful_steps(cls):
    """Class decorator: makes Keras' steps from `_train` and `_test`.

    `cls._train(data)` and `cls._test(data)` assign to variables and return
    logs. The decorated class has `train_step` and `test_step` with the
    signatures that Keras' trainer of the current backend calls.
    """
    if keras.backend.backend() == "jax":

        def train_step(self, state, data):
            groups = (
                self.trainable_variables,
                self.non_trainable_variables,
                self.optimizer.variables,
                self.metrics_variables,
            )
            return _stateless(self._train, groups, state, data)

        def test_step(self, state, data):
            groups = (
                self.trainable_variables,
                self.non_trainable_variables,
                self.metrics_variables,
            )
            return _stateless(self._test, groups, state, data)

    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def after(data):
            # The end of a data set of unknown length shows within a step,
            # which must not have counted itself by then.
            return tf.control_dependencies(
                [x for x in tf.nest.flatten(data) if x is not None]
            )

        def train_step(self, data):
            with after(data):
                return self._train(data)

        def test_step(self, data):
            with after(data):
                return self._test(data)

        def _maybe_symbolic_build(self, iterator=None, data_batch=None):
            # Under a strategy Keras' own looks at a batch, which fails for
            # pairs of several workers, and a generator has one batch less.
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

        cls._maybe_symbolic_build = _maybe_symbolic_build

    else:

        def train_step(self, data):
            return self._train(data)

        def test_step(self, data):
            return self._test(data)

    cls.train_step = train_step
    cls.test_step = test_step
    return cls


def _stateless(step, groups, state, data):
    mapping = [
        pair
        for variables, values in zip(groups, state, strict=True)
        for pair in zip(variables, values, strict=True)
    ]
    with keras.StatelessScope(state_mapping=mapping) as scope:
        logs = step(data)
    return logs, tuple(
        [scope.get_current_value(v) for v in variables] for variables in groups
    )
