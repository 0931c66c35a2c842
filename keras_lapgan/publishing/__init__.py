from keras_lapgan.publishing.public_preset import public_preset
from keras_lapgan.publishing.upload_preset import upload_preset

__all__ = ["public_preset", "upload_preset"]
