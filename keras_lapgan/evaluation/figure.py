import numpy as np

from keras_lapgan.metrics.binomial_pyramid import binomial_pyramid
from keras_lapgan.utils.image_grid import enlarge
from keras_lapgan.utils.image_grid import image_grid
from keras_lapgan.utils.line_chart import line_chart
from keras_lapgan.utils.panel_sheet import panel_sheet

_GRID = 8
_BANDS = 10
_NEAREST = 16
#: Sides of a picture in a grid, of a band, and of one beside its nearest.
_SIDES = (56, 56, 56)


def draw_evaluation(evaluation):
    """Draws what was evaluated, to look at.

    From above: real pictures beside generated ones; each level's bands,
    magnified about grey, and of a model the pictures of each level; spectra
    and other curves; samples over the training pictures nearest to them.

    Args:
        evaluation: `Evaluation`.

    Returns:
        A uint8 array `(height, width, 3)`.
    """
    report, pictures = evaluation
    real, generated = pictures["real"], pictures["generated"]
    rows = [
        [
            ("real pictures", _grid(real)),
            ("generated", _grid(generated)),
        ]
    ]
    rows += _bands(real, generated, report)
    if "levels" in pictures:
        rows += _stages(pictures["levels"])
    if "bands" in report:
        rows.append([("", _spectra(report))])
    rows.append([_nearest(generated, pictures["nearest"])])
    return panel_sheet(rows)


def _grid(images):
    return _rgb(
        image_grid(_scaled(images[: _GRID**2], _SIDES[0]), columns=_GRID)
    )


def _scaled(images, side):
    return enlarge(images, max(1, side // max(images.shape[1:3])))


def _rgb(image):
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def _bands(real, generated, report):
    """Real over generated bands, of the levels of which there are figures."""
    if "bands" not in report:
        return []
    count = len(report["bands"])
    pairs = zip(
        binomial_pyramid(real[:_BANDS], count),
        binomial_pyramid(generated[:_BANDS], count),
        strict=True,
    )
    rows = []
    for k, (side, bands) in enumerate(zip(report["bands"], pairs, strict=True)):
        # The last one is no band, but a small picture.
        low = k == count - 1
        gain = 1.0 if low else 64 / max(float(np.std(bands[0])) * 1.5, 1e-6)
        shown = [
            np.clip(np.rint(band * gain + (0 if low else 128)), 0, 255)
            for band in bands
        ]
        images = np.concatenate(shown).astype("uint8")
        std = report["bands"][side]["std"]
        ratio = std["value"] / std["floor"] if std["floor"] else 0.0
        title = (
            f"{'low-pass' if low else 'band'} at {side} px, real over "
            f"generated: deviation {std['floor']:.1f} and {std['value']:.1f} "
            f"({100 * ratio:.0f} %)"
        )
        rows.append(
            (title, _rgb(image_grid(_scaled(images, _SIDES[1]), _BANDS)))
        )
    return [rows[i : i + 2] for i in range(0, len(rows), 2)]


def _stages(levels):
    """Each level's pictures: real, drawn given real ones, in the chain."""
    rows = []
    for k, level in enumerate(levels):
        kinds = [
            (name, level[name])
            for name in ("real", "given_real", "in_chain")
            if level[name] is not None
        ]
        images = np.concatenate([images[:_BANDS] for _, images in kinds])
        names = " / ".join(name.replace("_", " ") for name, _ in kinds)
        side = images.shape[2]
        rows.append(
            (
                f"level {k}, {side} px: {names}",
                _rgb(image_grid(_scaled(images, _SIDES[1]), _BANDS)),
            )
        )
    return [rows[i : i + 2] for i in range(0, len(rows), 2)]


def _spectra(report):
    panels = {}
    for side, band in report["bands"].items():
        found = band["spectrum"]
        curves = {
            name: _log_spectrum(found[key])
            for name, key in (("real", "floor"), ("generated", "value"))
        }
        panels[f"power at {side} px, log10 by cycles an image"] = curves
    for level in report.get("levels", ()):
        side = str(level["size"][0])
        if "given_real" not in level or side not in level["in_chain"]["bands"]:
            continue
        chain = level["in_chain"]["bands"][side]["spectrum"]
        given = level["given_real"]["bands"][side]["spectrum"]
        panels[f"level {level['level']}, {side} px: log10 power"] = {
            "real": _log_spectrum(chain["floor"]),
            "given real": _log_spectrum(given["value"]),
            "in chain": _log_spectrum(chain["value"]),
        }
    return line_chart(panels, columns=min(3, len(panels)), size=(400, 220))


def _log_spectrum(values):
    values = np.asarray(values)
    # Ring 0 is the mean's.
    rings = np.arange(1, len(values))
    return rings, np.log10(np.maximum(values[1:], 1e-12))


def _nearest(generated, nearest):
    count = min(_NEAREST, len(nearest))
    images = np.concatenate([generated[:count], nearest[:count]])
    return (
        "samples over the training pictures nearest to them, in pixels",
        _rgb(image_grid(_scaled(images, _SIDES[2]), count)),
    )
