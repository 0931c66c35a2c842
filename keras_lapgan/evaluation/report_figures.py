import re
from pathlib import Path

#: Figures of a report that a card shows, and their names.
_NAMES = {
    "fid": "FID",
    "kid": "KID x 1e3",
    "is": "Inception score",
    "precision": "Precision",
    "recall": "Recall",
    "density": "Density",
    "coverage": "Coverage",
    "ms_ssim": "MS-SSIM of random pairs",
    "memorisation": "Distance to the nearest training picture",
}


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
            "name": f"{name} (real pictures: {figure['floor'] * scale:.3g})",
            "value": float(f"{figure['value'] * scale:.4g}"),
            "type": re.sub(r"[^a-z0-9]+", "_", key.lower()),
            "protocol": _told(protocol, figure["n"]),
            **shared,
        }
        for name, key, figure, scale in named_figures(report)
    ]


def named_figures(report):
    """Yields a report's figures by name, as tables list them.

    Args:
        report: dict. A report, or the figures of a level in it.

    Yields:
        `(name, key, figure, scale)`: the name for people, one for machines,
        the dict of `n`, `value` and `floor`, and what to multiply these by.
    """
    for side, figure in report.get("swd", {}).items():
        yield f"SWD x 1e3, {side} px", f"swd_{side}", figure, 1
    for key, figure in report.items():
        name, scale = _NAMES.get(key), 1
        kind, _, extractor = key.partition("_")
        if kind in ("fd", "kd", "is") and extractor:
            name = f"{kind.upper()}-{extractor.capitalize()}"
        if kind in ("kd", "kid"):
            name, scale = name.removesuffix(" x 1e3") + " x 1e3", 1000
        if name is not None:
            yield name, key, figure, scale
    for side, band in report.get("bands", {}).items():
        name = f"Standard deviation of the band, {side} px"
        yield name, f"band_std_{side}", band["std"], 1


def _told(protocol, n):
    """One sentence on how figures were made."""
    parts = [f"n = {n}"]
    if "seed" in protocol:
        parts.append(f"samples of seed {protocol['seed']}")
    parts.append(f"{protocol['crop']} crops" if protocol["crop"] else "")
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
