"""Recursions that the engine has to derive, with what a person computes of them by hand: rate and slow blocks."""

from dataclasses import dataclass, field
from fractions import Fraction

from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.sampling import Reshuffled, SingleShuffle
from eigensam.sde.rules.schedules import Schedule
from eigensam.sde.rules.statements import parse_statements

__all__ = ["EPOCHS", "TRAINED", "Trained", "recursion"]

Q = Fraction

SCHEDULE = {"s": Schedule("(3 + cos(pi*t))/4")}


def recursion(text, **settings):
    """A recursion from its statements."""
    return Recursion("r", parse_statements(text, list(settings.get("schedules", {}))), **settings)


@dataclass(frozen=True)
class Trained:
    """A recursion and what a person knows of it.

    Attributes:
        text: its statements.
        rate: ``W``, the time of one step of the recursion in units of ``eta``.
        factors: by which fast memory is multiplied in a step.
        slow: blocks that move by a multiple of ``eta``.
        settings: of :class:`Recursion`.
        radical: the noise is given in multiples of the root of this number.
        noise: how many powers of ``rho`` the covariance has over one minibatch; beyond, it has none.
        poles: by how many powers of ``rho`` a step divides.
    """

    text: str
    rate: Fraction | int = 1
    factors: tuple = ()
    slow: tuple = ("x",)
    settings: dict = field(default_factory=dict)
    radical: int = 1
    noise: int = 4
    poles: int = 0

    @property
    def recursion(self):
        return recursion(self.text, **self.settings)


_SAM = "grad(rho*unit(g))"
_HALVES = "grad(rho*unit(grad(draw='{0}')), draw='{0}')"
_MICRO = f"({_HALVES.format('a')} + {_HALVES.format('b')})/2"
_TOGETHER = "(grad(draw='a') + grad(draw='b'))/2"

TRAINED = {
    "heavy ball": Trained("m = 9/10*m + g; x = x - eta*m", Q(10), (Q(9, 10),)),
    "SAM with momentum": Trained(f"m = 9/10*m + {_SAM}; x = x - eta*m", Q(10), (Q(9, 10),)),
    "USAM with dampening": Trained("m = 3/4*m + 1/4*grad(rho*g); x = x - eta*m", Q(1), (Q(3, 4),)),
    "Nesterov": Trained("m = 1/2*m + g; x = x - eta*(g + 1/2*m)", Q(2), (Q(1, 2),)),
    "SAM with Nesterov": Trained(f"d = {_SAM}; m = 2/3*m + d; x = x - eta*(d + 2/3*m)", Q(3), (Q(2, 3),)),
    "optimistic": Trained("d = 2*g - m; m = g; x = x - eta*d", Q(1), (Q(0),)),
    "two memories": Trained("m = 1/2*m + g; n = 1/3*n + m; x = x - eta*n", Q(3), (Q(1, 2), Q(1, 3))),
    "coupled decay": Trained(f"m = 1/2*m + {_SAM} + 1/7*x; x = x - eta*m", Q(2), (Q(1, 2),)),
    "decoupled decay": Trained(f"m = 1/2*m + {_SAM}; x = x - eta*m - eta/5*x", Q(2), (Q(1, 2),)),
    "decay in the ascent": Trained("m = 1/2*m + grad(rho*(g + 1/3*x)) + 1/3*x; x = x - eta*m", Q(2), (Q(1, 2),)),
    "VaSSO": Trained("m = 2/3*m + 1/3*g; x = x - eta*grad(rho*m)", Q(1), (Q(2, 3),), noise=2),
    "VaSSO in the increment": Trained("m = 2/3*m + 1/3*g; x = x - eta*(g + rho*hvp(m))", Q(1), (Q(2, 3),), noise=2),
    "momentum-SAM": Trained("m = 1/2*m + grad(-rho*m); x = x - eta*m", Q(2), (Q(1, 2),), noise=2),
    "Lookahead 2": Trained(
        f"y = x; x = x - eta*{_HALVES.format('1')}; x = x - eta*{_HALVES.format('2')}; x = y + (x - y)/3",
        Q(2, 3),
        settings={"inner_steps": 2},
    ),
    "Lookahead 3": Trained(
        "y = x; x = x - eta*grad(draw='1'); x = x - eta*grad(draw='2'); x = x - eta*grad(draw='3'); x = y + (x - y)/2",
        Q(3, 2),
        settings={"inner_steps": 3},
    ),
    "friction": Trained(f"m = m + 2*eta*(-1*{_SAM} - m); x = x + eta*m", slow=("x", "m")),
    "pulled to an average": Trained("x = x - eta*g - eta/2*(x - y); y = 1/2*y + 1/2*x", Q(1), (Q(1, 2),)),
    "slow average": Trained(f"x = x - eta*{_SAM} - eta*(x - y); y = y + eta/3*(x - y)", slow=("x", "y")),
    "two draws": Trained("x = x - eta*grad(rho*unit(grad(draw='a')))", noise=2),
    "two draws with momentum": Trained(
        "m = 1/2*m + grad(rho*grad(draw='a')); x = x - eta*m", Q(2), (Q(1, 2),), noise=2
    ),
    "m-SAM": Trained(f"x = x - eta*{_MICRO}", radical=2),
    "m-SAM of distinct batches": Trained(f"x = x - eta*{_MICRO}", settings={"distinct": 3}),
    "one ascent for both": Trained(
        f"x = x - eta*(grad(rho*{_TOGETHER}, draw='a') + grad(rho*{_TOGETHER}, draw='b'))/2", settings={"distinct": 3}
    ),
    "difference quotient": Trained("m = 1/2*m + g + (grad(rho*g) - g)/rho; x = x - eta*m", Q(2), (Q(1, 2),), poles=1),
    "ascent along the mean": Trained("m = 1/2*m + grad(rho*E[g]); x = x - eta*m", Q(2), (Q(1, 2),)),
    "schedule inside": Trained(
        f"m = 1/2*m + s*{_SAM}; x = x - eta*m", Q(2), (Q(1, 2),), settings={"schedules": SCHEDULE}
    ),
    "schedule outside": Trained(
        f"m = 1/2*m + {_SAM}; x = x - eta*s*m", Q(2), (Q(1, 2),), settings={"schedules": SCHEDULE}
    ),
    "scheduled radius": Trained(
        "m = 1/2*m + grad(rho*s*unit(g)); x = x - eta*m", Q(2), (Q(1, 2),), settings={"schedules": SCHEDULE}
    ),
}
"""With independent draws."""

_HALF = {"rate": Q(2), "factors": (Q(1, 2),)}

EPOCHS = {
    "reshuffled": Trained("x = x - eta*g", settings={"sampling": Reshuffled(3)}),
    "reshuffled SAM": Trained(f"m = 1/2*m + {_SAM}; x = x - eta*m", **_HALF, settings={"sampling": Reshuffled(3)}),
    "drop-last": Trained("x = x - eta*grad(rho*g)", settings={"sampling": Reshuffled(3, steps=2)}, radical=2),
    "drop-last with momentum": Trained(
        f"m = 1/2*m + {_SAM}; x = x - eta*m", **_HALF, settings={"sampling": Reshuffled(4, steps=2)}, radical=6
    ),
    "reshuffled Nesterov": Trained(
        "d = grad(rho*g); m = 1/2*m + d; x = x - eta*(d + 1/2*m)", **_HALF, settings={"sampling": Reshuffled(2)}
    ),
    "reshuffled, decay": Trained(
        f"m = 1/2*m + {_SAM}; x = x - eta*m - eta/5*x", **_HALF, settings={"sampling": Reshuffled(3)}
    ),
    "reshuffled, coupled decay and a schedule": Trained(
        f"m = 1/2*m + {_SAM} + 1/7*x; x = x - eta*s*m",
        **_HALF,
        settings={"sampling": Reshuffled(2), "schedules": SCHEDULE},
    ),
    "reshuffled, two memories": Trained(
        "m = 1/2*m + g; n = 1/3*n + m; x = x - eta*n", Q(3), (Q(1, 2), Q(1, 3)), settings={"sampling": Reshuffled(2)}
    ),
    "reshuffled, gradient ahead": Trained(
        "m = 1/2*m + grad(-1/2*eta*m); x = x - eta*m", **_HALF, settings={"sampling": Reshuffled(3, steps=2)}, radical=2
    ),
    "reshuffled, gradient after the move": Trained(
        f"x = x - eta*m; m = 1/2*m + {_SAM}", **_HALF, settings={"sampling": Reshuffled(2)}
    ),
    "single shuffle, moved twice": Trained(
        "m = 1/2*m + g; x = x - eta*m; x = x - eta*g", Q(3), (Q(1, 2),), settings={"sampling": SingleShuffle(2)}
    ),
    "reshuffled, a mean in the step": Trained(
        "m = 1/2*m + g; x = x - eta*(m + mean(g))", Q(3), (Q(1, 2),), settings={"sampling": Reshuffled(2)}
    ),
    "single shuffle": Trained("x = x - eta*grad(rho*g)", settings={"sampling": SingleShuffle(3)}),
    "single shuffle with momentum": Trained(
        f"m = 1/2*m + {_SAM}; x = x - eta*m", **_HALF, settings={"sampling": SingleShuffle(3)}
    ),
}
"""Of an epoch."""
