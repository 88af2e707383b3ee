"""Update rules: how a minibatch gradient becomes the perturbation of the next gradient (theory, section 1).

Every rule is ``x+ = x - eta grad f_m(x + rho u_m(x))``; a rule is the map from gradients to ``u``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..landscapes import InputError

__all__ = ["RULES", "Rule", "find_rule"]


@dataclass(frozen=True)
class Rule:
    """One update rule.

    Args:
        name: what the command line calls it.
        perturbation: maps minibatch gradients of all members, shape ``(..., M, d)``, to ``u``, same shape.
        perturbed: False only for plain gradient descent, whose SDE has no term in ``rho``.
        formula: the perturbation in words.

    Example:
        A rule of one's own is one line:

        >>> import torch
        >>> from eigensam.sde import Rule
        >>> sign = Rule("sign-sam", lambda g: g.sign() / g.shape[-1] ** 0.5, formula="sign(g)/sqrt(d)")
        >>> sign.perturbation(torch.tensor([[3.0, -4.0, 1.0, -1.0]])).tolist()
        [[0.5, -0.5, 0.5, -0.5]]
    """

    name: str
    perturbation: Callable[[Tensor], Tensor]
    perturbed: bool = True
    formula: str = ""


def _unit(g: Tensor) -> Tensor:
    return g.div(torch.linalg.vector_norm(g, dim=-1, keepdim=True))


def _by_mean_norm(g: Tensor) -> Tensor:
    return g.div(torch.linalg.vector_norm(g.mean(-2, keepdim=True), dim=-1, keepdim=True))


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("sgd", torch.zeros_like, perturbed=False, formula="0"),
        Rule("usam", lambda g: g, formula="g"),
        Rule("sam", _unit, formula="g/|g|"),
        Rule("dnsam", _by_mean_norm, formula="g/|E g|"),
        Rule("reverse-sam", lambda g: -_unit(g), formula="-g/|g|"),
    )
}


def find_rule(name: str) -> Rule:
    """Look a rule up by its name.

    Raises:
        InputError: no rule has this name; the message lists all names.

    Example:
        >>> find_rule("dnsam").formula
        'g/|E g|'
    """
    try:
        return RULES[name]
    except KeyError:
        raise InputError(f"unknown rule '{name}'; choose one of: {', '.join(RULES)}") from None
