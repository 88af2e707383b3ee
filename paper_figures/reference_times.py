"""How long each item took where it was measured last, for those who ask before they measure.

``benchmarks/figure_times.py`` prints what belongs here, from a folder of results.
"""

from collections.abc import Mapping

__all__ = ["MACHINE", "REFERENCE_TIMES"]

MACHINE = "two cores of a server, without accelerator, one thread in each process"

REFERENCE_TIMES: Mapping[str, Mapping[str, float]] = {
    "quick": {
        "weak_order": 2.81,
        "figure1": 42.3,
        "certificates_along": 8.42,
        "figure2": 21.8,
        "k_table": 33.6,
        "power_convergence": 5.35,
        "eigenvector_decay": 11.8,
        "power_example": 0.00422,
    },
    "laptop": {"weak_order": 2.81, "power_example": 0.00422},
}
"""Seconds of an item, by preset; trainings that an earlier item has made are not in them, and what has not been
measured at its size is missing."""
