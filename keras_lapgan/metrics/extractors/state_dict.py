"""Weights of networks that were trained elsewhere, by their names there."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

from keras_lapgan.metrics.extractors.extractor_error import ExtractorError
from keras_lapgan.metrics.extractors.torch_file import NotPlainError
from keras_lapgan.metrics.extractors.torch_file import stream_arrays
from keras_lapgan.metrics.extractors.torch_file import zip_arrays

_MAX_BYTES = 2**30
_MAX_ENTRIES = 10_000
_NORM_EPSILON = 1e-3


class StateDict:
    """The arrays of a file, handed out as layers of Keras take them.

    The container is recognised by its content: PyTorch's two, `.npz` or
    `.safetensors` (with the package of that name). Nothing in it can run code,
    and no more memory is taken than three times the file's size.

    Args:
        path: str or `pathlib.Path`.
        sha256: str, or None. What the file's checksum must be; None takes
            any. Defaults to `None`.

    Attributes:
        sha256: str. The file's checksum.
        arrays: dict from name to numpy array.

    Raises:
        ExtractorError: There is no such file, or it is damaged, too large, or
            another one.

    Example:

    ```python
    state = StateDict("efficientnet-lite0-57934424.pth")
    state.arrays["_fc.bias"].shape  # (1000,)
    ```
    """

    def __init__(self, path, sha256=None):
        self.path = Path(path)
        try:
            if self.path.stat().st_size > _MAX_BYTES:
                raise NotPlainError(f"it has more than {_MAX_BYTES:,} bytes")
            data = self.path.read_bytes()
            self.sha256 = hashlib.sha256(data).hexdigest()
            if sha256 not in (None, self.sha256):
                raise NotPlainError(
                    f"its sha256 is {self.sha256}, not {sha256}; it is damaged "
                    "or another file"
                )
            self.arrays = _arrays(data)
        # Damaged bytes make zipfile and numpy raise errors of any kind.
        except Exception as error:
            raise ExtractorError(
                f"The weights cannot be read: {error}. "
                f"Received: {str(self.path)!r}"
            ) from error

    def take(self, name, shape):
        """The array of a name, as float32.

        Raises:
            ExtractorError: There is none, or it has another shape, or is not
                of finite floats.
        """
        array = self.arrays.get(name)
        if array is None or array.shape != shape or array.dtype.kind != "f":
            found = "nothing" if array is None else f"{array.dtype}"
            found += "" if array is None else f" {array.shape}"
            raise ExtractorError(
                f"The weights are another network's: expected floats {shape} "
                f"as {name!r}. Received: {found} in {str(self.path)!r}"
            )
        if not np.isfinite(array).all():
            raise ExtractorError(
                f"Expected finite weights. Received: NaN or infinite values "
                f"as {name!r} in {str(self.path)!r}"
            )
        return array.astype("float32")

    def convolution(self, name, norm, shape):
        """A convolution with the normalisation after it made part of it.

        Args:
            name: str. The convolution's, which has no bias.
            norm: str. The batch normalisation's.
            shape: tuple of 4 ints: outputs, inputs, height and width.

        Returns:
            Float32 arrays `(height, width, inputs, outputs)` and
            `(outputs,)`: a kernel and a bias.
        """
        outputs = shape[:1]
        scale = self.take(f"{norm}.weight", outputs).astype("float64")
        scale /= np.sqrt(
            self.take(f"{norm}.running_var", outputs) + _NORM_EPSILON
        )
        kernel = self.take(f"{name}.weight", shape).transpose(2, 3, 1, 0)
        mean = self.take(f"{norm}.running_mean", outputs)
        bias = self.take(f"{norm}.bias", outputs) - mean * scale
        return (kernel * scale).astype("float32"), bias.astype("float32")


def _arrays(data):
    if data[:1] == b"\x80":
        return stream_arrays(data)
    if data[:4] != b"PK\3\4":
        return _safetensors(data)
    # Each entry costs memory from the moment the container is opened.
    if data.count(b"PK\1\2") > _MAX_ENTRIES:
        raise NotPlainError("it has too many entries")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if any(entry.compress_type for entry in entries.values()):
            raise NotPlainError("its entries are compressed; store them as is")
        if sum(entry.file_size for entry in entries.values()) > len(data):
            raise NotPlainError("its entries are larger than itself")

        def read(name):
            if name not in entries:
                raise NotPlainError(f"its entry {name[:80]!r} is missing")
            return archive.read(name)

        if not all(name.endswith(".npy") for name in entries):
            return zip_arrays(entries, read)
        return {
            name.removesuffix(".npy"): np.lib.format.read_array(
                io.BytesIO(read(name)), allow_pickle=False
            )
            for name in entries
        }


def _safetensors(data):
    size = int.from_bytes(data[:8], "little")
    if not 2 <= size <= len(data) - 8:
        raise NotPlainError("it is no .pth, .npz or .safetensors file")
    try:
        from safetensors.numpy import load
    except ImportError as error:
        raise NotPlainError(
            "it seems to be .safetensors, which takes "
            'pip install "keras-lapgan[safetensors]"'
        ) from error
    return load(data)
