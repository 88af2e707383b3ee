"""A rule beside the SDEs that claim to describe it, on a landscape of any kind."""

from collections.abc import Callable, Mapping

from torch import Tensor

from ....ground.errors import InputError
from ....landscapes.landscape import Landscape
from ....landscapes.networks.network import NetworkLandscape
from ...rules.bindings import Values
from ...rules.recursion import Recursion
from ...rules.rule import Rule
from ..networks.compared_networks import compared_networks
from ..networks.network_observables import NetworkObservables
from ..simulate import Engine
from .compare_settings import CompareSettings
from .compared_ensembles import compared_ensembles
from .comparison import Comparison
from .given_sdes import GivenSDE

__all__ = ["compare"]


def compare(
    rule: Rule | Recursion,
    sdes: Mapping[str, GivenSDE],
    landscape: Landscape,
    x0: Tensor | Mapping[str, Tensor],
    settings: CompareSettings,
    *,
    values: Values | None = None,
    observables: Mapping[str, Callable[[Tensor], Tensor]] | NetworkObservables | None = None,
    engine: Engine | None = None,
) -> Comparison:
    """Move a rule and its SDEs along the same noise, and say how far apart they are.

    Of a toy all paths are moved together by compiled code, ten thousand or a million; of a network few, each step of an
    SDE with the exact covariance of its minibatches. There a recursion takes one minibatch in a step, its memory starts
    at 0, and its SDEs are of the position alone.

    Args:
        rule: the update rule, or what is trained: a recursion with memory, schedules and epochs.
        sdes: of the rule, by the names that they are to have; :class:`.Control` for that of another one.
        landscape: the family of ``M`` minibatch losses.
        x0: where all paths start, shape ``(d,)``, or each, shape ``(paths, d)``; of a recursion on a toy also blocks
            by name.
        settings: learning rate, radius, numbers of steps and paths, and so on.
        values: of the rule's other parameters and directions. On a network one direction without a value is estimated
            as a top eigenvector.
        observables: of a toy functions of states, shape ``(n, d)``, to values, shape ``(n,)``, by name; of a network
            :class:`NetworkObservables`. None: losses, norms, and what else costs little.
        engine: a checkpoint, in which each process has a folder, so that what is killed goes on; progress; of a toy
            the backend.

    Raises:
        InputError: symbols without a value, a start of another shape, paths that leave the finite numbers, a loss that
            cannot be differentiated as often as needed, a checkpoint of another run.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import TiltedTorus
        >>> from eigensam.sde import find_rule, truncate
        >>> sam = find_rule("sam")
        >>> sdes = {f"drift order {m}": truncate(sam, "1/3", m) for m in (1, 3)}
        >>> settings = CompareSettings(eta=0.1, rho=0.4, steps=10, paths=50)
        >>> found = compare(sam, sdes, TiltedTorus.default(2), torch.zeros(2, dtype=torch.float64), settings)
        >>> [series.name for series in (found.rule, *found.others)]
        ['sam', 'drift order 1', 'drift order 3', 'exact drift']
    """
    if isinstance(landscape, NetworkLandscape):
        if isinstance(observables, Mapping):
            raise InputError("found functions as observables of a network; give NetworkObservables(landscape, names)")
        if isinstance(x0, Mapping):
            raise InputError(
                f"the start has blocks {', '.join(x0)}; a network's parameters are one vector, and memory starts at 0"
            )
        return compared_networks(
            rule, sdes, landscape, x0, settings, values=values, observe=observables, engine=engine or Engine()
        )
    if isinstance(observables, NetworkObservables):
        raise InputError(
            f"found NetworkObservables for a {type(landscape).__name__}; give functions of states by name, such as "
            '{"height": lambda x: x[:, 0]}'
        )
    return compared_ensembles(
        rule, sdes, landscape, x0, settings, values=values, observables=observables, engine=engine
    )
