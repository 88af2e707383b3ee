"""From a run to a certificate: choices, the record of them, the kept examples, two statements, one ledger."""

from collections.abc import Callable

__all__ = ["certify"]

Progress = Callable[[str, int, int], None]

_PREDICTIONS = 3_000_000
_EPOCHS = {"trained": 30, "initial": 60, "zero": 60}
