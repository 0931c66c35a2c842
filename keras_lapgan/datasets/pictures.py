"""One picture: from any image file to a uint8 RGB array of the size wanted."""

import io

import numpy as np
from PIL import Image

IMAGE_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".ppm",
)

# Pillow's own limit against files that unpack to fill the memory.
MAX_PIXELS = 89_478_485

ORIENTATION_TAG = 0x0112
TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PictureError(Exception):
    """Why one picture cannot be used; the caller knows its name."""


class SizeError(PictureError):
    """A good picture of another size than the one asked for."""


def _open(file):
    if isinstance(file, (bytes, bytearray, memoryview)):
        file = io.BytesIO(file)
    image = Image.open(file)
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise PictureError(
            f"{width} x {height} pixels are more than the limit of "
            f"{MAX_PIXELS} a picture"
        )
    return image


def _orientation(image):
    try:
        return int(image.getexif().get(ORIENTATION_TAG, 1))
    except Exception:
        # A damaged EXIF block says nothing about the pixels.
        return 1


def _from_16_bits(values):
    # 65535 / 257 = 255: rounded to the nearest, not cut to the high byte.
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _to_rgb(image):
    mode = image.mode
    if mode.startswith("I;16") or mode == "I":
        values = np.asarray(image)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535:
            raise PictureError(
                "expected 8 or 16 bits a pixel, but its values go from "
                f"{low} to {high}"
            )
        return Image.fromarray(_from_16_bits(values)).convert("RGB")
    if mode == "F":
        raise PictureError("expected 8 or 16 bits a pixel, but it has floats")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image if mode == "RGB" else image.convert("RGB")


def decode_image(file):
    """Decodes an image file to RGB, upright, first frame, on white.

    Args:
        file: path, or bytes. An image file in a format that Pillow reads.

    Returns:
        A loaded `PIL.Image.Image` of mode RGB.

    Raises:
        PictureError: if it cannot be decoded; the message is the reason.
    """
    try:
        with _open(file) as image:
            # Before the orientation is asked for: Pillow turns TIFF files by
            # itself when it loads them, and PNG keeps EXIF after the pixels.
            image.load()
            transpose = TRANSPOSES.get(_orientation(image))
            image = _to_rgb(image)
            if transpose is not None:
                image = image.transpose(transpose)
            return image
    except PictureError:
        raise
    except Exception as error:
        # Pillow's decoders raise nearly every type of error for broken files.
        raise PictureError(reason(error)) from error


def read_size(file):
    """Reads a picture's size from its header, as it is once upright.

    Args:
        file: path, or bytes. An image file in a format that Pillow reads.

    Returns:
        Tuple `(height, width)`.

    Raises:
        PictureError: if the header cannot be read.
    """
    try:
        with _open(file) as image:
            width, height = image.size
            if image.format != "TIFF" and 5 <= _orientation(image) <= 8:
                width, height = height, width
            return height, width
    except PictureError:
        raise
    except Exception as error:
        raise PictureError(reason(error)) from error


def check_header(file):
    """Raises `PictureError` unless the file starts as an image does."""
    try:
        _open(file).close()
    except PictureError:
        raise
    except Exception as error:
        raise PictureError(reason(error)) from error


def reason(error):
    """str. Why a picture cannot be used, from what reading it raised."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image, or damaged at its start"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def fit_image(image, size, resize):
    """Brings a picture to the size wanted.

    `"crop"` scales the shorter side to `size` with antialiasing (Pillow's
    bicubic filter, which widens as it shrinks) and keeps the centre square.

    Args:
        image: `PIL.Image.Image` of mode RGB.
        size: int, or None. Side of the square wanted; None keeps the size.
        resize: str. `"crop"`, or `"none"` to raise where the size differs.

    Returns:
        A uint8 array of shape `(height, width, 3)`.
    """
    width, height = image.size
    if size is not None and (width, height) != (size, size):
        if resize == "none":
            raise SizeError(f"is {height} x {width}, not {size} x {size}")
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        # Only the square is resized: the strip of a 1 x 50000 picture would
        # not fit in memory. The filter still sees the pixels beside it.
        image = image.resize(
            (size, size),
            Image.Resampling.BICUBIC,
            box=(left, top, left + side, top + side),
        )
    return np.asarray(image)


def to_rgb_array(images):
    """Gives uint8 or uint16 pictures with 1, 3 or 4 channels three channels.

    Args:
        images: array of shape `(..., height, width, channels)`. Grey, RGB, or
            RGBA, which is laid on white.

    Returns:
        A uint8 array of shape `(..., height, width, 3)`.
    """
    if images.dtype == np.uint16:
        images = _from_16_bits(images)
    if images.shape[-1] == 1:
        return np.repeat(images, 3, axis=-1)
    if images.shape[-1] == 4:
        color = images[..., :3].astype(np.uint32)
        alpha = images[..., 3:].astype(np.uint32)
        return ((color * alpha + 255 * (255 - alpha) + 127) // 255).astype(
            np.uint8
        )
    return images
