"""Recursions as training code writes them, and two landscapes in one dimension."""

from fractions import Fraction
from functools import cache

from eigensam.landscapes import TiltedTorus
from eigensam.sde import derive
from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.sampling import Independent
from eigensam.sde.rules.schedules import Schedule
from eigensam.sde.rules.statements import parse_statements

HEAVY = "m = 9/10*m + g; x = x - eta*m"
HEAVY_SAM = "m = 9/10*m + grad(rho*unit(g)); x = x - eta*m"
HEAVY_USAM = "m = 9/10*m + grad(rho*g); x = x - eta*m"
NESTEROV = "m = 9/10*m + g; x = x - eta*(g + 9/10*m)"
VASSO = "m = 4/5*m + 1/5*g; x = x - eta*grad(rho*m)"
MOMENTUM_SAM = "m = 9/10*m + grad(rho/10*m); x = x - eta*m"
PLAIN_SAM = "x = x - eta*grad(rho*unit(g))"
LOOKAHEAD = "y = x; x = x - eta*grad(draw='1'); x = x - eta*grad(draw='2'); x = y + (x - y)/2"
FRICTION = "m = m + 2*eta*(-1*g - m); x = x + eta*m"
OUTSIDE = "m = 9/10*m + grad(rho*unit(g)); x = x - eta*s*m"
INSIDE = "m = 9/10*m + s*grad(rho*unit(g)); x = x - eta*m"

SCHEDULE = {"s": Schedule("(3 + cos(pi*t))/4")}
LINE = TiltedTorus.default(1)
TWO = TiltedTorus([[1.2], [0.9]], [[1], [2]], [[0.5, 0.2], [-0.35, 0.15]], [[0.0, 0.3], [1.0, 2.0]])


def recursion(text, **settings):
    return Recursion("trained", parse_statements(text, list(settings.get("schedules", {}))), **settings)


@cache
def derived(text, order=2, beta="2/3", sampling=Independent()):  # noqa: B008  # frozen
    """The SDE of a recursion, with the schedule where the text has one."""
    schedules = SCHEDULE if "s*" in text else {}
    return derive(recursion(text, sampling=sampling, schedules=schedules), order, beta)


def scaled(powers, factor):
    """All powers of rho of one part of an SDE, multiplied."""
    return {k: value * Fraction(factor) for k, value in powers.items()}
