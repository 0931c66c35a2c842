"""Samples against real pictures: all measures, with their protocol."""

import importlib

_HOMES = {
    "Comparison": "comparison",
    "RealPictures": "real_pictures",
    "ResultCache": "result_cache",
    "choose_extractor": "extractors",
    "diagnose": "evaluate",
    "diagnose_levels": "level_diagnosis",
    "draw_evaluation": "figure",
    "evaluate_model": "evaluate",
    "evaluate_samples": "evaluate",
    "level_figures": "report_figures",
    "named_figures": "report_figures",
    "preset_metrics": "report_figures",
}

__all__ = list(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
