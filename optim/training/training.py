"""A training between two steps: model, optimizer, metrics; saved and restored bit for bit."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ...ground.errors import InputError
from ...ground.fingerprints import fingerprint
from ...ground.identities import differences
from ...ground.row_file import Row
from ...ground.run_files import CURVATURE, CURVATURE_FROZEN
from ...landscapes.curvature.recorder import CurvatureRecorder
from ...landscapes.networks.whole_state import load_whole_state, whole_state
from ...landscapes.runs.data_set import DataSet
from ..passes import NotFiniteError
from ..sharpness_aware import SharpnessAwareOptimizer
from .continuation import check_continues
from .early_stop import EarlyStop
from .epoch_sums import EpochSums
from .first_network import first_network
from .identity import run_identity
from .learning_rate import learning_rate
from .made_optimizer import make_optimizer
from .measurement import SHARPNESS, evaluate, measure_sharpness, training_recorder
from .minibatches import Minibatches
from .precision import Precision
from .random_state import random_state, set_random_state
from .ranks import Ranks
from .settings import TrainSettings
from .state import load_state

__all__ = ["Training"]

_LEAST_SCALE = 1e-4  # ours: of the loss in float16; gradients that overflow below it do so without any scale


class Training:
    """Model, optimizer and metrics of a run between two steps.

    Args:
        settings: every hyper-parameter.
        data: the training set, and a test set.
        device: where to train.
        validation: inputs and labels that are looked at after every epoch.
        model: one's own, with the parameters it starts with; None makes the one that the settings name.
        ranks: the processes that train together.

    Attributes:
        metrics: one row for each finished epoch.
        step: steps that are done of the epoch that is not finished.
        stopped: whether it is to stop before its last epoch.
        recorder: of its curvature; None if that is not measured.
        snapshots: SHA-256 of each snapshot that has been written, by its name.
    """

    def __init__(
        self,
        settings: TrainSettings,
        data: DataSet,
        device: torch.device,
        validation: tuple[Tensor, Tensor] | None = None,
        model: nn.Module | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self.settings, self.data, self.device, self.validation = settings, data, device, validation
        self.ranks = ranks or Ranks()
        self.identity = run_identity(data, device, settings, model) | {"processes": str(self.ranks.count)}
        if self.ranks.count > 1:
            self.identity["device"] = device.type  # each has its own
        if validation is not None:
            self.identity["validation examples"] = fingerprint(*validation)
        self.ranks.require_same({**settings.to_dict(), **self.identity})
        torch.manual_seed(settings.seed)
        self.model = first_network(settings, data) if model is None else model
        self._finite = _finite_tensors(self.model)
        self.initial = {name: tensor.clone() for name, tensor in whole_state(self.model).items()}
        self.model.to(device)
        self.model.zero_grad()  # what somebody has left there is none of a step
        self._wrapped = self.ranks.wrap(self.model)
        self.optimizer = make_optimizer(settings, self.model)
        self.precision = Precision(settings.precision, device)
        self.early_stop, self.stopped = EarlyStop(settings.patience), False
        self.minibatches = Minibatches(
            data,
            settings.batch_size,
            settings.seed,
            augment=settings.augment,
            ranks=self.ranks,
            closures=settings.method.closures,
        )
        self.metrics: list[dict[str, Any]] = []
        self.snapshots: dict[str, str] = {}
        self.step, self._random_state = 0, random_state(device)
        self._sums = EpochSums()
        self.recorder: CurvatureRecorder | None = None
        self._recorded: dict[str, Any] | None = None  # of a restored state
        if isinstance(self.optimizer, SharpnessAwareOptimizer):
            self.optimizer.register_after_backward_hook(lambda _: self._before_base())

    @property
    def steps_per_epoch(self) -> int:
        """All of the same number of examples."""
        return self.minibatches.steps

    @property
    def steps(self) -> int:
        """That have been taken in all epochs."""
        return len(self.metrics) * self.steps_per_epoch + self.step

    @property
    def curvature(self) -> list[Row]:
        """What has been recorded, by the first process."""
        return [] if self.recorder is None else self.recorder.rows

    @property
    def done(self) -> bool:
        """Whether there is nothing left to train."""
        return self.stopped or len(self.metrics) >= self.settings.epochs

    def state(self) -> dict[str, Any]:
        """All that later steps depend on; every process is to ask for it."""
        return {
            "settings": self.settings.to_dict(),
            "identity": self.identity,
            "model": whole_state(self.model),
            "optimizer": self.optimizer.state_dict(),
            "precision": self.precision.state_dict(),
            "early_stop": self.early_stop.state_dict(),
            "stopped": self.stopped,
            "metrics": self.metrics,
            "snapshots": self.snapshots,
            "step": self.step,
            "sums": asdict(self._sums),
            "recorder": None if self.recorder is None else self.recorder.state_dict(),
            "random_states": self.ranks.gather(self._random_state),
        }

    def restore(self, path: Path) -> None:
        """Go on from a saved state; a state that does not fit, whatever is wrong with it, is refused."""
        state = load_state(path)
        try:
            self._restore(state)
        except InputError:
            raise
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{path} is not a usable training state ({reason}); train anew elsewhere") from None

    def _restore(self, state: dict[str, Any]) -> None:
        if len(state["metrics"]) > self.settings.epochs:
            raise InputError("the unfinished run has more epochs than its settings; remove it and train anew")
        check_continues(state["settings"], self.settings, "the unfinished run")
        if changes := differences(state.get("identity") or {}, self.identity):
            raise InputError(
                f"the unfinished run differs in {changes}, so what follows would not be one run; go on as it began "
                "(--device, --data-root, OMP_NUM_THREADS, number of processes, versions; a network of your own made "
                "anew, with its first parameters), or choose another --out"
            )
        load_whole_state(self.model, state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.precision.load_state_dict(state["precision"])
        self.early_stop.load_state_dict(state["early_stop"])
        self.metrics, self.stopped = state["metrics"], state["stopped"]
        self.snapshots = state["snapshots"]
        every = self.settings.spectrum_every
        if not self.stopped and state["settings"]["epochs"] < self.settings.epochs:  # its last epoch is no longer that
            for row in self.metrics:
                if not every or row["epoch"] % every:
                    for name in SHARPNESS:
                        row.pop(name, None)
        if not 0 <= (step := state["step"]) < self.steps_per_epoch:
            raise ValueError(f"step {step} of {self.steps_per_epoch}")
        self.step, self._sums = step, EpochSums(**state["sums"])
        self._random_state = state["random_states"][self.ranks.rank]
        self._recorded = state["recorder"]

    def record(self, folder: Path) -> None:
        """Measure curvature from now on, if the settings say so, into files of a folder; rows go on from the state.

        Raises:
            InputError: a network whose curvature cannot be measured.
        """
        self.ranks.on_first(lambda: self._record(folder))

    def _record(self, folder: Path) -> None:
        for name in (CURVATURE, CURVATURE_FROZEN):  # rows of steps that are taken again
            (folder / name).unlink(missing_ok=True)
        settings = self.settings
        if not settings.record_every:
            return
        self.recorder = training_recorder(
            self.model,
            self.optimizer,
            self.data,
            settings.batch_size,
            every=settings.record_every,
            examples=settings.record_examples,
            path=folder / CURVATURE,
            seed=settings.seed,
        )
        if self._recorded is not None:
            self.recorder.load_state_dict(self._recorded)
        else:
            self._measure_curvature()

    def _measure_curvature(self) -> None:
        """At the number of steps that have been taken; nothing that the training sees is changed."""
        if self.recorder is None or self.steps % self.recorder.every:
            return
        began, random = time.perf_counter(), random_state(self.device)
        try:
            self.recorder.step(self.steps)
        finally:
            set_random_state(random, self.device)
        self._sums.curvature_seconds += time.perf_counter() - began

    def epoch(self, after_step: Callable[[int, float], None]) -> None:
        """Train what is left of an epoch and append its metrics.

        Args:
            after_step: called with the step's number and its loss; then :meth:`state` is that after the step.

        Raises:
            InputError: a loss that is not finite, or a scaled one that overflows again and again.
        """
        done, settings = len(self.metrics), self.settings
        self.model.train()

        def go_on() -> None:
            if self.step:
                set_random_state(self._random_state, self.device)

        for batch in self.minibatches.epoch(done, self.step, go_on):
            lr = learning_rate(settings, self.steps, self.steps_per_epoch)
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            began = time.perf_counter()
            own = self._taken(*(each.to(self.device, non_blocking=True) for each in batch))
            loss = self.ranks.mean(own, self.device)
            self._note(loss, lr, time.perf_counter() - began)
            self.step += 1
            self._random_state = random_state(self.device)
            if settings.record_every and self.steps % settings.record_every == 0:
                self.ranks.on_first(self._measure_curvature)
            after_step(self.step - 1, loss)
        self._finish_epoch()

    def _taken(self, inputs: Tensor, targets: Tensor) -> float:
        try:
            return self._take(inputs, targets)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise InputError(
                f"batch normalisation needs more than one value of each channel, and a pass has {len(targets)} "
                "examples at most; raise batch_size"
            ) from None

    def _take(self, inputs: Tensor, targets: Tensor) -> float:
        """One step; NaN where the loss is not finite."""
        optimizer, scaler = self.optimizer, self.precision.scaler
        if isinstance(optimizer, SharpnessAwareOptimizer):
            count = self.settings.method.closures
            parts = zip(inputs.chunk(count), targets.chunk(count), strict=True)
            try:
                found = optimizer.step([partial(self._loss, *part) for part in parts], scaler=scaler)
            except NotFiniteError:
                return math.nan
        else:
            optimizer.zero_grad()
            found = self._loss(inputs, targets)
            (found if scaler is None else scaler.scale(found)).backward()
            if scaler is not None:
                scaler.unscale_(optimizer)
            self._before_base()
            (optimizer if scaler is None else scaler).step(*(() if scaler is None else (optimizer,)))
        if scaler is not None:
            scale = scaler.get_scale()
            scaler.update()
            self._sums.left_out += scaler.get_scale() < scale  # it is halved where gradients overflow
        return float(found.detach())

    def _loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        with self.precision.autocast():
            outputs = self._wrapped(inputs)
            if not isinstance(outputs, Tensor):
                raise InputError(
                    f"in train mode the network returns {type(outputs).__name__}, in eval mode scores; leave out what "
                    "it returns besides (auxiliary outputs), or wrap it"
                )
            return cross_entropy(outputs, targets, label_smoothing=self.settings.label_smoothing)

    def _before_base(self) -> None:
        """Note how long the gradient is that the base optimizer steps along, and shorten it if that is wanted."""
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        gradients = [p.grad for p in parameters if p.grad is not None]
        self._sums.add_gradient(float(nn.utils.get_total_norm(gradients)))
        if self.settings.clip_norm:
            nn.utils.clip_grad_norm_(parameters, self.settings.clip_norm)

    def _note(self, loss: float, lr: float, seconds: float) -> None:
        """Add a step up.

        Raises:
            InputError: its loss is not finite.
        """
        settings = self.settings
        self._sums.add_step(loss, lr, seconds)
        scaler = self.precision.scaler
        if math.isfinite(loss) if scaler is None else scaler.get_scale() >= _LEAST_SCALE:
            return  # a scale that was too large has been halved
        rho = getattr(settings.method, "rho", None)
        shorter = "" if rho is None else f" or --rho (now {rho:g})"
        scaled = "" if scaler is None else " and no scale of the loss keeps its gradients finite"
        raise InputError(
            f"the loss became {loss} at step {self.step + 1} of epoch {len(self.metrics) + 1}{scaled}; lower --lr (now "
            f"{settings.lr:g}){shorter}"
        )

    def is_finite(self) -> bool:
        """Whether all weights are, and all buffers that were at first: a mask may have infinite entries."""
        return self._finite <= _finite_tensors(self.model)

    def _finish_epoch(self) -> None:
        """Measure, and begin the next epoch.

        Raises:
            InputError: weights or losses that have left the finite numbers with the last step.
        """
        settings, ranks, epoch = self.settings, self.ranks, len(self.metrics) + 1
        ranks.require_one_model(self.model)
        if not ranks.on_first(self.is_finite):
            raise InputError(f"the weights are not finite after epoch {epoch}; lower --lr (now {settings.lr:g})")
        with torch.random.fork_rng(devices=[]):  # measurements draw nothing that a training sees
            row = ranks.on_first(self._evaluated)
            for name in ("test_loss", "validation_loss"):
                if not math.isfinite(row.get(name, 0.0)):
                    raise InputError(
                        f"the {name.replace('_', ' ')} is {row[name]} after epoch {epoch}; lower --lr (now "
                        f"{settings.lr:g})"
                    )
            if self.validation is not None:
                self.stopped = self.early_stop.after(epoch, row["validation_loss"], self.model)
            every, last = settings.spectrum_every, self.stopped or epoch == settings.epochs
            kept = self.early_stop.epoch or epoch
            if every and (epoch % every == 0 or (last and kept == epoch)):
                row |= ranks.on_first(self._sharpness)
            if every and last and kept < epoch and (kept_row := self.metrics[kept - 1]).get("lambda_1") is None:
                with self.early_stop.at_best(self.model):
                    found = ranks.on_first(self._sharpness)
                # Its alignment would be that of an optimizer that has gone on.
                kept_row |= {name: _readable(value) for name, value in found.items() if name != "alignment"}
        if self.precision.scaler is not None:
            row["steps_left_out"] = self._sums.left_out
        row["seconds"] = self._sums.seconds
        if settings.record_every:
            row["curvature_seconds"] = self._sums.curvature_seconds
        self.metrics.append({name: _readable(value) for name, value in row.items()})
        self.step, self._sums = 0, EpochSums()

    def _sharpness(self) -> dict[str, float]:
        return measure_sharpness(self.model, self.optimizer, self.data, self.settings.batch_size)

    def _evaluated(self) -> dict[str, Any]:
        """The metrics of an epoch that has no step left."""
        test_loss, test_accuracy = evaluate(self.model, self.data.test_inputs, self.data.test_targets)
        row: dict[str, Any] = {
            "epoch": len(self.metrics) + 1,
            **self._sums.means(),
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
        }
        if self.validation is not None:
            row["validation_loss"], row["validation_accuracy"] = evaluate(self.model, *self.validation)
        return row


def _finite_tensors(model: nn.Module) -> set[str]:
    """Names of the parameters and buffers without infinite or undefined entries."""
    named = (*model.named_parameters(), *model.named_buffers())
    return {name for name, tensor in named if bool(tensor.isfinite().all())}


def _readable(value: Any) -> Any:
    """JSON has no NaN: the alignment of a gradient that is 0, say."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
