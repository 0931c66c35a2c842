"""Draws pictures with the exported model beside this file.

A part of keras-lapgan (Apache-2.0) that stands alone: it needs numpy and what
runs the model's file, see `load` below. On a command line:

    python run.py --count 16 --seed 1 --output pictures.png

In a program:

    from run import Sampler

    sampler = Sampler()
    pictures = sampler(16, seed=1)["images_0"]  # (16, height, width, channels)

`signature.json` tells the model's inputs and outputs. Levels are numbered from
the finest, 0.
"""

import argparse
import contextlib
import difflib
import json
import math
import operator
import re
import secrets
import struct
import sys
import tempfile
import threading
import zlib
from pathlib import Path

try:
    import numpy as np
except ImportError:
    if __name__ != "__main__":
        raise
    print("Error: run.py needs numpy, `pip install numpy`", file=sys.stderr)
    sys.exit(2)

# Pictures a call of the model, where its file takes any number.
CHUNK = 64
GAP = 2
WHITE = 255


class Sampler:
    """The model of a folder that was exported.

    Args:
        folder: path. Where `signature.json` and the model's file are. Defaults
            to the folder of this script.

    Call arguments:
        count: int. Number of pictures. May be left out beside `labels` or
            `images` that tell it.
        seed: int in [0, 2**64). Same seed, same pictures: picture i of a seed
            is the same whatever `count` is.
        labels: int, or ints `(count,)`, for a class-conditional model.
            Defaults to all classes in turn.
        images: uint8 or float array in 0..255, for a file of one level that
            makes pictures finer: the pictures `(count, height, width,
            channels)` to start from.
        start: int. Which picture of the seed comes first. Defaults to 0.

    Returns:
        A dict of one array a stage, finest first, under the names of the
        signature's outputs.
    """

    def __init__(self, folder=None):
        self.folder = Path(folder or Path(__file__).resolve().parent)
        self.signature = read_signature(self.folder)
        # Not every runtime takes calls from several threads at once.
        self._lock = threading.Lock()
        file = self.signature["file"]
        if not (self.folder / file).exists():
            raise ValueError(f"There is no {file!r} in {str(self.folder)!r}.")
        try:
            self._run = load(self.folder, self.signature)  # noqa: F821
        except ImportError:
            raise
        except Exception as error:
            # Each runtime has exceptions of its own for a damaged file.
            raise ValueError(
                f"{file!r} could not be loaded. Received: {one_line(error)}"
            ) from error

    def __call__(self, count=None, *, seed, labels=None, images=None, start=0):
        if count is None:
            given = [x for x in (images, labels) if np.ndim(x)]
            if not given:
                raise ValueError(
                    "`count` must tell how many pictures. Received: count=None"
                )
            count = len(given[0])
        count = whole_number("count", count, 1, 2**63 - 1)
        seed = whole_number("seed", seed, 0, 2**64 - 1)
        start = whole_number("start", start, 0, 2**63 - 1)
        labels = check_labels(self.signature, labels, count, start)
        images = check_images(self.signature, images, count)
        batch = self.signature["batch"]
        size = batch or min(count, CHUNK)
        chunks = []
        for done in range(0, count, size):
            n = min(size, count - done)
            inputs = {}
            for entry in self.signature["inputs"]:
                if entry["name"] == "labels":
                    values = labels[done : done + n]
                elif entry["name"].startswith("images"):
                    values = images[done : done + n]
                else:
                    shape, level = entry["shape"][1:], entry["level"]
                    values = draw_noise(shape, n, seed, level, start + done)
                if batch:
                    padding = np.repeat(values[-1:], batch - n, axis=0)
                    values = np.concatenate([values, padding])
                inputs[entry["name"]] = values.astype(entry["dtype"])
            with self._lock:
                outputs = self._run(inputs)
            chunks.append({k: np.asarray(v)[:n] for k, v in outputs.items()})
        return {
            name: np.concatenate([chunk[name] for chunk in chunks])
            for name in (entry["name"] for entry in self.signature["outputs"])
        }


def draw_noise(shape, count, seed, level, start=0):
    """Draws the noise of one level, float32 `(count, *shape)` in (-1, 1).

    Philox numbers its words, so that each picture of a seed has its own,
    wherever a call starts.
    """
    size = math.prod(shape)
    # The generator counts in blocks of four words.
    blocks = -(-size // 4)
    key = np.array([seed, level], dtype="uint64")
    philox = np.random.Philox(key=key, counter=start * blocks)
    words = philox.random_raw(count * blocks * 4)
    words = words.reshape(count, blocks * 4)[:, :size]
    # The middles of 2**24 equal cells.
    unit = ((words >> np.uint64(40)) + 0.5) * 2.0**-23 - 1.0
    return unit.astype("float32").reshape(count, *shape)


# === Runtime ===


# === Checks ===


def read_signature(folder):
    """Reads the `signature.json` of a folder."""
    path = Path(folder) / "signature.json"
    if not path.is_file():
        raise ValueError(f"There is no {path.name!r} in {str(folder)!r}.")
    try:
        signature = json.loads(path.read_text(encoding="utf-8"))
        version = signature["keras_lapgan_export"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{str(path)!r} is no signature of a model.") from None
    if version != 1:
        raise ValueError(
            f"{str(path)!r} must be of version 1, or read by the run.py of "
            f"its own export. Received: {version!r}"
        )
    return signature


def whole_number(name, value, low, high):
    """Returns `value` as an int, if it is one from `low` to `high`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1
    if not low <= number <= high:
        raise ValueError(
            f"`{name}` must be a whole number from {low} to {high}. "
            f"Received: {name}={value!r}"
        )
    return number


def check_labels(signature, labels, count, start=0):
    """Returns `labels` as an array `(count,)`; None for a model without."""
    classes = signature["num_classes"]
    if not classes:
        if labels is not None:
            raise ValueError(
                "This model is not class-conditional; leave `labels` out. "
                f"Received: labels={labels!r}"
            )
        return None
    if labels is None:
        return (start % classes + np.arange(count)) % classes
    labels = np.asarray(labels)
    if labels.ndim == 0:
        labels = np.full(count, labels)
    if (
        labels.shape != (count,)
        or labels.dtype.kind not in "iu"
        or labels.min() < 0
        or labels.max() >= classes
    ):
        raise ValueError(
            f"`labels` must be integers from 0 to {classes - 1}, of shape "
            f"({count},). Received: labels={labels!r}"
        )
    return labels


def check_images(signature, images, count):
    """Returns `images` as an array; None for a model that takes none."""
    shapes = [
        entry["shape"][1:]
        for entry in signature["inputs"]
        if entry["name"].startswith("images")
    ]
    if not shapes:
        if images is not None:
            raise ValueError(
                "This model starts from noise; leave `images` out. "
                f"Received: images of shape {np.shape(images)}"
            )
        return None
    shape = (count, *shapes[0])
    wanted = (
        "This model makes pictures finer. `images` must be an array of shape "
        f"{shape}, uint8 or float 0..255."
    )
    if images is None:
        raise ValueError(f"{wanted} Received: images=None")
    images = np.asarray(images)
    if images.shape != shape or images.dtype.kind not in "iuf":
        raise ValueError(
            f"{wanted} Received: shape {images.shape}, dtype {images.dtype}"
        )
    low, high = images.min(), images.max()
    # NaN fails both comparisons.
    if not (0 <= low and high <= 255):
        raise ValueError(f"{wanted} Received: values from {low} to {high}")
    if images.dtype.kind == "f" and low < high <= 1:
        raise ValueError(
            f"{wanted} These look like 0..1, so give `images * 255`. "
            f"Received: values from {low} to {high}"
        )
    return images


# === Pictures ===


def image_grid(images, columns=None, scale=1):
    """Lays pictures `(n, height, width, channels)` out in rows."""
    images = enlarge(images, scale)
    count, height, width, channels = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    height, width = height + GAP, width + GAP
    shape = (rows * height + GAP, columns * width + GAP, channels)
    grid = np.full(shape, WHITE, dtype="uint8")
    for i, image in enumerate(images):
        top = GAP + i // columns * height
        left = GAP + i % columns * width
        grid[top : top + height - GAP, left : left + width - GAP] = image
    return grid


def stage_strip(stages):
    """Lays out how pictures grow, a row each; `stages` are finest first."""
    count, height, width, channels = stages[0].shape
    # The least scale from 84 pixels on at which all stages are equally large.
    least = math.ceil(84 / width)
    side = math.lcm(*(stage.shape[2] for stage in stages))
    even = [s for s in range(least, 4 * least) if s * width % side == 0]
    scale = even[0] if even else least
    height, width = height * scale, width * scale
    cells = []
    for i in range(count):
        for stage in reversed(stages):
            cell = np.full((height, width, channels), WHITE, dtype="uint8")
            fit = min(height // stage.shape[1], width // stage.shape[2])
            image = enlarge(stage[i : i + 1], fit)[0]
            top = (height - image.shape[0]) // 2
            left = (width - image.shape[1]) // 2
            bottom, right = top + image.shape[0], left + image.shape[1]
            cell[top:bottom, left:right] = image
            cells.append(cell)
    return image_grid(np.stack(cells), columns=len(stages))


def enlarge(images, scale):
    """Repeats every pixel `scale` times along rows and columns."""
    return images.repeat(scale, axis=1).repeat(scale, axis=2)


# === PNG ===

PNG = b"\x89PNG\r\n\x1a\n"
# Grey, grey and alpha, RGB, RGB and alpha.
COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}


def write_png(path, image):
    """Writes a uint8 array `(height, width, channels)` as a PNG file."""
    height, width, channels = image.shape
    if channels not in COLOURS:
        raise ValueError(
            "A PNG has 1 to 4 channels; an --output that ends in .npy has any. "
            f"Received: {channels} channels"
        )
    header = struct.pack(
        ">IIBBBBB", width, height, 8, COLOURS[channels], 0, 0, 0
    )
    # Each row starts with the number of its filter: 0, none.
    rows = np.pad(image.reshape(height, -1), [(0, 0), (1, 0)])
    data = PNG
    for kind, body in (
        (b"IHDR", header),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    ):
        crc = struct.pack(">I", zlib.crc32(kind + body))
        data += struct.pack(">I", len(body)) + kind + body + crc
    Path(path).write_bytes(data)


def read_png(path):
    """Reads an 8-bit PNG file as a uint8 array `(height, width, channels)`."""
    data = Path(path).read_bytes()
    try:
        return decode_png(data)
    except (ValueError, OverflowError, zlib.error, struct.error) as error:
        raise ValueError(
            f"{str(path)!r} must be a PNG file of 8-bit grey or RGB, not "
            f"interlaced. Received: {error}"
        ) from error


def decode_png(data):
    if not data.startswith(PNG):
        raise ValueError("another kind of file")
    chunks, position = {b"IDAT": b""}, len(PNG)
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        body = data[position + 8 : end]
        if struct.unpack_from(">I", data, end)[0] != zlib.crc32(kind + body):
            raise ValueError("damaged data")
        chunks[kind] = chunks.get(kind, b"") + body
        position = end + 4
    width, height, bits, colour, _, _, interlaced = struct.unpack(
        ">IIBBBBB", chunks.get(b"IHDR", b"")
    )
    if bits != 8 or colour not in COLOURS.values() or interlaced:
        raise ValueError(
            f"{bits} bits, colour type {colour}, interlace {interlaced}"
        )
    channels = {kind: n for n, kind in COLOURS.items()}[colour]
    stride = width * channels
    size = height * (1 + stride)
    rows = zlib.decompressobj().decompress(chunks[b"IDAT"], size + 1)
    if len(rows) != size:
        raise ValueError(f"data of another size than {width} x {height}")
    image, above = [], [0] * stride
    for start in range(0, size, 1 + stride):
        kind, *row = rows[start : start + 1 + stride]
        for i in range(stride if kind else 0):
            left = row[i - channels] if i >= channels else 0
            corner = above[i - channels] if i >= channels else 0
            up = above[i]
            if kind == 1:
                guess = left
            elif kind == 2:
                guess = up
            elif kind == 3:
                guess = (left + up) // 2
            elif kind == 4:
                base = left + up - corner
                guess = min(left, up, corner, key=lambda v: abs(base - v))
            else:
                raise ValueError(f"filter {kind}")
            row[i] = (row[i] + guess) % 256
        image.append(row)
        above = row
    return np.array(image, dtype="uint8").reshape(height, width, channels)


# === Command line ===

ENDINGS = {"grid": [".png", ".npy", ".npz"], "strip": [".png"]}


class Parser(argparse.ArgumentParser):
    """Raises what argparse would print below its usage."""

    def error(self, message):
        raise ValueError(message)


def parse_arguments(arguments):
    parser = Parser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add = parser.add_argument
    add(
        "--count",
        type=int,
        help="How many pictures.  [default: 64, or 8 a class; 8 in a strip]",
    )
    add(
        "--seed",
        type=int,
        help="Same seed, same pictures.  [default: a fresh one]",
    )
    add("--labels", help="Classes by name or number: cat,dog,3.")
    add(
        "--images",
        type=Path,
        help="What a file of one level makes finer: .npy, or .png with one "
        "picture.",
    )
    add(
        "--layout",
        choices=["grid", "files", "strip"],
        default="grid",
        help="One picture with all; a folder of files; or how each grows, "
        "coarse to fine.  [default: grid]",
    )
    add(
        "--output",
        type=Path,
        help="A PNG file; .npy or .npz for arrays; with --layout files, a "
        "folder.  [default: samples.png or samples]",
    )
    add("--overwrite", action="store_true", help="Replace what is at --output.")
    return parser.parse_args(arguments)


def draw(arguments):
    """Does what a command line asks for; returns what to tell."""
    options = parse_arguments(arguments)
    layout, count, seed = options.layout, options.count, options.seed
    folder = Path(__file__).resolve().parent
    signature = read_signature(folder)
    output = options.output
    if output is None:
        output = Path("samples" if layout == "files" else "samples.png")
    check_output(output, layout, options.overwrite)
    noises = [x for x in signature["inputs"] if x["name"].startswith("noise")]
    if layout == "strip" and (
        signature["level"] is not None
        or len(signature["outputs"]) < len(noises)
    ):
        raise ValueError(
            "--layout strip needs a file with all stages. Received: one with "
            f"{', '.join(entry['name'] for entry in signature['outputs'])}"
        )
    labels, columns = None, signature["num_classes"] or None
    if options.labels is not None:
        labels = parse_labels(options.labels, signature)
        columns = len(labels)
    images = None if options.images is None else read_images(options.images)
    if count is None:
        count = 8 if layout == "strip" else 8 * (columns or 8)
        if images is not None:
            count = len(images)
    count = whole_number("--count", count, 1, 100_000)
    check_images(signature, images, count)
    if labels is not None:
        labels = [labels[i % len(labels)] for i in range(count)]
    if seed is None:
        # One that is easily typed again.
        seed = secrets.randbelow(10**6)
    seed = whole_number("--seed", seed, 0, 2**64 - 1)

    stages = Sampler(folder)(count, seed=seed, labels=labels, images=images)
    with new_output(output) as path:
        write(path, stages, layout, columns)
    return f"{count} pictures of seed {seed}: {output}"


def write(path, stages, layout, columns):
    if path.suffix == ".npz" and layout == "grid":
        return np.savez(path, **stages)
    stages = list(stages.values())
    if path.suffix == ".npy" and layout == "grid":
        return np.save(path, stages[0])
    stages = [np.rint(stage).astype("uint8") for stage in stages]
    if layout == "files":
        path.mkdir()
        for i, image in enumerate(stages[0]):
            write_png(path / f"{i:05d}.png", image)
    elif layout == "strip":
        write_png(path, stage_strip(stages))
    else:
        scale = max(1, 56 // stages[0].shape[2])
        write_png(path, image_grid(stages[0], columns, scale))


def read_images(path):
    """Reads --images: a .npy file of pictures, or one picture in a PNG."""
    if path.suffix.lower() == ".png":
        return read_png(path)[None]
    with open(path, "rb") as file:
        try:
            images = np.lib.format.read_array(file, allow_pickle=False)
        except ValueError:
            images = None
    if np.ndim(images) != 4:
        raise ValueError(
            "--images must be a .npy file of pictures (n, height, width, "
            f"channels), or a .png file. Received: {str(path)!r}"
        )
    return images


def parse_labels(text, signature):
    """Turns `"cat,dog,3"` into class numbers."""
    classes = signature["num_classes"]
    if not classes:
        raise ValueError(
            "--labels: this model is not class-conditional; leave the option "
            f"out. Received: {text!r}"
        )
    names = [simple(name) for name in signature["classes"] or []]
    labels = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        name = simple(word)
        if name in names:
            labels.append(names.index(name))
        elif word.isdecimal() and int(word) < classes:
            labels.append(int(word))
        else:
            nearest = difflib.get_close_matches(name, names, cutoff=0.4)
            hint = f"Did you mean {', '.join(nearest)}? " if nearest else ""
            known = f"Classes: {', '.join(names)}; or" if names else "Use"
            raise ValueError(
                f"--labels: there is no class {word!r}. {hint}{known} "
                f"numbers 0 to {classes - 1}."
            )
    if not labels:
        raise ValueError(f"--labels: no class is named. Received: {text!r}")
    return labels


def simple(name):
    return name.casefold().replace(" ", "_")


def check_output(path, layout, overwrite):
    """Refuses an output that cannot be written or may not be replaced."""
    received = f"Received: {str(path)!r}"
    endings = ENDINGS.get(layout)
    if endings and path.suffix.lower() not in endings:
        raise ValueError(
            f"--output must end in {' or '.join(endings)}. {received}"
        )
    if not path.parent.is_dir():
        raise ValueError(
            f"--output: there is no folder {str(path.parent)!r}. {received}"
        )
    if path.exists() and not overwrite:
        raise ValueError(
            "--output exists. Choose another, or replace it with --overwrite. "
            f"{received}"
        )
    ours = path.is_file()
    if layout == "files":
        ours = path.is_dir() and all(
            re.fullmatch(r"\d{5}\.png", file.name) for file in path.iterdir()
        )
    if path.exists() and not ours:
        raise ValueError(
            "--output is not what this command writes, so --overwrite leaves "
            f"it alone. Choose another. {received}"
        )


@contextlib.contextmanager
def new_output(path):
    """Gives a path to write to, which becomes `path` once all is written."""
    try:
        with tempfile.TemporaryDirectory(
            prefix=".tmp_", dir=path.parent
        ) as scratch:
            temporary = Path(scratch) / f"new{path.suffix.lower()}"
            yield temporary
            if path.is_dir():
                path.replace(Path(scratch) / "old")
            temporary.replace(path)
    except OSError as error:
        raise ValueError(
            f"Could not write {str(path)!r}: {error.strerror or error}."
        ) from error


def one_line(error):
    return " ".join(str(error).split()) or type(error).__name__


def main(arguments=None):
    """Runs a command line; returns its exit status."""
    try:
        print(draw(arguments))
    except (ValueError, OSError, ImportError) as error:
        print(f"Error: {one_line(error)}", file=sys.stderr)
        return 2
    except (KeyError, TypeError) as error:
        print(
            "Error: signature.json does not fit this model and script. "
            f"Received: {type(error).__name__}, {one_line(error)}",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
