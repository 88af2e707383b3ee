from .item import Claim, Item, Table
from .preset import PRESETS, Preset, find_preset
from .registry import ITEMS
from .resources import Resources
from .trainings import Trainings
from .verdict import Verdict, above, below, decide

__all__ = [
    "ITEMS",
    "PRESETS",
    "Claim",
    "Item",
    "Preset",
    "Resources",
    "Table",
    "Trainings",
    "Verdict",
    "above",
    "below",
    "decide",
    "find_preset",
]
