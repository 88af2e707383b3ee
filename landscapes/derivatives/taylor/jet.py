"""A tensor that carries its Taylor coefficients along one direction, and the table of rules that push it through torch.

Along ``x + t u`` every intermediate tensor is a power series ``y(t) = y_0 + t y_1 + t^2 y_2 + ...``, ``y_k`` its k-th
derivative divided by ``k!``. A rule maps the series of a function's arguments to that of its result. Any torch function
without a rule raises :class:`NotCoveredError`: nothing passes through silently.
"""

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

import torch
from torch import Tensor

__all__ = [
    "Jet",
    "NotCoveredError",
    "any_true",
    "broadcast_stacks",
    "checked_axis",
    "is_jet",
    "is_mapped",
    "mapping",
    "rule",
]

Rule = Callable[..., Any]
_RULES: dict[Any, Rule] = {}


_mapped = threading.local()


def _level() -> int:
    """How many transforms of torch.func are active."""
    return torch._C._functorch.maybe_current_level() or 0 if torch._C._are_functorch_transforms_active() else 0


@contextmanager
def mapping() -> Iterator[None]:
    """Jets made inside belong to the ``torch.func.vmap`` that is active here; any further transform is refused."""
    before = getattr(_mapped, "level", 0)
    _mapped.level = _level()
    try:
        yield
    finally:
        _mapped.level = before


def is_mapped() -> bool:
    """Whether jets are inside ``vmap``, where torch's autograd sees tensors without their graph.

    Rules are then composed of functions that vmap can map, and torch differentiates these.
    """
    return getattr(_mapped, "level", 0) > 0


def any_true(condition: Tensor) -> bool:
    """Whether a condition on constants holds anywhere, for any of the pairs that are mapped."""
    while torch._C._functorch.is_functorch_wrapped_tensor(condition):
        condition = torch._C._functorch.get_unwrapped(condition)
    return bool(condition.any())


class NotCoveredError(Exception):
    """A function that the Taylor pass has no rule for; the caller takes a general path."""


def rule(*functions: Any) -> Callable[[Rule], Rule]:
    """Register a rule for torch functions; it takes their arguments, some of them jets."""

    def register(given: Rule) -> Rule:
        for function in functions:
            _RULES[function] = given
        return given

    return register


class Jet(Tensor):
    """``y_0 + t y_1 + ... + t^order y_order``; as a tensor it has the shape and type of ``y_0``.

    Coefficients beyond the last one kept are zero: a constant has one, a parameter ``W + t U`` two.
    """

    order: int
    base: "Jet | None"  # what a view shows; kept alive, so that a view of a view keeps both
    views: "list[weakref.ref[Jet]] | None"
    _stack: Tensor | None
    _parts: tuple[Tensor, ...] | None

    @staticmethod
    def of_stack(stack: Tensor, order: int) -> "Jet":
        """From coefficients along a new first axis, shape ``(k, ...)``."""
        jet = _shell(stack.shape[1:], stack.stride()[1:], stack)
        jet.order, jet.base, jet.views, jet._stack, jet._parts = order, None, None, stack, None
        return jet

    @staticmethod
    def of_parts(parts: Iterable[Tensor], order: int) -> "Jet":
        """From separate coefficients of one shape."""
        parts = tuple(parts)
        jet = _shell(parts[0].shape, parts[0].stride(), parts[0])
        jet.order, jet.base, jet.views, jet._stack, jet._parts = order, None, None, None, parts
        return jet

    def view_of_stack(self, stack: Tensor) -> "Jet":
        """A tensor that may share memory with this one: neither is changed in place while both exist."""
        view = Jet.of_stack(stack, self.order)
        view.base = self
        self.views = [*(v for v in self.views or () if v() is not None), weakref.ref(view)]
        return view

    def copied(self) -> "Jet":
        """Another tensor of the same values. Coefficients are never written to, so that both may have the same ones."""
        return Jet.of_stack(self.stack, self.order)

    @property
    def stack(self) -> Tensor:
        """Coefficients along a new first axis."""
        if self._stack is None:
            assert self._parts is not None
            self._stack = torch.stack(self._parts)
        return self._stack

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """The coefficients one by one."""
        if self._parts is None:
            assert self._stack is not None
            self._parts = self._stack.unbind(0)
        return self._parts

    def __repr__(self) -> str:  # type: ignore[override]
        """Shape and number of coefficients; torch's own would look at values."""
        count = len(self._parts) if self._parts is not None else len(self.stack)
        return f"Jet({count} coefficients of shape {tuple(self.shape)})"

    def become(self, other: "Jet") -> "Jet":
        """What an in-place function does; refused where another tensor would have to see it."""
        if self.base is not None or any(view() is not None for view in self.views or ()):
            raise NotCoveredError("an in-place function on a view or on a tensor that has views")
        if other.shape != self.shape or other.dtype != self.dtype:
            raise NotCoveredError("an in-place function that changes the shape or type")
        self._stack, self._parts = other._stack, other._parts
        return self

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Look the rule up."""
        # Inside a custom autograd function or under no_grad, even a shape tells that the tensor has been given away.
        if not torch.is_grad_enabled():
            raise NotCoveredError("a part of the network that is evaluated without gradients")
        if _level() != getattr(_mapped, "level", 0):
            raise NotCoveredError("a part of the network inside torch.func")
        found = _RULES.get(func)
        if found is not None:
            try:
                return found(*args, **(kwargs or {}))
            except TypeError as error:  # arguments that the rule does not know
                raise NotCoveredError(f"{getattr(func, '__name__', func)}: {error}") from error
        if func in _METADATA:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {}))
        if func in _FACTORIES:
            return func(*(a.parts[0].detach() if is_jet(a) else a for a in args), **(kwargs or {}))
        raise NotCoveredError(getattr(func, "__name__", str(func)))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Reached only where compiled code (scripts, traces, vmap, constructors) would see ``y_0`` alone."""
        raise NotCoveredError(f"{func} called from compiled code")


def _shell(shape: Iterable[int], strides: Iterable[int], like: Tensor) -> Jet:
    """What has a shape and type, and no numbers."""
    return Tensor._make_wrapper_subclass(Jet, shape, strides=strides, dtype=like.dtype, device=like.device)  # type: ignore


_FUNCTIONS = (
    "size dim ndimension numel nelement stride is_floating_point is_complex is_contiguous element_size get_device"
)
_PROPERTIES = "shape dtype device ndim layout is_cuda is_cpu is_mps is_nested is_sparse is_quantized is_meta"
_METADATA = {
    torch.is_floating_point,
    torch.is_complex,
    torch.numel,
    Tensor.__len__,
    *(getattr(Tensor, name) for name in _FUNCTIONS.split()),
    *(getattr(Tensor, name).__get__ for name in _PROPERTIES.split()),
}  # what depends on the shape and type only
_FACTORIES = {torch.zeros_like, torch.ones_like, Tensor.new_zeros, Tensor.new_ones}  # the same, and makes a tensor


def is_jet(value: Any) -> TypeGuard[Jet]:
    """Whether the Taylor coefficients of a value may be other than the first."""
    return isinstance(value, Jet)


def checked_axis(dim: int, ndim: int) -> int:
    """An axis counted from the end; one that does not exist would be that of the coefficients."""
    if not -ndim <= dim < ndim:
        raise NotCoveredError(f"axis {dim} of a tensor of {ndim} axes")
    return dim if dim < 0 else dim - ndim


def broadcast_stacks(a: Jet, b: Jet) -> tuple[Tensor, Tensor]:
    """Both stacks, with axes inserted behind the first one so that the others broadcast."""
    one, two = a.stack, b.stack
    if one.ndim < two.ndim:
        one = one.view(len(one), *[1] * (two.ndim - one.ndim), *one.shape[1:])
    elif two.ndim < one.ndim:
        two = two.view(len(two), *[1] * (one.ndim - two.ndim), *two.shape[1:])
    return one, two
