from .item import Claim, Item, Table
from .preset import Preset, find_preset
from .registry import ITEMS, PRESETS
from .resources import Resources
from .trainings import Trainings

__all__ = [
    "ITEMS",
    "PRESETS",
    "Claim",
    "Item",
    "Preset",
    "Resources",
    "Table",
    "Trainings",
    "find_preset",
]
