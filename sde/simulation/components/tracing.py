"""What a function of one point computes, as a graph of tensor operations."""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from ....ground.errors import InputError

__all__ = ["trace"]

_MORE = [
    "addmm",
    "addmv",
    "baddbmm",
    "linalg_vector_norm",
    "_softmax",
    "_log_softmax",
    "_softmax_backward_data",
    "_log_softmax_backward_data",
    "logsumexp",
    "softplus",
    "softplus_backward",
    "gelu",
    "gelu_backward",
    "silu",
    "silu_backward",
    "elu",
    "elu_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "hardtanh",
    "hardtanh_backward",
    "mish",
    "log_sigmoid_forward",
    "log_sigmoid_backward",
    "native_layer_norm",
    "native_layer_norm_backward",
    "tanh_backward",
    "sigmoid_backward",
    "threshold_backward",
    "softshrink",
    "logit",
    "sinc",
    "xlogy",
    "linalg_cross",
    "cross",
    "norm",
    "trace",
    "addcmul",
    "addcdiv",
    "lerp",
    "dist",
    "unfold",
]


def trace(function: Callable[..., Tensor], arguments: tuple[Tensor, ...]) -> GraphModule:
    """Record the operations of a function, at tensors of these shapes that have no values.

    Without values, a course that depends on them cannot be recorded by mistake.

    Args:
        function: of tensors; derivatives by ``torch.func`` or ``torch.autograd.grad`` inside are recorded, too.
        arguments: of the shapes, types and devices to come.

    Raises:
        InputError: the course of the function depends on numbers; what to write instead.

    Example:
        >>> graph = trace(lambda x: x.sin() + 1, (torch.zeros(2),))
        >>> [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
        ['aten.sin.default', 'aten.add.Tensor']
    """
    try:
        graph = _recorded(function, arguments)
        if any(_writes(node.target) for node in graph.graph.nodes):
            functional = torch.func.functionalize(function, remove="mutations")
            graph = _recorded(functional, arguments)
    except InputError:
        raise
    except Exception as error:  # whatever a user's function meets at tensors without values
        reason = str(error).strip().splitlines()
        raise InputError(
            f"the function cannot be recorded ({type(error).__name__}: {reason[0] if reason else 'no reason given'}); "
            "write it in torch operations whose course does not depend on numbers: torch.where for if, no .item(), "
            "float() or .numpy()"
        ) from error
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


@cache
def _table() -> dict[Any, Callable[..., Any]]:
    """What operations consist of, for those that have no rule of their own in :mod:`.operations`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own: a part of it uses what torch has deprecated
        from torch._decomp import core_aten_decompositions, get_decompositions
    table = {
        **core_aten_decompositions(),
        **get_decompositions([getattr(torch.ops.aten, name) for name in _MORE if hasattr(torch.ops.aten, name)]),
    }
    for kept in (torch.ops.aten.mv.default, torch.ops.aten.dot.default):
        table.pop(kept, None)
    return table


def _recorded(function: Callable[..., Tensor], arguments: tuple[Tensor, ...]) -> GraphModule:
    def called(*given: Tensor) -> Tensor:  # without the function's arguments that have defaults
        return function(*given)

    made = make_fx(called, decomposition_table=_table(), tracing_mode="fake", _allow_non_fake_inputs=True)
    result: GraphModule = made(*arguments)
    return result


def _writes(target: Any) -> bool:
    """Whether an operation changes one of its arguments in place."""
    return isinstance(target, torch._ops.OpOverload) and target._schema.is_mutable
