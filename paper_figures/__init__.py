"""One module per figure or table: measure, write JSON, plot; presets; the report."""

from .presets import PRESETS, Preset, find_preset

__all__ = [
    "PRESETS",
    "Preset",
    "find_preset",
]
