from keras_lapgan.callbacks.divergence_error import DivergenceError
from keras_lapgan.callbacks.run_checkpoint import RunCheckpoint
from keras_lapgan.callbacks.sample_grid import SampleGrid
from keras_lapgan.callbacks.save_error import SaveError
from keras_lapgan.callbacks.training_curves import TrainingCurves
from keras_lapgan.callbacks.training_progress import TrainingProgress

__all__ = [
    "DivergenceError",
    "RunCheckpoint",
    "SampleGrid",
    "SaveError",
    "TrainingCurves",
    "TrainingProgress",
]
