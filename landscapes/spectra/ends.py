"""Which end of a spectrum is wanted; apart, so that a command's help knows it without torch."""

from typing import Literal

__all__ = ["End"]

End = Literal["largest", "smallest", "both"]
