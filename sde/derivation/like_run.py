"""The SDE of a training run's own settings, with the numbers of its regime."""

import json
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...ground.errors import InputError
from ..rules.trained.run import TrainedRecursion, recursion_of
from .averaging.regime import MemoryRegime, memory_regime
from .derived_sde import SDE, derive
from .equations import wrapped
from .summary import summary

if TYPE_CHECKING:
    from ...landscapes.runs.run import Run

__all__ = ["RunSDE", "recorded_curvature", "sde_of_run", "training_examples"]

_UNKNOWN = (
    "no curvature of it was measured (train with --record-every or --spectrum-every), so whether memory is fast beside "
    "it is not known; give --curvature, as 'eigensam spectrum' measures it"
)


@dataclass(frozen=True)
class RunSDE:
    """A training run and the SDE of its settings.

    Attributes:
        directory: of the run, as it was given.
        trained: its settings as a recursion, with its numbers.
        sde: of that.
        regime: whether its memory is fast beside the curvature; None: no curvature is known.
        remarks: sentences for who reads the SDE.
        neglected: what stands between the training and the SDE.
    """

    directory: str
    trained: TrainedRecursion
    sde: SDE
    regime: MemoryRegime | None
    remarks: tuple[str, ...]
    neglected: tuple[str, ...]

    @property
    def scale(self) -> float:
        """``c`` in ``rho = c eps^beta``."""
        return float(float(self.trained.rho) / float(self.trained.effective_rate) ** float(self.sde.rho_exponent))

    @property
    def summary(self) -> str:
        """For a terminal: the numbers of the run, then the SDE as ``derive`` prints it."""
        t = self.trained
        factor = f"η/(1 - {float(t.base.beta):g}) = " if t.base.beta else "η = "
        numbers = [f"η = {float(t.eta):.6g}", f"ε = {factor}{float(t.effective_rate):.6g}"]
        if t.rho:
            numbers.append(f"ρ = {float(t.rho):.6g}, that is c = ρ/ε^β = {self.scale:.6g}")
        numbers += [f"{name} = {float(value):g}" for name, value in t.values.items()]
        lines = [
            f"the training in {self.directory}",
            *wrapped("  ", "; ".join(numbers)),
            f"  {t.epochs} epochs of {t.steps} steps of {t.batch_size} of {t.examples} examples: "
            f"n = {t.epochs * t.steps}, T = nε = {float(t.horizon):.6g}",
        ]
        if self.regime is None:
            lines += wrapped("  ", _UNKNOWN)
        else:
            lines += [f"  {line}" for line in self.regime.summary.splitlines()]
        for sentence in self.remarks:
            lines += wrapped("  ", sentence)
        for sentence in self.neglected:
            lines += wrapped("  left out: ", sentence)
        return "\n".join([*lines, "", summary(self.sde)])

    def to_dict(self) -> dict[str, Any]:
        """What :meth:`SDE.to_dict` has, and the run's numbers as ``run``."""
        t = self.trained
        numbers = {
            "directory": self.directory,
            "learning_rate": float(t.eta),
            "effective_rate": float(t.effective_rate),
            "momentum": float(t.base.beta),
            "rho": float(t.rho),
            "rho_scale": self.scale,
            "values": {name: float(value) for name, value in t.values.items()},
            "schedule": None if t.base.schedule is None else t.base.schedule.formula,
            "examples": t.examples,
            "batch_size": t.batch_size,
            "epochs": t.epochs,
            "steps_per_epoch": t.steps,
            "horizon": float(t.horizon),
            "regime": None if self.regime is None else self.regime.to_dict(),
            "remarks": list(self.remarks),
            "neglected": list(self.neglected),
        }
        return {**self.sde.to_dict(), "run": numbers}


def sde_of_run(
    run: "Path | str | Run",
    weak_order: int,
    rho_exponent: Fraction,
    *,
    curvature: float | None = None,
    data_root: Path | None = None,
    examples: int | None = None,
) -> RunSDE:
    """Derive the SDE of a training run's own settings.

    Args:
        run: a run directory that ``eigensam train`` has made, or a run.
        weak_order: 1 or 2.
        rho_exponent: ``beta``.
        curvature: the largest eigenvalue of the loss's Hessian; None: the largest one that the training recorded.
        data_root: folder of the data, if how many examples there are has to be looked up there.
        examples: how many were trained on; None: what the run says.

    Raises:
        InputError: no finished run; settings that are no recursion of the language; an SDE that has no closed form.

    Example:
        >>> import pathlib, tempfile
        >>> from fractions import Fraction
        >>> from eigensam.landscapes import load_data
        >>> from eigensam.optim import TrainSettings, train
        >>> out = pathlib.Path(tempfile.mkdtemp()) / "a"
        >>> run = train(TrainSettings("sgd", epochs=1, subset=200), load_data("digits"), out)
        >>> found = sde_of_run(run, 2, Fraction(1), curvature=5.0)
        >>> found.trained.steps, found.trained.horizon, found.sde.weak_order, round(found.regime.ratio)
        (3, Fraction(3, 1), Fraction(2, 1), 190)
    """
    from ...landscapes.runs.run import Run  # here: `eigensam derive sam` loads no torch

    opened = Run(run)
    found = training_examples(opened, data_root) if examples is None else examples
    trained = recursion_of(opened.settings, found, opened.checkpoint.epochs)
    known = trained.at(weak_order, rho_exponent)
    sde = derive(known.recursion, weak_order, rho_exponent)
    steepest, where = (curvature, "as given") if curvature is not None else recorded_curvature(opened)
    regime = None
    if steepest is not None:
        regime = replace(memory_regime(sde, trained.eta, steepest), where=where)
    neglected = (*known.neglected, *_of_network(opened)) if weak_order == 2 else ()
    return RunSDE(str(opened.directory), known, sde, regime, (*known.remarks, *_of_run(opened)), neglected)


def training_examples(run: "Run", data_root: Path | None = None) -> int:
    """How many examples a run was trained on: what was drawn for it, or all that its data set has.

    Raises:
        InputError: data that do not say how many there are, and are not found.
    """
    from ...landscapes.runs.registries import DATA, OWN

    if (chosen := run.examples) is not None:
        return len(chosen.train)
    if (split := run.split) is not None:
        return len(split.prior)
    if run.settings.get("data") == OWN:
        raise InputError(
            f"{run.directory} was trained on data of your own, and does not say how many examples they have; call "
            "sde_of_run(run, ..., examples=...) from Python"
        )
    name = run.checkpoint.data
    known = DATA[name].examples if name in DATA else 0
    return known or len(run.data(data_root).train_targets)


def recorded_curvature(run: "Run") -> tuple[float | None, str]:
    """The largest eigenvalue of the Hessian that a training recorded, and when; None if it recorded none."""
    rows = [(row.get("lambda_1"), f"after step {row['step']}") for row in run.curvature]
    rows += [(row.get("lambda_1"), f"after epoch {row['epoch']}") for row in run.metrics]
    measured = [(float(value), when) for value, when in rows if isinstance(value, int | float)]
    if not measured:
        return None, ""
    largest, when = max(measured)
    return largest, f"{when}, the largest of {len(measured)} that the training recorded"


def _of_run(run: "Run") -> list[str]:
    """What else the SDE's losses are."""
    said = []
    if smoothing := run.settings.get("label_smoothing"):
        said.append(f"The losses are those that were trained, with label smoothing {smoothing:g}.")
    if run.checkpoint.epochs < run.settings["epochs"]:
        said.append(
            f"It has stopped after {run.checkpoint.epochs} of {run.settings['epochs']} epochs, to which its schedule "
            "belongs."
        )
    return said


def _of_network(run: "Run") -> list[str]:
    """What makes a minibatch's loss another thing than the mean of its examples' losses."""
    from ...ground.run_files import CHECKPOINT

    if not any(name.endswith("running_mean") for name in _tensor_names(run.directory / CHECKPOINT)):
        return []
    return [
        "the network normalises by minibatch, so a minibatch's gradient is not linear in its examples, and what is not "
        "adds noise Cov(S)/M and drift E(DS~)S~/(2M) of an epoch's sum S from rho^0 on; order 1 is the same"
    ]


def _tensor_names(path: Path) -> list[str]:
    """Those in a safetensors file: its header is JSON behind a length of eight bytes."""
    try:
        with path.open("rb") as file:
            header = file.read(int.from_bytes(file.read(8), "little"))
        return list(json.loads(header))
    except (OSError, ValueError, MemoryError, OverflowError) as error:
        raise InputError(f"cannot read the names of tensors in {path} ({error}); train again") from None
