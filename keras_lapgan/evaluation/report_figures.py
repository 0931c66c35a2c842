import re
from pathlib import Path
from typing import NamedTuple

#: Figures of a report, as tables have them: name, and which is better.
_NAMES = {
    "fid": ("FID", "lower"),
    "kid": ("KID x 1e3", "lower"),
    "is": ("Inception score", "higher"),
    "precision": ("Precision", "as real"),
    "recall": ("Recall", "higher"),
    "density": ("Density", "as real"),
    "coverage": ("Coverage", "higher"),
    "class_agreement": ("Class as asked, by a classifier", "higher"),
    "memorisation": ("Distance to the nearest training picture", "as real"),
}


class Figure(NamedTuple):
    """A figure of a report, for people.

    Attributes:
        name: str.
        key: str. The same for machines, and the same in all reports.
        better: str. `"lower"`, `"higher"` or `"as real"`.
        n: int. Number of pictures.
        value: float.
        floor: float. Of other real pictures.
    """

    name: str
    key: str
    better: str
    n: int
    value: float
    floor: float


def preset_metrics(report):
    """The figures of a report, as a preset's `metadata.json` holds metrics.

    Args:
        report: dict. `Evaluation.report`, or what `keras-lapgan evaluate`
            wrote.

    Returns:
        A list of dicts of `name`, `value`, `type`, `dataset`, `split` and
        `protocol`.
    """
    protocol = report["protocol"]
    # Of a folder its name, not its place on this machine.
    dataset = Path(protocol["data"]).name
    shared = {"dataset": dataset, "split": protocol["split"]}
    return [
        {
            "name": f"{figure.name} (real pictures: {figure.floor:.3g})",
            "value": float(f"{figure.value:.4g}"),
            "type": re.sub(r"[^a-z0-9]+", "_", figure.key.lower()),
            "protocol": _told(protocol, figure.n),
            **shared,
        }
        for figure in named_figures(report)
    ]


def named_figures(report):
    """Yields a report's figures by name, as tables list them.

    Args:
        report: dict. A report, or the figures of a level in it.

    Yields:
        `Figure`s: of texture, of features, of copies.
    """

    def named(name, key, better, found, scale=1):
        return Figure(
            name,
            key,
            better,
            found["n"],
            found["value"] * scale,
            found["floor"] * scale,
        )

    for side, found in report.get("swd", {}).items():
        yield named(f"SWD x 1e3, {side} px", f"swd_{side}", "lower", found)
    sides = list(report.get("bands", {}))
    for side in sides:
        part = "band" if side != sides[-1] else "low-pass"
        yield named(
            f"Deviation of the {part}, {side} px",
            f"band_std_{side}",
            "as real",
            report["bands"][side]["std"],
        )
    for key, found in report.items():
        kind, _, extractor = key.partition("_")
        if kind in ("fd", "kd", "is") and extractor:
            better = "higher" if kind == "is" else "lower"
            name = f"{kind.upper()}-{extractor.capitalize()}"
            if kind == "kd":
                name += " x 1e3"
        elif key in _NAMES:
            name, better = _NAMES[key]
        elif key == "ms_ssim":
            within = " of a class" if found["within_classes"] else ""
            name, better = f"MS-SSIM of random pairs{within}", "as real"
        else:
            continue
        scale = 1000 if kind in ("kd", "kid") else 1
        yield named(name, key, better, found, scale)


def _told(protocol, n):
    """One sentence on how figures were made."""
    parts = [f"n = {n}"]
    if "seed" in protocol:
        parts.append(f"samples of seed {protocol['seed']}")
    parts.append(crop_words(protocol["crop"]))
    if protocol["stretch"]:
        parts.append("each picture stretched to 0..255")
    parts.append(f"floor: {protocol['floor']}")
    if protocol["extractor"]:
        extractor = protocol["extractor"]
        parts.append(
            f"{extractor['name']} {extractor['weights_sha256'][:8]}, resized "
            f"{extractor['resize']}"
        )
    versions = protocol["versions"]
    parts.append(
        f"keras-lapgan {versions['keras_lapgan']}, {versions['backend']}"
    )
    return ", ".join(filter(None, parts))


def crop_words(crop):
    """How pictures were cut, for a sentence."""
    return {
        "corners": "corner crops",
        "random": "random crops",
        "center": "middle crops",
        "none": "scaled",
    }[crop]
