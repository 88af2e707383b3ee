"""Normalisations of elementary operations, where the derivatives of torch's fused kernels stop being right.

Checked up to torch 2.14: the *second* derivative of weight norm is wrong; the third derivative of train-mode batch norm
and of instance norm raises, and that of layer norm is silently wrong (its double-backward formula holds the statistics
constant). Code that TorchScript has compiled calls the same kernels where nobody can step in: the check of derivatives
finds those.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["SmoothNorms"]

# The same three functions go by several names, whose arguments come in different orders.
_LAYER = "x shape weight bias eps"
_BATCH = "x mean variance weight bias own momentum eps"
_BATCH_OF_TORCH = "x weight bias mean variance own momentum eps"
_aten = torch.ops.aten
_NORMS: dict[Any, tuple[str, list[str]]] = {
    function: (kind, names.split())
    for kind, names, functions in (
        ("layer", _LAYER, (functional.layer_norm, torch.layer_norm, _aten.layer_norm, _aten.layer_norm.default)),
        ("native layer", _LAYER, (torch.native_layer_norm, _aten.native_layer_norm, _aten.native_layer_norm.default)),
        ("batch", _BATCH, (functional.batch_norm,)),
        ("batch", _BATCH_OF_TORCH, (torch.batch_norm, _aten.batch_norm, _aten.batch_norm.default)),
        ("instance", _BATCH, (functional.instance_norm,)),
        ("instance", _BATCH_OF_TORCH, (torch.instance_norm, _aten.instance_norm, _aten.instance_norm.default)),
    )
    for function in functions
}
# Keywords by which the same arguments go.
_KEYWORDS = {
    "input": "x",
    "normalized_shape": "shape",
    "running_mean": "mean",
    "running_var": "variance",
    "training": "own",
    "use_input_stats": "own",
}
_DEFAULTS = {"weight": None, "bias": None, "eps": 1e-5}


class SmoothNorms(TorchFunctionMode):
    """Inside this context weight, batch, instance and layer norm have right derivatives up to ``order``.

    Running statistics do not move; normalisation by running statistics stays with torch, where it is smooth.

    Args:
        order: of the derivatives to come; what torch does right up to there is left to torch, which is faster.

    Example:
        >>> import torch
        >>> norm, x = torch.nn.BatchNorm1d(2), torch.tensor([[3.0, 4.0], [5.0, 8.0]])
        >>> with SmoothNorms(3):
        ...     smooth = norm(x)
        >>> torch.allclose(smooth, norm(x))
        True
    """

    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Replace a normalisation by statistics of its own input."""
        kwargs = kwargs or {}
        if func is torch._weight_norm and self.order > 1:
            v, g, dim = (*args, 0)[:3]
            axes = [axis for axis in range(v.ndim) if axis != dim % v.ndim] if dim != -1 else list(range(v.ndim))
            return v * (g / v.square().sum(axes, keepdim=True).sqrt())
        if self.order > 2 and func in _NORMS:
            kind, names = _NORMS[func]
            named = {_KEYWORDS.get(name, name): value for name, value in kwargs.items()}
            given = _DEFAULTS | {"own": kind == "instance"} | dict(zip(names, args, strict=False)) | named
            x, eps, affine = given["x"], given["eps"], (given["weight"], given["bias"])
            if kind.endswith("layer"):
                shape = tuple(given["shape"])
                y = _standardised(x, range(x.ndim - len(shape), x.ndim), eps, affine, shape)
                return y if kind == "layer" else (y, *func(*args, **kwargs)[1:])
            if given["own"]:
                axes = [*range(2, x.ndim)] if kind == "instance" else [0, *range(2, x.ndim)]
                return _standardised(x, axes, eps, affine, (-1, *[1] * (x.ndim - 2)))
        return func(*args, **kwargs)


def _standardised(
    x: Tensor,
    axes: Sequence[int],
    eps: float,
    affine: tuple[Tensor | None, Tensor | None],
    affine_shape: tuple[int, ...],
) -> Tensor:
    """``weight * (x - mean) / sqrt(var + eps) + bias`` with mean and biased variance over ``axes``."""
    axes = list(axes)
    centred = x - x.mean(axes, keepdim=True)
    result = centred / (centred.square().mean(axes, keepdim=True) + eps).sqrt()
    weight, bias = affine
    if weight is not None:
        result = result * weight.view(affine_shape)
    return result if bias is None else result + bias.view(affine_shape)
