"""How long each item took where it was measured last, for those who ask before they measure.

``benchmarks/figure_times.py`` prints what belongs here, from a folder of results.
"""

from collections.abc import Mapping

__all__ = ["MACHINE", "REFERENCE_TIMES"]

MACHINE = "two cores of a server, without accelerator, one thread in each process"

REFERENCE_TIMES: Mapping[str, Mapping[str, float]] = {"quick": {}, "laptop": {}}
"""Seconds of an item, by preset; trainings that an earlier item has made are not in them."""
