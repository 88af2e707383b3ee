"""The networks and data sets that a run may name; each is one file in ``models/`` or ``datasets/``."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...ground.registry import Registry
from .data_source import DataSource

if TYPE_CHECKING:
    from torch import nn

__all__ = ["DATA", "MODELS", "OWN", "Shape"]

Shape = tuple[int, int, int]
"""``(C, H, W)`` of one image."""

OWN = "own"
"""Says that a run's network, or its data, were given from Python and have no name here."""

MODELS: "Registry[Callable[[Shape, int], nn.Module]]" = Registry("model", "eigensam.landscapes.runs.models")
"""By name, what builds a network for a shape and a number of classes."""

DATA: Registry[DataSource] = Registry("data", "eigensam.landscapes.runs.datasets")
"""By name, where a data set comes from."""
