"""A function of small tensors, split into straight-line code on their components."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from .matrices import product
from .operations import apply
from .program import Program

__all__ = ["SplitFunction", "split"]


@dataclass(frozen=True)
class SplitFunction:
    """Code of a function from components to components.

    Attributes:
        source: Python code of a function of components that returns a tuple; each component is a number per path, a
            tensor of shape ``(n,)`` or without a shape.
        name: of the function.
        used: names of the inputs that count.
        operations: how many there are.
    """

    source: str
    name: str
    used: frozenset[str]
    operations: int

    def function(self, device: torch.device) -> Callable[..., tuple[Tensor, ...]]:
        """The code as a function of tensors on a device."""
        namespace: dict[str, Any] = {"torch": torch, "device": device, "product": product}
        # Safe: the source has operations of torch, numbers, and names made here.
        exec(compile(self.source, f"<components of {self.name}>", "exec"), namespace)
        result: Callable[..., tuple[Tensor, ...]] = namespace[self.name]
        return result


def split(graph: GraphModule, arguments: Sequence[Tensor], names: Sequence[str]) -> SplitFunction:
    """Split a recorded function of small tensors, of at most one dimension, into code on components.

    Args:
        graph: of tensors without a shape or of shape ``(k,)`` to a tensor of shape ``(d,)``, from :func:`trace`.
        arguments: tensors of the shapes and types to come.
        names: of the arguments.

    Raises:
        NotSplitError: it uses an operation whose components are not known here, or has too many.
        InputError: it draws random numbers.

    Example:
        A rotation, in five operations:

        >>> import torch
        >>> from eigensam.sde.simulation.components.tracing import trace
        >>> turn, x = torch.tensor([[0.0, -1.0], [1.0, 0.0]]), torch.zeros(2)
        >>> found = split(trace(lambda x: turn @ x + x.sin(), (x,)), (x,), ("x",))
        >>> print(found.source)
        def step(x_0, x_1):
            v0 = -x_1
            v1 = torch.ops.aten.sin.default(x_0)
            v2 = torch.ops.aten.sin.default(x_1)
            v3 = v0 + v1
            v4 = x_0 + v2
            return (v3, v4,)
    """
    program = Program()
    labels: list[Tensor] = []
    every: list[str] = []
    with torch.device("cpu"):  # labels are whole numbers that Python looks at, wherever states are
        for name, argument in zip(names, arguments, strict=True):
            places = [name] if argument.ndim == 0 else [f"{name}_{i}" for i in range(len(argument))]
            every += places
            mine = [program.input(place, argument.dtype) for place in places]
            labels.append(torch.tensor(mine).reshape(argument.shape))
        outputs = _outputs(program, graph, labels).flatten().tolist()
    source = program.source("step", every, outputs)
    return SplitFunction(source, "step", program.used(outputs), program.count(outputs))


def _outputs(program: Program, graph: GraphModule, labels: Sequence[Tensor]) -> Tensor:
    """Labels of what a graph returns."""
    values: dict[Node, Any] = {}
    given = iter(labels)

    def of(argument: Any, values: dict[Node, Any]) -> Any:
        return torch.fx.map_arg(argument, lambda node: values[node])

    like = {node: node.meta.get("val") for node in graph.graph.nodes}
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            values[node] = next(given)
        elif node.op == "get_attr":
            constant = getattr(graph, node.target).detach().cpu()
            values[node] = program.constants(constant)
            like[node] = constant
        elif node.op == "output":
            return _single(of(node.args[0], values))
        elif node.target.__name__ == "getitem":
            values[node] = values[node.args[0]][node.args[1]]
        else:
            args, kwargs = of(node.args, values), of(node.kwargs, values)
            values[node] = apply(program, node.target, args, dict(kwargs), like[node], of(node.args, like))
    raise AssertionError("a graph without an output")


def _single(value: Any) -> Tensor:
    return value[0] if isinstance(value, (list, tuple)) else value  # type: ignore[no-any-return]
