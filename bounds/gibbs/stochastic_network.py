"""A network whose weights are random."""

from abc import ABC, abstractmethod

from torch import Generator, Tensor

__all__ = ["StochasticNetwork"]


class StochasticNetwork(ABC):
    """Class scores of a network with weights drawn from a posterior.

    Attributes:
        classes: number of scores per example, at least 2.
        fresh_per_example: whether every (draw, example) has independent weights, given the inputs. Then all losses
            are independent. If not, one draw of the weights serves all rows, and only draws are independent.
    """

    classes: int
    fresh_per_example: bool

    @abstractmethod
    def logits(self, inputs: Tensor, draws: int, generator: Generator) -> Tensor:
        """Scores of shape ``(draws, batch, classes)``, float32 or float64.

        Args:
            inputs: ``(batch, ...)``.
            draws: number of independent draws for every example.
            generator: the only source of randomness, on the device of the inputs.
        """
