from keras_lapgan import networks
from keras_lapgan.models.lapgan import LAPGAN
from keras_lapgan.models.lapgan_level import LAPGANLevel

__all__ = ["LAPGAN", "LAPGANLevel", "networks"]
