from .presets import PRESETS, Preset, find_preset

__all__ = [
    "PRESETS",
    "Preset",
    "find_preset",
]
