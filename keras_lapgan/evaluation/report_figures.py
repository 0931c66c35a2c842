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


def preset_metrics(report, authors=None):
    """The figures of a report, as a preset's `metadata.json` holds metrics.

    Args:
        report: dict. `Evaluation.report`, or what `keras-lapgan evaluate`
            wrote.
        authors: dict or None. The report of the paper's authors' own samples,
            whose figures stand beside those made by the same protocol.
            Defaults to None.

    Returns:
        A list of dicts of `name`, `value`, `floor` (other real pictures in
        place of the samples), maybe `authors`, `type`, `dataset`, `split` and
        `protocol`: of the pictures, then of each level.
    """
    protocol = report["protocol"]
    # Of a folder its name, not its place on this machine.
    dataset = Path(protocol["data"]).name
    shared = {"dataset": dataset, "split": protocol["split"]}
    beside = {}
    if authors and _compared(authors) == _compared(report):
        beside = {(x.name, x.n): x.value for x in named_figures(authors)}

    def metric(figure, told, name="", key=""):
        found = {
            "name": name + figure.name,
            "value": _rounded(figure.value),
            "floor": _rounded(figure.floor),
            "type": re.sub(r"[^a-z0-9]+", "_", (key + figure.key).lower()),
            "protocol": told,
            **shared,
        }
        if not name and (figure.name, figure.n) in beside:
            found["authors"] = _rounded(beside[figure.name, figure.n])
        return found

    metrics = [
        metric(figure, _told(protocol, figure.n))
        for figure in named_figures(report)
    ]
    alone = {**protocol, "stretch": protocol.get("levels_stretch", False)}
    for level, given, chained in level_figures(report):
        told = _told(alone, chained.n) + ", level by level"
        k = level["level"]
        for words, figure in (("given real", given), ("in the chain", chained)):
            if figure is not None:
                key = f"level_{k}_{words.replace(' ', '_')}_"
                name = f"Level {k}, {words}: "
                metrics.append(metric(figure, told, name, key))
    return metrics


def _compared(report):
    """What must be the same if two reports are to be compared."""
    names = ("size", "stretch", "reference_sha256", "extractor")
    return [report["protocol"][name] for name in names]


def _rounded(value):
    return float(f"{value:.4g}")


def level_figures(report):
    """Yields what tables say of each level.

    Args:
        report: dict. A model's report.

    Yields:
        A level, a dict, with two `Figure`s of one measure: given real pictures
        (None of the coarsest level), and in the chain.
    """
    for level in report.get("levels", ()):
        side = level["size"][0]
        given = {x.key: x for x in named_figures(level.get("given_real", {}))}
        own = {f"swd_{side}", f"band_std_{side}", "recall", "coverage"}
        for figure in named_figures(level["in_chain"]):
            kind = figure.key.partition("_")[0]
            if figure.key in own or kind in ("fd", "kd", "fid", "kid"):
                yield level, given.get(figure.key), figure


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
