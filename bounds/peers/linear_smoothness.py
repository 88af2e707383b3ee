"""A proved smoothness constant: linear classifiers with the bounded cross-entropy."""

from typing import SupportsFloat

from torch import nn

from ...ground.errors import InputError
from ..bounded_loss import BoundedCrossEntropy
from ..rounding.intervals import intervals, upper_end
from ..rounding.real import real_number
from .derandomised import Smoothness

__all__ = ["score_curvature", "smoothness_of_linear"]


def score_curvature(p_min: SupportsFloat) -> float:
    """``1 / (2 ln(1/p_min))``, rounded up: a bound of the bounded cross-entropy's curvature in the class scores.

    For any number of classes, at any scores, its Hessian ``H`` there has operator norm at most this, and ``tr H`` is
    at least minus this. Proof. Let ``pi`` be the softmax, ``a = pi_y``, ``w = (1-p) a / (p + (1-p) a)`` in [0, 1),
    ``u = e_y - pi``, ``C = diag(pi) - pi pi^T``. Differentiating ``-ln(p + (1-p) a)`` twice, with ``grad a = a u``,

    ``H = w (C - (1-w) u u^T) / ln(1/p)``.

    ``v^T C v`` is the variance of ``v`` under ``pi``, at most ``(max v - min v)^2 / 4 <= |v|^2 / 2`` (Popoviciu). So
    ``H <= 1/2 / ln(1/p)``. And ``w (1-w) <= 1/4``, ``|u|^2 = (1-a)^2 + sum_{j != y} pi_j^2 <= 2``; as ``C >= 0``, the
    least eigenvalue and, its other part having a trace of at least 0, the trace of ``H`` are at least
    ``-1/4 * 2 / ln(1/p)``. Both ends are approached for small ``p``: two classes of probability 1/2, and ``w = 1/2``.

    Raises:
        InputError: ``p_min`` outside (0, 1).

    Example:
        >>> round(score_curvature(1e-3), 5)
        0.07238
    """
    p = real_number("p_min", p_min, "up")
    if not 0 < p < 1:
        raise InputError(f"p_min = {p_min} does not lie in (0, 1); give e.g. 1e-3")
    iv = intervals()
    return upper_end(-1 / (2 * iv.log(iv.real(p))))


def smoothness_of_linear(
    model: nn.Module, loss: BoundedCrossEntropy, *, squared_input_norm: SupportsFloat
) -> Smoothness:
    """Of ``x -> loss(W phi + b, y)``, ``x`` being what is trained of ``W`` and ``b``, for all ``phi`` of bounded norm.

    With ``psi`` the input that the trained parameters see, ``(phi, 1)``, ``phi`` or 1, the Hessian in ``x`` is
    ``H (x) psi psi^T``, ``H`` that in the scores (:func:`score_curvature`). So ``L = |psi|^2 / (2 ln(1/p_min))``, and
    ``tau`` is the same number, without a factor ``d``.

    Args:
        model: one ``Linear`` that is trained, behind modules without trained parameters (``Flatten``, frozen features).
        loss: the bounded cross-entropy.
        squared_input_norm: at least ``|phi|^2``, ``phi`` the input of the linear layer, for *every* example that the
            distribution may give, not only those of the sample: ``k`` pixels in ``[-1, 1]`` have at most ``k``.

    Raises:
        InputError: another network or loss, for which nothing is proved here; a norm that is not finite.

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> smooth = smoothness_of_linear(model, BoundedCrossEntropy(1e-3), squared_input_norm=64)
        >>> smooth.kind, round(smooth.negative_trace, 3)
        ('certificate', 4.705)
    """
    layer = _trained_layer(model)
    if type(loss) is not BoundedCrossEntropy:
        raise InputError(
            f"a proved smoothness constant is known for BoundedCrossEntropy only, not for {type(loss).__name__}; "
            "missing is a bound of its Hessian in the scores"
        )
    norm = real_number("squared input norm", squared_input_norm, "up")
    if not 0 <= norm < 1e100:
        raise InputError(f"squared input norm = {squared_input_norm}: need a finite bound of at least 0")
    iv = intervals()
    seen = iv.real(norm if layer.weight.requires_grad else 0.0)
    if layer.bias is not None and layer.bias.requires_grad:
        seen = seen + 1
    constant = upper_end(seen * iv.real(score_curvature(loss.p_min)))
    reason = (
        f"No example of the distribution has an input of the linear layer with a squared norm above {norm:g}; then the "
        f"loss is smooth with the proved constant {constant:.4g}, and its Hessian's trace is at least minus that."
    )
    return Smoothness(constant, constant, "certificate", reason)


def _trained_layer(model: nn.Module) -> nn.Linear:
    """The only layer that is trained, which makes the scores.

    Raises:
        InputError: there is no such layer.
    """
    missing = (
        "; missing is a bound, at all parameters, of the Hessian of its outputs and of their Jacobian, which no "
        "measurement at points replaces. Use a linear classifier, or keep the assumption f_D(x) <= E f_D(x + e)"
    )
    last = model
    while type(last) is nn.Sequential and len(last):
        last = last[-1]
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    if type(last) is not nn.Linear:
        raise InputError(f"the scores are made by {type(last).__name__}, not by a Linear layer alone{missing}")
    if not trained:
        raise InputError("the model has no trained parameter; what is random then is nothing")
    own = {id(p) for p in last.parameters()}
    if not trained <= own:
        raise InputError(f"parameters before the last layer are trained, too{missing}")
    hooked = [m for m in model.modules() if m._forward_hooks or m._forward_pre_hooks]
    users = [
        module
        for _, module in model.named_modules(remove_duplicate=False)
        if own & {id(p) for p in module.parameters(recurse=False)}
    ]
    if hooked or len(users) > 1:
        raise InputError(f"hooks or shared parameters change what the last layer computes{missing}")
    return last
