"""Measures of generated images: numpy arrays in, plain figures out."""

from keras_lapgan.metrics.band_statistics import band_statistics
from keras_lapgan.metrics.class_agreement import class_agreement
from keras_lapgan.metrics.frechet import frechet_distance
from keras_lapgan.metrics.frechet import frechet_distance_from_statistics
from keras_lapgan.metrics.frechet import frechet_statistics
from keras_lapgan.metrics.inception_score import inception_score
from keras_lapgan.metrics.kernel_distance import kernel_distance
from keras_lapgan.metrics.kernel_distance import polynomial_mmd
from keras_lapgan.metrics.memorisation import memorisation
from keras_lapgan.metrics.memorisation import memorisation_from_distances
from keras_lapgan.metrics.memorisation import nearest_neighbours
from keras_lapgan.metrics.ms_ssim import ms_ssim
from keras_lapgan.metrics.ms_ssim import ms_ssim_diversity
from keras_lapgan.metrics.parzen import ParzenWindow
from keras_lapgan.metrics.parzen import multi_scale_log_likelihood
from keras_lapgan.metrics.parzen import parzen_log_likelihood
from keras_lapgan.metrics.precision_recall import precision_recall
from keras_lapgan.metrics.sliced_wasserstein import sliced_wasserstein

__all__ = [
    "ParzenWindow",
    "band_statistics",
    "class_agreement",
    "frechet_distance",
    "frechet_distance_from_statistics",
    "frechet_statistics",
    "inception_score",
    "kernel_distance",
    "memorisation",
    "memorisation_from_distances",
    "ms_ssim",
    "ms_ssim_diversity",
    "multi_scale_log_likelihood",
    "nearest_neighbours",
    "parzen_log_likelihood",
    "polynomial_mmd",
    "precision_recall",
    "sliced_wasserstein",
]
