import numpy as np

from keras_lapgan.metrics.binomial_pyramid import binomial_pyramid
from keras_lapgan.utils.image_grid import enlarge
from keras_lapgan.utils.image_grid import image_grid
from keras_lapgan.utils.line_chart import line_chart
from keras_lapgan.utils.panel_sheet import panel_sheet

_GRID = 8
_BANDS = 10
_NEAREST = 16
_SIDE = 56


def draw_evaluation(evaluation):
    """Draws what was evaluated, to look at.

    From above: real pictures beside generated ones; each level's bands,
    magnified about grey; of a model, what each level draws from real pictures
    and in the chain; spectra; the samples nearest to training pictures.

    Args:
        evaluation: `Evaluation`.

    Returns:
        A uint8 array `(height, width, 3)`.
    """
    report, pictures = evaluation
    protocol = report["protocol"]
    real, generated = pictures["real"], pictures["generated"]
    stretch = ", stretched" if protocol["stretch"] else ""
    what = protocol.get("evaluated", "generated")
    rows = [
        [
            (
                f"{protocol['data']} {protocol['split']}{stretch}",
                _grid(real),
            ),
            (f"{what}{stretch}: {len(generated):,} compared", _grid(generated)),
        ]
    ]
    rows += _bands(real, generated, report)
    if "levels" in pictures:
        rows += _stages(pictures["levels"])
    if "bands" in report:
        rows.append([("", _spectra(report))])
    rows.append([_nearest(pictures["nearest"], report["memorisation"])])
    return panel_sheet(rows)


def _grid(images):
    return _rgb(image_grid(_scaled(images[: _GRID**2], _SIDE), columns=_GRID))


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
        rows.append((title, _rgb(image_grid(_scaled(images, _SIDE), _BANDS))))
    return [rows[i : i + 2] for i in range(0, len(rows), 2)]


def _stages(levels):
    """What each level draws from real pictures, and in the chain."""
    rows = []
    for k, level in enumerate(levels):
        row = []
        if "given_real" in level:
            names = ("real", "given", "given_real")
            images = np.concatenate([level[name][:_BANDS] for name in names])
            side = images.shape[2]
            row.append(
                (
                    f"level {k}, {side} px: real, the same shrunk and "
                    "enlarged, what the level draws from that",
                    _rgb(image_grid(_scaled(images, _SIDE), _BANDS)),
                )
            )
        images = level["in_chain"][: 3 * _BANDS if row else _BANDS]
        row.append(
            (
                f"level {k}, {images.shape[2]} px, in the chain",
                _rgb(image_grid(_scaled(images, _SIDE), _BANDS)),
            )
        )
        rows.append(row)
    return rows


def _spectra(report):
    panels = {}
    bands = {} if "levels" in report else report["bands"]
    for side, band in bands.items():
        found = band["spectrum"]
        curves = {
            name: _log_spectrum(found[key])
            for name, key in (("real", "floor"), ("generated", "value"))
        }
        panels[f"power at {side} px, log10 by cycles an image"] = curves
    for level in report.get("levels", ()):
        side = str(level["size"][0])
        if side not in level["in_chain"].get("bands", {}):
            continue
        chain = level["in_chain"]["bands"][side]["spectrum"]
        curves = {
            "real": _log_spectrum(chain["floor"]),
            "in chain": _log_spectrum(chain["value"]),
        }
        if "given_real" in level:
            given = level["given_real"]["bands"][side]["spectrum"]
            curves["given real"] = _log_spectrum(given["value"])
        title = f"level {level['level']}, power, log10 by cycles an image"
        panels[title] = curves
    return line_chart(panels, columns=min(3, len(panels)), size=(400, 220))


def _log_spectrum(values):
    values = np.asarray(values)
    # Ring 0 is the mean's.
    rings = np.arange(1, len(values))
    return rings, np.log10(np.maximum(values[1:], 1e-12))


def _nearest(nearest, figures):
    shown = nearest[:_NEAREST]
    images = np.stack([x for _, x, _ in shown] + [x for _, _, x in shown])
    return (
        f"the samples nearest to training pictures, over these: distances "
        f"{shown[0][0]:.2f} to {shown[-1][0]:.2f} (half of held-out pictures "
        f"are nearer than {figures['floor']:.2f})",
        _rgb(image_grid(_scaled(images, _SIDE), len(shown))),
    )
