"""What a PAC-Bayes inequality is: a declaration, its free parameters, and an upper value of the Gibbs risk."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self, SupportsFloat, final

from ...ground.errors import InputError
from ...ground.settings import check_settings
from ..concentration.xi import log_xi
from ..rounding.arguments import check_delta
from ..rounding.intervals import Intervals, intervals
from .gibbs_sample import GibbsSample

__all__ = ["Known", "PacBayesInequality"]


@dataclass(frozen=True)
class Known:
    """What a sample and a confidence say, as intervals of many bits.

    Attributes:
        iv: their arithmetic.
        risk: ``r``, the empirical Gibbs risk.
        second_moment: ``m <= r``, the empirical Gibbs mean of the squared loss.
        kl: ``KL(Q || P)`` in nats.
        examples: ``n``.
        delta: the probability of failure.
    """

    iv: Intervals
    risk: Any
    second_moment: Any
    kl: Any
    examples: int
    delta: Any

    def budget(self, ways: int = 1) -> Any:
        """``KL + ln(ways / delta)``: of an exponential moment that is at most 1, at each of so many parameters."""
        return self.kl + self.iv.log(ways / self.delta)

    def kl_budget(self) -> Any:
        """``(KL + ln(xi(n) / delta)) / n``: at most this is ``kl(r || R)`` (Maurer 2004)."""
        return (self.budget() + self.iv.real(log_xi(self.examples))) / self.examples


class PacBayesInequality(ABC):
    """With probability ``1 - delta`` over the sample, for all posteriors ``Q`` at once: ``E_Q risk <= upper(...)``.

    A subclass is a frozen data class whose fields, made by ``setting``, are its free parameters. They are part of
    the inequality: they must be fixed before the sample is seen. What a theorem grants for all values at once is no
    field but chosen within. Each class is registered in ``PAC_BAYES``.

    Attributes:
        title: its name in a table.
        formula: right-hand side, with ``r`` the empirical Gibbs risk, ``m`` that of the squared loss, ``n`` examples.
        reference: paper and theorem.
        loss_range: of each loss.
        sampling: how the examples are drawn, given the prior.
        prior_may_see: which data the prior may depend on.
        delta_spent: what delta is divided among.
        free_parameter: which there is, and who may choose it.
        least_examples: the fewest for which it is proved.
    """

    title: ClassVar[str]
    formula: ClassVar[str]
    reference: ClassVar[str]
    loss_range: ClassVar[str] = "[0, 1]"
    sampling: ClassVar[str] = "independent"
    prior_may_see: ClassVar[str] = "nothing of the sample"
    delta_spent: ClassVar[str] = "once"
    free_parameter: ClassVar[str] = "none"
    least_examples: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_settings(self)

    @final
    def upper(self, sample: GibbsSample, delta: SupportsFloat) -> float:
        """An upper value of the Gibbs risk, rounded outward; 1 if the inequality says nothing.

        Args:
            sample: of the posterior, on examples that the prior and the free parameters do not depend on.
            delta: probability of failure, in (0, 1).

        Returns:
            A number in [0, 1], not below the empirical risk.

        Raises:
            InputError: delta out of range, or fewer examples than the inequality needs.
        """
        confidence = check_delta(delta)
        if sample.examples < self.least_examples:
            raise InputError(
                f"{sample.examples} examples are too few for {self.title}, which needs {self.least_examples}; "
                f"give more, or take another inequality"
            )
        iv = intervals()
        second = sample.risk if sample.second_moment is None else min(sample.risk, sample.second_moment)
        risk, moment, kl = map(iv.real, (sample.risk, second, sample.kl))
        value = self._upper(Known(iv, risk, moment, kl, sample.examples, iv.real(confidence)))
        return min(1.0, max(sample.risk, value))

    @classmethod
    @final
    def fixed_for(cls, risk: float, kl: float, examples: int, delta: float) -> Self:
        """The inequality whose free parameters are best where the guesses are right; it holds where they are wrong.

        Args:
            risk: a guess of the empirical Gibbs risk, made before the sample is seen.
            kl: a guess of the divergence.
            examples: ``n``, exact.
            delta: probability of failure, exact.

        Raises:
            InputError: a guess out of range.
        """
        return cls._fixed_for(GibbsSample(risk, kl, examples), check_delta(delta))

    @classmethod
    def _fixed_for(cls, guess: GibbsSample, delta: float) -> Self:
        return cls()

    @abstractmethod
    def _upper(self, known: Known) -> float:
        """The right-hand side as a float that is not below it; it may exceed 1."""
