"""Generators and discriminators of one level."""

from keras_lapgan.networks.convolutional_discriminator import (
    ConvolutionalDiscriminator,
)
from keras_lapgan.networks.convolutional_generator import ConvolutionalGenerator
from keras_lapgan.networks.dense_discriminator import DenseDiscriminator
from keras_lapgan.networks.dense_generator import DenseGenerator
from keras_lapgan.networks.lsun_discriminator import LSUNDiscriminator
from keras_lapgan.networks.lsun_generator import LSUNGenerator
from keras_lapgan.networks.residual_discriminator import ResidualDiscriminator
from keras_lapgan.networks.residual_generator import ResidualGenerator

__all__ = [
    "ConvolutionalDiscriminator",
    "ConvolutionalGenerator",
    "DenseDiscriminator",
    "DenseGenerator",
    "LSUNDiscriminator",
    "LSUNGenerator",
    "ResidualDiscriminator",
    "ResidualGenerator",
]
