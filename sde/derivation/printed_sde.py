"""What printing reads of a derived SDE, which itself says how it prints: a protocol between the two files."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Protocol

from ..algebra.sums import Sum
from ..rules.recursion import Recursion
from ..rules.rule import Rule
from .averaging.recursion_parts import RecursionParts

__all__ = ["Powers", "PrintedSDE"]

Powers = Mapping[int, Sum]
"""Coefficients by power of ``rho``."""


class PrintedSDE(Protocol):
    """The attributes of :class:`.derived_sde.SDE` that :mod:`.recursion_equations` writes."""

    @property
    def rule(self) -> Rule | Recursion:
        """What is trained."""

    @property
    def parts(self) -> RecursionParts | None:
        """Where a recursion's SDE comes from."""

    @property
    def rate(self) -> Fraction:
        """The effective rate as a multiple of the learning rate."""

    @property
    def blocks(self) -> tuple[str, ...]:
        """The slow ones."""

    @property
    def memory(self) -> Mapping[str, Fraction]:
        """The fast ones, with their factors."""

    @property
    def corrector(self) -> Mapping[str, Powers]:
        """``chi``, by slow block."""

    @property
    def drift(self) -> Powers:
        """``b_0``."""

    @property
    def correction(self) -> Powers:
        """``b_1``."""

    @property
    def covariance(self) -> Powers:
        """Increments whose covariance the noise has."""

    @property
    def ordered(self) -> Powers:
        """What pairs of minibatches add to ``b_1``, before its mean."""

    @property
    def covariance_order(self) -> int:
        """How many powers the covariance keeps."""

    @property
    def correction_order(self) -> int:
        """How many powers ``b_1`` keeps."""
