"""A LAPGAN, or one level of it, in the format of another runtime."""

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import textwrap
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version
from pathlib import Path

import keras

from keras_lapgan.export import signature as signatures
from keras_lapgan.export.export_error import ExportError
from keras_lapgan.export.formats import CPU_ONLY
from keras_lapgan.export.formats import get_format
from keras_lapgan.export.plain_sampler import PlainSampler
from keras_lapgan.export.request import check_request
from keras_lapgan.export.request import is_whole
from keras_lapgan.export.script import SCRIPT
from keras_lapgan.export.script import script_text
from keras_lapgan.export.verify import verify
from keras_lapgan.export.writers import write_file
from keras_lapgan.networks.network import Network
from keras_lapgan.presets.preset_folder import NOTICE
from keras_lapgan.utils.files import check_room
from keras_lapgan.utils.new_folder import new_folder
from keras_lapgan.utils.preset_error import PresetError
from keras_lapgan.version import __version__


def export_model(
    model,
    path,
    format="tf_saved_model",
    *,
    level=None,
    stages=False,
    batch="dynamic",
    precision="float32",
    dtype="uint8",
    overwrite=False,
    progress=None,
):
    """Writes a model's sampler for another runtime, and checks the file.

    Args:
        model: `LAPGAN`.
        path: path of a new folder.
        format: str. A name of `FORMATS`. Defaults to `"tf_saved_model"`.
        level: int or None. Only this level: noise, and the picture of the
            next coarser level, to its picture. Defaults to None, the whole
            chain.
        stages: bool. Give every stage and not the finest only. Defaults to
            False.
        batch: int or `"dynamic"`. How many pictures a call takes. Defaults to
            `"dynamic"`, any number.
        precision: str. `"float32"`, `"float16"` or `"int8"`, of what is
            stored; see `FORMATS` for which format has which. Defaults to
            `"float32"`.
        dtype: str. Of the pictures: `"uint8"`, or `"float32"` in 0..255.
            Defaults to `"uint8"`.
        overwrite: bool. Replace an earlier export at `path`. Defaults to
            False.
        progress: function of a str or None. Told what is being done.
            Defaults to None.

    Returns:
        The content of `signature.json`, a dict.

    Raises:
        ExportError: (a ValueError) something that cannot be asked for, a
            package that is missing, a model with code of its own, a
            conversion that failed, a file that does not draw what Keras
            draws. `path` is as it was then.
        OSError: from the disk; the same.
    """
    path = Path(path)
    progress = progress or (lambda text: None)
    if level is not None:
        if not is_whole(level) or level not in range(len(model.levels)):
            raise ExportError(
                f"`level` must be from 0 (finest) to {len(model.levels) - 1} "
                f"(coarsest), or None, the whole chain. Received: {level!r}"
            )
        level = int(level)
    if is_whole(batch):
        batch = int(batch)
    options = {
        "level": level,
        "stages": stages,
        "batch": batch,
        "precision": precision,
        "dtype": dtype,
    }
    check_request(path, format, overwrite=overwrite, **options)
    _check_classes(model)
    here = keras.backend.backend()
    backend = get_format(format).backend or here
    if backend != here or not _is_on_cpu():
        options["format"] = format
        with new_folder(path, overwrite) as folder:
            return _in_other_process(model, folder, backend, options, progress)
    model = _in_float32(model)
    signature = _signature(model, format, **options)
    with new_folder(path, overwrite) as folder:
        progress(f"Writing {signature['file']}")
        with _failures(f"The model could not be written as {format}"):
            inputs, outputs = signature["inputs"], signature["outputs"]
            plain = PlainSampler(model, inputs, outputs)
            size = signatures.float32_bytes(plain.arrays)
            # Some converters need a second copy meanwhile.
            check_room(folder, 2 * size + 10**6)
            write_file(plain, folder, signature)
        if model.terms and model.terms[1]:
            (folder / NOTICE).write_text(model.terms[1], encoding="utf-8")
        (folder / SCRIPT).write_text(script_text(format), encoding="utf-8")
        signatures.write_signature(folder, signature)
        progress(f"Comparing what {signature['file']} and Keras draw")
        with _failures(f"{signature['file']} does not run"):
            signature["verified"] = verify(model, folder, signature)
        signature["float32_bytes"] = size
        signature["sha256"] = signatures.file_hashes(folder)
        signatures.write_signature(folder, signature)
    return signature


# === The model ===


def _check_classes(model):
    """Refuses subclasses: what they do otherwise would be left out."""
    ours = __name__.partition(".")[0]
    for part, base in [
        (model, "LAPGAN"),
        *((level, "LAPGANLevel") for level in model.levels),
    ]:
        if type(part).__module__.partition(".")[0] != ours:
            raise ExportError(
                f"{type(part).__name__} is a subclass of {base}: what it "
                "does otherwise when it draws, an exported file would not "
                "do. Build a LAPGAN of LAPGANLevels with the same networks, "
                "and `set_weights(model.get_weights())`. Received: "
                f"{type(part).__module__}.{type(part).__name__}"
            )


def _in_float32(model):
    """The model, or a copy of it if it computes in fewer bits."""
    policies = {
        level.ema_generator.dtype_policy.compute_dtype for level in model.levels
    }
    if policies == {"float32"}:
        return model
    for level in model.levels:
        if not isinstance(level.generator, Network):
            raise ExportError(
                f"The generator of level {level.index} is a network of your "
                "own that computes in fewer bits. Build it under the policy "
                "float32, and `set_weights(model.get_weights())`. Received: "
                f"{level.generator.dtype_policy.name}"
            )
    config = model.get_config()
    for level in config["levels"]:
        for role in ("generator", "discriminator"):
            level["config"][role]["config"]["dtype"] = "float32"
    copy = type(model).from_config(config)
    copy.set_weights(model.get_weights())
    copy.terms = model.terms
    return copy


def _signature(model, format, level, stages, batch, precision, dtype):
    batch = None if batch == "dynamic" else batch
    known = get_format(format)
    found = {"keras_lapgan": __version__, "keras": keras.__version__}
    for name in known.versions:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return {
        "keras_lapgan_export": signatures.VERSION,
        "name": model.name,
        "format": format,
        "file": known.file,
        "precision": precision,
        "batch": batch,
        "level": level,
        "sizes": [list(size) for size in model.sizes],
        "inputs": signatures.file_inputs(model, level, batch),
        "outputs": signatures.file_outputs(model, level, stages, dtype, batch),
        "num_classes": model.num_classes,
        "classes": model.class_names,
        "license": model.terms[0] if model.terms else None,
        "versions": {"python": platform.python_version(), **found},
    }


@contextlib.contextmanager
def _failures(what):
    """Turns the many errors of converters and runtimes into one."""
    try:
        yield
    except (ExportError, OSError):
        raise
    except Exception as error:
        text = textwrap.shorten(str(error), 500) or "no message"
        raise ExportError(f"{what}: {type(error).__name__}: {text}") from error


# === Another process ===


def _is_on_cpu():
    return "cpu" in str(keras.ops.zeros(()).device).lower()


def _in_other_process(model, folder, backend, options, progress):
    """Exports a copy of the model where Keras runs on a backend's CPU."""
    with tempfile.TemporaryDirectory() as scratch:
        preset, result = Path(scratch, "preset"), Path(scratch, "result.json")
        try:
            model.save_to_preset(preset)
        except PresetError as error:
            raise ExportError(
                f"Keras on {backend} has to write this format, in a process "
                f"that gets the model as a preset; run Keras with "
                f"KERAS_BACKEND={backend} to write it here. {error}"
            ) from error
        progress(f"Starting Keras on {backend}")
        environment = {
            **os.environ,
            **CPU_ONLY,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        # The process makes it, inside what is removed here if it is killed.
        folder.rmdir()
        job = {
            "preset": str(preset),
            "path": str(folder),
            "result": str(result),
            "options": options,
        }
        child = subprocess.run(
            [sys.executable, "-m", "keras_lapgan.export.child"],
            input=json.dumps(job),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if not result.is_file():
            lines = child.stderr.strip().splitlines() or ["no message"]
            raise ExportError(
                f"Keras on {backend} ended with status {child.returncode}: "
                f"{lines[-1]}"
            )
        found = json.loads(result.read_text(encoding="utf-8"))
        if "errno" in found:
            raise OSError(found["errno"], found["error"], found["filename"])
        if "error" in found:
            raise ExportError(found["error"])
    return found["signature"]
