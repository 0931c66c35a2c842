from keras_lapgan.training.damped_sgd import DampedSGD
from keras_lapgan.training.objectives import OBJECTIVES

__all__ = ["OBJECTIVES", "DampedSGD"]
