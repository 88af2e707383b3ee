"""Second-order forward Taylor passes through networks, and one backward pass behind them."""

from .elementwise import KinkWarning
from .gradient import taylor_gradients_of
from .jet import NotCoveredError

__all__ = ["KinkWarning", "NotCoveredError", "taylor_gradients_of"]
