from keras_lapgan.layers.class_plane import ClassPlane
from keras_lapgan.layers.crop import Crop
from keras_lapgan.layers.dropout import StepDropout
from keras_lapgan.layers.grouped_convolution import GroupedConv2D
from keras_lapgan.layers.laplacian_pyramid import LaplacianPyramid
from keras_lapgan.layers.lp_pooling import PairwiseL2Pooling
from keras_lapgan.layers.noise import UniformNoise
from keras_lapgan.layers.normalization import ImageNormalization
from keras_lapgan.layers.randomness import StepRandom
from keras_lapgan.layers.resampling import Downsample
from keras_lapgan.layers.resampling import Upsample
from keras_lapgan.layers.resampling import resampling_matrix

__all__ = [
    "ClassPlane",
    "Crop",
    "Downsample",
    "GroupedConv2D",
    "ImageNormalization",
    "LaplacianPyramid",
    "PairwiseL2Pooling",
    "StepDropout",
    "StepRandom",
    "UniformNoise",
    "Upsample",
    "resampling_matrix",
]
