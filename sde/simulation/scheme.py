"""What a scheme is: one step of an SDE from one point, and the orders that it declares."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol, final

from torch import Tensor

from ...ground.errors import InputError
from ...ground.registry import Registry

__all__ = ["SCHEMES", "Calculus", "Increments", "Noise", "PointFunctions", "Scheme"]

Calculus = Literal["ito", "stratonovich"]
Noise = Literal["additive", "scalar", "diagonal", "commuting", "general"]
Increments = Literal["normal", "two-point", "three-point"]


_MOST_WITH_SIGNS = 64  # ours: a minute of recording


class PointFunctions(Protocol):
    """An SDE as a scheme sees it: functions of one point, whose derivatives ``torch.func`` may take."""

    def drift(self, t: Tensor, x: Tensor) -> Tensor:
        """``b(t, x)``, shape ``(d,)``, at a time without a shape and a point of shape ``(d,)``."""

    def diffusion(self, t: Tensor, x: Tensor) -> Tensor:
        """``G(t, x)``, shape ``(d, m)``: column ``j`` multiplies ``dW_j``."""


class Scheme(ABC):
    """A one-step scheme for ``dX = b(t, X) dt + G(t, X) dW``.

    Orders are declared for ``h -> 0`` at noise of a fixed size: strong, ``E |X_n - X(T)| = O(h^p)``; weak, ``E phi(X_n)
    - E phi(X(T)) = O(h^p)`` for smooth ``phi``. A kind of noise that ``weak_order`` does not list is refused.

    Attributes:
        calculus: that of the problems it solves.
        increments: the law of ``dw``. "normal" alone can follow a given Brownian path.
        signs: whether a step needs ``m (m - 1) / 2`` random signs besides, see :meth:`step`.
        weak_order: by kind of noise.
        strong_order: by kind of noise; none is declared for kinds that it does not list.
        source: paper or book, with the number of the formula.
    """

    calculus: ClassVar[Calculus]
    increments: ClassVar[Increments] = "normal"
    signs: ClassVar[bool] = False
    weak_order: ClassVar[Mapping[Noise, float]]
    strong_order: ClassVar[Mapping[Noise, float]] = {}
    source: ClassVar[str]

    @abstractmethod
    def step(self, sde: PointFunctions, t: Tensor, x: Tensor, h: float, dw: Tensor, signs: Tensor) -> Tensor:
        """``X`` at ``t + h``, shape ``(d,)``, from ``x`` at ``t``.

        Written for one point in torch operations whose course does not depend on the numbers; the engine makes of it
        one function of many paths.

        Args:
            sde: drift and diffusion.
            t: time, without a shape.
            x: point, shape ``(d,)``.
            h: length of the step.
            dw: increments of mean 0 and variance ``h``, shape ``(m,)``: normal, ``+- sqrt(h)`` (two-point), or
                ``+- sqrt(3 h)`` with probability 1/6 each and otherwise 0 (three-point).
            signs: independent ``+- 1``, shape ``(m (m - 1) / 2,)``: of the pairs (0, 1), (0, 2), ..., (1, 2), ... Has
                no elements if the scheme declares none.
        """

    @final
    def sign_count(self, noise_dim: int) -> int:
        """How many signs a step needs.

        Raises:
            InputError: so many that its code would take minutes to record.
        """
        if self.signs and noise_dim > _MOST_WITH_SIGNS:
            raise InputError(
                f"with {noise_dim} Brownian motions a step of this scheme takes {noise_dim * (noise_dim - 1) // 2} "
                f"signs and {2 * noise_dim + 1} diffusions; take at most {_MOST_WITH_SIGNS}, or a scheme without signs"
            )
        return noise_dim * (noise_dim - 1) // 2 if self.signs else 0

    @final
    def check(self, name: str, calculus: Calculus, noise: Noise) -> None:
        """Refuse a problem of another kind.

        Raises:
            InputError: what it is, what the scheme takes, and which schemes take it.
        """
        if calculus == self.calculus and noise in self.weak_order:
            return
        others = [
            other for other, scheme in SCHEMES.items() if scheme.calculus == calculus and noise in scheme.weak_order
        ]
        raise InputError(
            f"the scheme '{name}' solves {self.calculus} problems with {', '.join(self.weak_order)} noise; found "
            f"{calculus} with {noise} noise: choose {' or '.join(others)}, or convert the problem"
        )


SCHEMES: Registry[Scheme] = Registry("scheme", "eigensam.sde.simulation.schemes")
"""A scheme is registered at the end of its file: ``SCHEMES.register("name")(Name())``, an instance of the class."""
