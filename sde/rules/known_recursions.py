"""Rules with memory, several minibatches a step, or averages, each a few lines of the language."""

from collections.abc import Iterator
from fractions import Fraction
from numbers import Integral
from typing import Any

from ...ground.errors import InputError
from .language import eta, grad, rho, state, unit
from .momentum import SGDStep, exact, heavy_ball, step_of
from .nodes import Vector
from .recursion import Recursion
from .rewriting import labelled, regularised
from .rule import RULES, Rule

__all__ = [
    "RECURSIONS",
    "averaged_steps",
    "averaged_weights",
    "friction",
    "lookahead",
    "m_sam",
    "momentum_sam",
    "two_batch_sam",
    "vasso",
]


def vasso(theta: Any = Fraction(9, 10), *, normalised: bool = False, beta: Any = 0) -> Recursion:
    """SAM along a moving average: ``d = (1 - theta) d + theta g``, ``x = x - eta grad f(x + rho d)``.

    Args:
        theta: weight of the newest gradient, in (0, 1]; at 1 it is USAM, or SAM.
        normalised: perturb along ``d/|d|``, as the paper does. That is no polynomial of the memory, so its average has
            no closed form, and :func:`derive` refuses it.
        beta: momentum of the step.

    Raises:
        InputError: ``theta`` outside (0, 1].

    Source:
        Li & Giannakis 2023, "Enhancing sharpness-aware optimization through variance suppression", Algorithm 1.

    Example:
        >>> print(vasso("1/10"))
        vasso: d = 9*d/10 + g/10; x = x - eta*grad(rho*d)
    """
    theta = exact(theta, "theta")
    if not 0 < theta <= 1:
        raise InputError(f"theta = {theta} is not a weight; give one in (0, 1], such as 9/10")
    d = state("d")
    average = theta * grad() if theta == 1 else (1 - theta) * d + theta * grad()
    step = grad(rho * (unit(d) if normalised else d))
    return Recursion(
        "vasso-normalised" if normalised else "vasso",
        [("d", average), *SGDStep(beta).statements(step)],
        summary="variance-suppressed SAM, Li & Giannakis 2023" + ("" if normalised else ", without the norm"),
    )


def momentum_sam(beta: Any = Fraction(9, 10), *, normalised: bool = False) -> Recursion:
    """SAM against the momentum, in one pass: ``m = beta m + grad f(x - rho m)``, ``x = x - eta m``.

    Args:
        beta: momentum, in (0, 1).
        normalised: perturb along ``-m/|m|``, as the paper does, which :func:`derive` refuses as :func:`vasso`'s.

    Raises:
        InputError: ``beta`` outside (0, 1).

    Source:
        Becker, Altrock & Risse 2024, "Momentum-SAM: sharpness aware minimization without computational overhead",
        Algorithm 1.

    Example:
        >>> print(momentum_sam())
        momentum-sam: m = 9*m/10 + grad(-rho*m); x = x - eta*m
    """
    base, m = SGDStep(beta), state("m")
    if not base.beta:
        raise InputError("momentum-SAM needs a momentum above 0, such as beta = 9/10")
    return Recursion(
        "momentum-sam-normalised" if normalised else "momentum-sam",
        base.statements(grad(-rho * (unit(m) if normalised else m))),
        summary="SAM along the momentum, Becker et al. 2024" + ("" if normalised else ", without the norm"),
    )


def lookahead(steps: int = 5, alpha: Any = Fraction(1, 2), rule: "Rule | Vector" = RULES["sgd"]) -> Recursion:
    """``y = x``, ``k`` steps of a rule, each of its own minibatch, then ``x = y + alpha (x - y)``: a cycle is one step.

    Args:
        steps: ``k``, at least 1.
        alpha: what is kept of the cycle's way, in (0, 1].
        rule: without memory: what the inner optimizer does.

    Raises:
        InputError: ``steps`` or ``alpha`` out of range.

    Source:
        Zhang, Lucas, Hinton & Ba 2019, "Lookahead optimizer: k steps forward, 1 step back", Algorithm 1.

    Example:
        >>> print(lookahead(2))
        lookahead: y = x; x = x - eta*grad(draw='1'); x = x - eta*grad(draw='2'); x = y + (x - y)/2
    """
    alpha = exact(alpha, "alpha")
    if not (isinstance(steps, Integral) and steps >= 1 and 0 < alpha <= 1):
        raise InputError(f"Lookahead of {steps} steps with alpha = {alpha}; give at least 1, and alpha in (0, 1]")
    x, y, step = state("x"), state("y"), step_of(rule)
    inner = [("x", x - eta * labelled(step, str(i))) for i in range(1, int(steps) + 1)]
    return Recursion(
        "lookahead",
        [("y", x), *inner, ("x", y + alpha * (x - y))],
        inner_steps=int(steps),
        summary=f"{steps} steps forward, {alpha} of the way kept, Zhang et al. 2019",
    )


def averaged_steps(rule: "Rule | Vector", count: int) -> Vector:
    """The mean of a rule's steps with ``count`` minibatches, each with what it computes for itself.

    Raises:
        InputError: fewer than 1.

    Example:
        >>> averaged_steps(RULES["usam"], 2)
        (grad(rho*grad(draw='1'), draw='1') + grad(rho*grad(draw='2'), draw='2'))/2
    """
    if not (isinstance(count, Integral) and count >= 1):
        raise InputError(f"a mean of {count} steps; give at least 1")
    step = step_of(rule)
    parts = [labelled(step, str(i)) for i in range(1, int(count) + 1)] if count > 1 else [step]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    result: Vector = Fraction(1, int(count)) * total
    return result


def m_sam(
    parts: int = 4, *, family: int | None = None, beta: Any = 0, rule: "Rule | Vector" = RULES["sam"]
) -> Recursion:
    """The mean over ``k`` micro-batches of ``grad f_i(x + rho g_i/|g_i|)``: each has its own perturbation.

    Args:
        parts: ``k``, micro-batches of a step.
        family: how many there are, of which a step draws different ones; None: it draws independently.
        beta: momentum.
        rule: of each micro-batch.

    Source:
        Foret et al. 2021, Section 2 (m-sharpness); Andriushchenko & Flammarion 2022.

    Example:
        >>> print(m_sam(2, rule=RULES["usam"]).step)
        x = x - eta*(grad(rho*grad(draw='1'), draw='1') + grad(rho*grad(draw='2'), draw='2'))/2
    """
    step = averaged_steps(rule, parts)
    summary = f"each of {parts} micro-batches has its own perturbation, Foret et al. 2021"
    return Recursion("m-sam", SGDStep(beta).statements(step), distinct=family, summary=summary)


def two_batch_sam(*, normalised: bool = True, beta: Any = 0) -> Recursion:
    """SAM whose ascent is along another minibatch's gradient, drawn independently: ``grad f_i(x + rho g_j/|g_j|)``.

    Args:
        normalised: by ``|g_j|``, as SAM; else as USAM.
        beta: momentum.

    Source:
        Andriushchenko & Flammarion 2022, Section 3 (the perturbation's minibatch is another one).

    Example:
        >>> print(two_batch_sam(normalised=False))
        usam-two-batches: x = x - eta*grad(rho*grad(draw='ascent'))
    """
    g = grad(draw="ascent")
    name = "sam-two-batches" if normalised else "usam-two-batches"
    statements = SGDStep(beta).statements(grad(rho * (unit(g) if normalised else g)))
    return Recursion(name, statements, summary="ascent and descent along independent minibatches")


def friction(kappa: Any = 1, rule: "Rule | Vector" = RULES["sgd"], name: str = "friction") -> Recursion:
    """Momentum whose memory is as long as training is slow: ``m = m - kappa eta (step + m)``, ``x = x + eta m``.

    It is the heavy ball with ``beta = 1 - kappa eta``, and has an SDE of position and momentum together.

    Args:
        kappa: the friction, above 0.
        rule: without memory.
        name: of the recursion.

    Raises:
        InputError: a friction that is not positive.

    Source:
        Li, Tai & E 2019, Section 4.2 (momentum SGD as a stochastic modified equation).

    Example:
        >>> print(friction(2))
        friction: m = m + 2*eta*(-g - m); x = x + eta*m
    """
    kappa = exact(kappa, "kappa")
    if kappa <= 0:
        raise InputError(f"kappa = {kappa} is not positive; give the friction, such as 1")
    x, m = state("x"), state("m")
    return Recursion(
        name,
        [("m", m + kappa * eta * (-step_of(rule) - m)), ("x", x + eta * m)],
        summary="heavy ball with beta = 1 - kappa*eta, Li, Tai & E 2019",
    )


def averaged_weights(speed: Any = 1, rule: "Rule | Vector" = RULES["sgd"], name: str = "weight-average") -> Recursion:
    """A moving average of the weights beside a rule: ``x = x - eta step``, ``a = a + speed eta (x - a)``.

    Its SDE is one of the weights and their average together.

    Args:
        speed: how fast the average follows, above 0; the average forgets ``speed * eta`` of itself in one step.
        rule: without memory.
        name: of the recursion.

    Raises:
        InputError: a speed that is not positive.

    Source:
        Polyak & Juditsky 1992; Izmailov et al. 2018.

    Example:
        >>> print(averaged_weights())
        weight-average: x = x - eta*g; a = a + eta*(x - a)
    """
    speed = exact(speed, "speed")
    if speed <= 0:
        raise InputError(f"speed = {speed} is not positive; give how fast the average follows, such as 1")
    x, a = state("x"), state("a")
    statements = [("x", x - eta * step_of(rule)), ("a", a + speed * eta * (x - a))]
    return Recursion(name, statements, summary="exponential moving average of the weights")


def _library() -> Iterator[Recursion]:
    sgd, usam, sam = RULES["sgd"], RULES["usam"], RULES["sam"]
    decay = Fraction(1, 2000)  # the paper's momentum is 0.9; torch examples decay by 5e-4
    yield heavy_ball(sgd, "heavy-ball", "momentum 9/10, Polyak 1964, as torch.optim.SGD")
    yield heavy_ball(sgd, "nesterov", "Sutskever et al. 2013, as torch.optim.SGD", nesterov=True)
    yield heavy_ball(sgd, "coupled-decay", "weight decay in the buffer, as torch.optim.SGD", weight_decay=decay)
    yield heavy_ball(
        sgd,
        "decoupled-decay",
        "weight decay beside the buffer, Loshchilov & Hutter 2019",
        weight_decay=decay,
        decoupled=True,
    )
    yield heavy_ball(usam, summary="USAM along torch.optim.SGD with momentum 9/10")
    yield heavy_ball(sam, summary="SAM along torch.optim.SGD with momentum 9/10")
    yield heavy_ball(sam, "sam-nesterov", "SAM along torch.optim.SGD with Nesterov's momentum", nesterov=True)
    yield heavy_ball(sam, "sam-decay", "as torch: decay in the buffer, not in the ascent", weight_decay=decay)
    ascent = regularised(usam.step, decay)
    yield heavy_ball(ascent, "usam-decayed-loss", "the decay is a part of the loss, so of the ascent, too")
    yield vasso()
    yield momentum_sam()
    yield lookahead()
    yield m_sam(2)
    yield two_batch_sam(normalised=False)
    yield two_batch_sam()
    yield friction()
    yield friction(1, sam, "sam-friction")
    yield averaged_weights()


RECURSIONS: dict[str, Recursion] = {recursion.name: recursion for recursion in _library()}
"""By name, with default settings; none has the name of a rule without memory."""
