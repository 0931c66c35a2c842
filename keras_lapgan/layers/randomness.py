import contextlib
import contextvars
import hashlib

import keras
from keras import ops

_ACTIVE = contextvars.ContextVar("keras_lapgan_step_random", default=None)


class StepRandom:
    """Random numbers of one step, as a pure function of their names.

    A draw depends on `(seed, step, scope, stream)`, on the replica where
    several share a step, and on nothing else: there is no state to save, so an
    interrupted run goes on with the numbers it would have drawn, and a level
    draws the same ones whether it trains alone or beside others. Numbers
    differ between backends, each of which has its own generator, and in
    TensorFlow between XLA and its other kernels.

    Args:
        seed: int. The run's seed.
        step: int, or integer scalar tensor. The step's number; may be traced.
        scope: str. Prefix of the streams' names, as in `"level_0/d"`.
        replica: int, or integer scalar tensor. The replica's number; each
            draws other numbers, 0 those of a single device. Defaults to 0.

    Example:

    ```python
    random = StepRandom(seed=1, step=0)
    z = random.at("level_2").uniform((16, 100), "noise")
    ```
    """

    def __init__(self, seed, step, scope="", replica=0):
        self.seed = seed
        self.step = step
        self.scope = scope
        self.replica = replica

    def at(self, name):
        """Returns the same source with `name` added to its scope."""
        scope = f"{self.scope}{name}/"
        return type(self)(self.seed, self.step, scope, self.replica)

    def uniform(self, shape, stream):
        """Draws float32 numbers in [0, 1).

        Args:
            shape: tuple of ints (or scalar tensors).
            stream: str. The draw's name, unique within scope and step.

        Returns:
            A float32 tensor of `shape`.
        """
        name = f"{self.seed}:{self.scope}{stream}"
        seed = _NamedSeed(name, self.step, self.replica)
        return keras.random.uniform(shape, dtype="float32", seed=seed)

    @contextlib.contextmanager
    def active(self):
        """Makes this the source of `StepDropout` layers called inside."""
        token = _ACTIVE.set(self)
        try:
            yield self
        finally:
            _ACTIVE.reset(token)


def active_random():
    """Returns the innermost `StepRandom.active()`, or None outside of one."""
    return _ACTIVE.get()


class _NamedSeed(keras.random.SeedGenerator):
    """What `keras.random` accepts as a seed, made from a name and a step.

    `keras.random` takes ints, which cannot be traced, or a `SeedGenerator`.
    This one leaves out the parent's constructor: it has no state variable.
    """

    def __init__(self, name, step, replica):
        digest = hashlib.blake2b(name.encode(), digest_size=4).digest()
        self._key = int.from_bytes(digest, "little")
        self._step = step
        self._replica = replica

    def next(self, ordered=True):
        # JAX reads the pair as a raw threefry key; the others want a signed
        # type that holds 32 bits.
        is_jax = keras.backend.backend() == "jax"
        dtype = "uint32" if is_jax else "int64"
        key = ops.convert_to_tensor(self._key, dtype=dtype)
        key = key + ops.cast(self._replica, dtype)
        return ops.stack([key, ops.cast(self._step, dtype)])
