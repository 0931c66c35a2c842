from keras_lapgan.callbacks.best_level import BestLevel
from keras_lapgan.callbacks.divergence_error import DivergenceError
from keras_lapgan.callbacks.level_monitor import LevelMonitor
from keras_lapgan.callbacks.run_checkpoint import RunCheckpoint
from keras_lapgan.callbacks.sample_grid import SampleGrid
from keras_lapgan.callbacks.save_error import SaveError
from keras_lapgan.callbacks.tensorboard import TensorBoard
from keras_lapgan.callbacks.training_curves import TrainingCurves
from keras_lapgan.callbacks.training_progress import TrainingProgress

__all__ = [
    "BestLevel",
    "DivergenceError",
    "LevelMonitor",
    "RunCheckpoint",
    "SampleGrid",
    "SaveError",
    "TensorBoard",
    "TrainingCurves",
    "TrainingProgress",
]
