"""What Monte Carlo says of a Gibbs risk."""

from dataclasses import asdict, dataclass

__all__ = ["GibbsEstimate"]


@dataclass(frozen=True)
class GibbsEstimate:
    """A Gibbs risk on one sample: an estimate, and an upper value that is a certificate for that sample.

    Attributes:
        loss: ``zero-one`` or ``cross-entropy``.
        mean: average loss over draws and examples, rounded up.
        upper: with probability at least ``1 - delta`` over the draws, the sample's Gibbs risk is at most this.
        delta: what ``upper`` spends.
        examples: size of the sample.
        draws: of the weights, per example.
        independent: number of independent variables averaged: examples times draws where every example has fresh
            weights, the number of draws where one draw serves all.
        tolerance: error of the scores, relative to the largest of their example, that the losses allow for.

    Example:
        >>> GibbsEstimate("zero-one", 0.01, 0.0123, 0.05, 100, 10, 1000, 1e-8)
        GibbsEstimate(zero-one <= 0.0123 at 95 %, mean 0.01, 1000 independent losses)
    """

    loss: str
    mean: float
    upper: float
    delta: float
    examples: int
    draws: int
    independent: int
    tolerance: float

    def to_dict(self) -> dict[str, object]:
        """Give a JSON-ready dictionary."""
        return asdict(self)

    def __repr__(self) -> str:
        return (
            f"GibbsEstimate({self.loss} <= {self.upper:.4g} at {100 * (1 - self.delta):.6g} %, mean {self.mean:.4g}, "
            f"{self.independent} independent losses)"
        )
