"""A training run's settings as a recursion: optimizer, base, schedule, decay, and the loader's law of minibatches."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ....ground.errors import InputError
from ..momentum import SGDStep, exact
from ..recursion import Recursion
from ..repartitioned import Repartitioned
from ..sampling import Independent, Reshuffled
from .methods import TrainedMethod, trained_method
from .rates import trained_schedule

__all__ = ["TrainedRecursion", "recursion_of"]

_ADAPTIVE = (
    "divides each coordinate by a running magnitude of its gradient, and the language has vectors as wholes only; "
    "train with base 'sgd'"
)
_REFUSED_BASES = dict.fromkeys(("adam", "adamw", "radam", "rmsprop", "adagrad"), _ADAPTIVE)


@dataclass(frozen=True)
class TrainedRecursion:
    """What a training run does in a step, and its numbers.

    Attributes:
        recursion: with the loader's law of the minibatches.
        base: the step of ``torch.optim.SGD`` in it.
        eta: the learning rate that the schedule multiplies.
        rho: of the perturbation; 0 without one.
        values: of the parameters that the recursion has besides.
        examples: that are trained on.
        batch_size: of a minibatch.
        epochs: that the schedule is made for.
        remarks: sentences for who reads the SDE.
        neglected: what the recursion leaves out of the training, and from which order on that counts.
    """

    recursion: Recursion
    base: SGDStep
    eta: Fraction
    rho: Fraction
    values: Mapping[str, Fraction]
    examples: int
    batch_size: int
    epochs: int
    remarks: tuple[str, ...] = ()
    neglected: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """Of an epoch: the rest of its permutation of the examples is left out."""
        return self.examples // self.batch_size

    @property
    def effective_rate(self) -> Fraction:
        """``eps = eta/(1 - beta)``: the SDE's time of one step."""
        return self.base.rate * self.eta

    @property
    def horizon(self) -> Fraction:
        """``T = n eps`` after all epochs."""
        return self.epochs * self.steps * self.effective_rate

    def at(self, weak_order: int, rho_exponent: Fraction) -> "TrainedRecursion":
        """The same with a law that a derivation of this order can take.

        The law of epochs that are cut anew is known up to ``rho^1``. Where more is asked for the minibatches are taken
        as fixed, and what that leaves out is named.

        Args:
            weak_order: 1 or 2.
            rho_exponent: ``beta``.
        """
        law = self.recursion.sampling
        wanted = weak_order == 2 and self.recursion.perturbed and 2 * rho_exponent < 1
        if not (wanted and isinstance(law, Repartitioned)):
            return self
        count = -(-law.examples // law.size)
        said = (
            f"every epoch cuts the examples anew, and {count} minibatches are taken as fixed here: from rho^2 on the "
            "sum S of an epoch's increments varies with what is not linear in the examples; the noise Cov(S)/M and the "
            f"drift E(DS~)S~/(2M) that this adds are left out, an error of order {1 + 2 * rho_exponent}"
        )
        fixed = replace(self.recursion, sampling=Reshuffled(count, steps=law.epoch))
        return replace(self, recursion=fixed, neglected=(*self.neglected, said))


def recursion_of(settings: Mapping[str, Any], examples: int, epochs: int | None = None) -> TrainedRecursion:
    """A training run as a recursion.

    The step is that of ``torch.optim.SGD`` with the learning rate outside the buffer and the decay in it, along what
    the optimizer makes of the minibatch. The loader permutes the examples in every epoch, cuts them into minibatches
    and leaves out the rest.

    Args:
        settings: of the run: what its ``settings.json`` holds.
        examples: how many are trained on.
        epochs: that are looked at; None: as many as the settings say, which the schedule belongs to in any case.

    Raises:
        InputError: an optimizer, base or schedule that is no recursion of the language, or clipped gradients, with the
            reason; settings that are not complete; fewer examples than a minibatch has.

    Example:
        >>> found = recursion_of(
        ...     {
        ...         "optimizer": {"name": "sam", "rho": 0.1},
        ...         "base": {"name": "sgd", "momentum": 0.9, "nesterov": False},
        ...         "schedule": {"name": "constant"},
        ...         "epochs": 20, "batch_size": 64, "lr": 0.1, "weight_decay": 5e-5,
        ...     },
        ...     examples=1437,
        ... )
        >>> print(found.recursion)
        sam: m = 9*m/10 + grad(rho*g/norm(g)) + x/20000; x = x - eta*m
        >>> found.recursion.sampling, found.effective_rate, found.horizon
        (Repartitioned(examples=1437, size=64), Fraction(1, 1), Fraction(440, 1))
    """
    try:
        own, given, schedule = (_group(settings, name) for name in ("optimizer", "base", "schedule"))
        size, eta = settings["batch_size"], exact(settings["lr"], "lr")
        whole, decay = settings["epochs"], exact(settings["weight_decay"], "weight_decay")
        base = _base(given, decay)
    except KeyError as error:
        raise InputError(f"the settings have no {error}; give those of a run's settings.json") from None
    if settings.get("clip_norm", 0):
        raise InputError(
            f"clip_norm = {settings['clip_norm']}: a gradient that is shortened to a norm is no smooth function of it, "
            "so no SDE is derived; train without clipping"
        )
    if not 1 <= size <= examples:
        raise InputError(
            f"minibatches of {size} of {examples} examples; give the number of examples that are trained on"
        )
    method = trained_method(own, base)
    rate = base.rate * eta
    timed = trained_schedule(schedule, settings.get("warmup_epochs", 0), whole, examples // size, rate)
    base = replace(base, schedule=timed)
    rho = exact(own.get("rho", 0), "rho")
    recursion = Recursion(
        own["name"],
        [*method.before, *base.statements(method.step)],
        sampling=Repartitioned(examples, size) if method.parts == 1 else Independent(),
        schedules=base.schedules,
        summary="what a training run does",
    )
    remarks = list(method.remarks)
    if (precision := settings.get("precision", "float32")) != "float32":
        remarks.append(f"Passes round to {precision}, which the SDE's losses do not.")
    said = tuple(remarks), tuple(_neglected(settings, method))
    return TrainedRecursion(recursion, base, eta, rho, method.values, examples, size, epochs or whole, *said)


def _group(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = settings[name]
    if not isinstance(found, Mapping):
        raise InputError(f"the settings' {name} {found!r:.60} is no group with a name; give a run's settings.json")
    return found


def _base(given: Mapping[str, Any], decay: Fraction) -> SGDStep:
    name = given.get("name")
    if name in _REFUSED_BASES:
        raise InputError(f"base '{name}' {_REFUSED_BASES[name]}")
    if name != "sgd":
        raise InputError(f"base {name!r:.60} is not known as a recursion; known is sgd")
    return SGDStep(given["momentum"], weight_decay=decay, nesterov=bool(given["nesterov"]))


def _neglected(settings: Mapping[str, Any], method: TrainedMethod) -> list[str]:
    found = []
    if method.parts > 1:
        found.append(
            f"the {method.parts} micro-batches of a step are taken as independent of each other and of other steps, "
            "though an epoch takes each example at most once: at order 2 the noise is too large, and the drift at eta "
            "lacks the pairs of an epoch; order 1 is the same"
        )
    if settings.get("augment"):
        found.append(
            "images are cropped and flipped at random, and the sum over an epoch varies with that: at order 2 the "
            "noise of augmentation is left out; order 1 is the same, with E over crops and flips, too"
        )
    return found
