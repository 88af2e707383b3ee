from .finding import find_rule
from .known_recursions import RECURSIONS
from .language import (
    alpha,
    derivative,
    direction,
    eta,
    grad,
    hvp,
    inner,
    loss,
    mean,
    norm,
    parameter,
    rho,
    schedule,
    sign,
    state,
    unit,
)
from .momentum import heavy_ball
from .recursion import Recursion
from .repartitioned import Repartitioned
from .rule import RULES, Rule, multi_step_sam
from .sampling import GivenOrder, Independent, Reshuffled, SingleShuffle
from .schedules import Schedule

__all__ = [
    "RECURSIONS",
    "RULES",
    "GivenOrder",
    "Independent",
    "Recursion",
    "Repartitioned",
    "Reshuffled",
    "Rule",
    "Schedule",
    "SingleShuffle",
    "alpha",
    "derivative",
    "direction",
    "eta",
    "find_rule",
    "grad",
    "heavy_ball",
    "hvp",
    "inner",
    "loss",
    "mean",
    "multi_step_sam",
    "norm",
    "parameter",
    "rho",
    "schedule",
    "sign",
    "state",
    "unit",
]
