"""One training of the experiment on Eigen-SAM's eigenvector, and what is measured along it and at its end."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ...ground.errors import InputError
from ...ground.fingerprints import fingerprint
from ...ground.records import read_json, through_json, write_json
from ...ground.result_store import result_key
from ...landscapes.curvature.alignments import alignment, mean_alignment
from ...landscapes.curvature.landscape_hessian import top_eigenpairs
from ...landscapes.networks.network import NetworkLandscape
from ...landscapes.runs.data_digests import data_digest
from ...landscapes.runs.data_set import DataSet
from ...landscapes.spectra.eigenpairs import Eigenpairs
from ...optim.bases.sgd import SGDBase
from ...optim.method import Method
from ...optim.methods.eigen_sam import EigenSAMSettings
from ...optim.methods.sam import SAMSettings
from ...optim.methods.sgd import SGDSettings
from ...optim.noise import gaussian, generator_of
from ...optim.optimizers.eigen_sam import EigenSAM, eigen_perturbation
from ...optim.rates.constant import ConstantRate
from ...optim.training.measurement import evaluate
from ...optim.training.settings import TrainSettings
from ...optim.training.training import Training
from ...optim.two_pass import TwoPassOptimizer
from .control_plan import Condition, Pair
from .eigenvalue_rates import eigenvalue_rates
from .scale_free import at_first_lengths

__all__ = ["code_key", "kept_run", "random_curvature", "run_condition"]

_PRODUCTS = {"minibatch": 5, "whole": 20, "random": 3}  # of a refresh: the released code's; what settles it; rank one
_CHUNK = 500  # examples of the whole loss that pass together


def code_key() -> str:
    """Hash of the code that a run depends on; to be asked for once, as it reads some hundred files."""
    return result_key(None, __name__)


def kept_run(
    folder: Path, code: str, pair: Pair, condition: Condition, seed: int, data: DataSet, alphas: Sequence[float]
) -> dict[str, Any]:
    """What :func:`run_condition` measures, from its file in a folder if it is there already.

    Args:
        folder: of the records, one small JSON file for each run.
        code: from :func:`code_key`; a record of other code, settings or data is measured anew.
        pair: network, data, training.
        condition: how it trains.
        seed: of initialisation and minibatches.
        data: from :func:`used_data`.
        alphas: see :func:`run_condition`.

    Raises:
        InputError: a training that fails, or a damaged record, with its name.
    """
    settings = {
        "pair": {key: value for key, value in asdict(pair).items() if key not in ("name", "seeds")},
        "condition": asdict(condition),
        "seed": seed,
        "alphas": list(alphas),
        "data": data_digest(data),
    }
    key = fingerprint(code, settings)
    path = folder / f"{pair.slug}-{condition.name}-seed{seed}.json"
    if path.is_file():
        kept = read_json(path)
        if isinstance(kept, dict) and kept.get("fingerprint") == key:
            if kept.get("sha256") != fingerprint(kept.get("result")):
                raise InputError(f"{path} is damaged: its result was changed after it was measured; remove the file")
            old: dict[str, Any] = kept["result"]
            return old
    try:
        begun = time.process_time()
        result: dict[str, Any] = through_json(run_condition(pair, condition, seed, data, alphas))
    except InputError as error:
        raise InputError(f"{pair.name}, {condition.name}, seed {seed}: {error}") from None
    # What it cost is no part of the result, which is the same again to the last bit.
    seconds = round(time.process_time() - begun, 2)
    record = {"fingerprint": key, "settings": settings, "processor_seconds": seconds, "result": result}
    write_json(path, {**record, "sha256": fingerprint(result)})
    return result


def run_condition(
    pair: Pair, condition: Condition, seed: int, data: DataSet, alphas: Sequence[float] = ()
) -> dict[str, Any]:
    """Train, and measure.

    The eigenvalue is that of the whole training loss in train mode: with batch norm, of the mean over minibatches, each
    normalised by its own statistics, as in training. These minibatches, over which cosines and rates are means, too,
    are random partitions of the examples, the same for all conditions of a seed. Neither the training nor an
    accurate ``v`` has seen them: what is trained on one partition is flatter there than on others.

    Args:
        pair: network, data, training.
        condition: how it trains.
        seed: of initialisation and minibatches.
        data: from :func:`used_data`.
        alphas: weights of the eigenvector for which the end of a run of SAM is asked what the third-order SDE predicts.

    Returns:
        At the end: ``lambda_1`` with ``residual`` and ``converged``, ``lambda_1_eval`` (the same in eval mode),
        ``lambda_1_rescaled`` (of the same function, see :func:`at_first_lengths`; without batch norm ``lambda_1``),
        ``train_loss`` in eval mode, ``train_accuracy``, ``test_loss``, ``test_accuracy``, ``norm`` of the parameters.
        Over all steps: ``length``, the root mean square of ``|u|``; ``cos_g_v``, the mean of ``|cos(g, v)|`` with the
        optimizer's ``v``; ``v_residual``, the mean of ``|Hv - lambda v|/lambda`` at refreshes, for the Hessian that
        ``v`` is taken from. ``looks``: rows of ``epoch``, ``lambda_1``, and the means over minibatches of
        ``cos_g_v1``, ``cos_u_v1`` and ``cos_v_v1``, all with the top eigenvector ``v_1`` of the whole loss.
        ``rates``: see :func:`eigenvalue_rates`; of the run's own ``u`` (after SGD, of what SAM's would be), and, after
        SAM, of every alpha.
    """
    training = _training(pair, condition, seed, data)
    minibatches, whole = _landscapes(training.model, data, pair, seed)
    steps = _Steps(training.optimizer, condition)
    looks: list[dict[str, float]] = []
    due = {round(pair.epochs * (i + 1) / pair.looks) for i in range(pair.looks)}
    pairs: Any = None
    for epoch in range(1, pair.epochs + 1):
        training.epoch(steps.take)
        if epoch in due:
            pairs = _top(whole)
            looks.append({"epoch": epoch, **_alignments(minibatches, pairs, training.optimizer)})
    return {
        **_ends(training.model, data, whole, pairs),
        "lambda_1_rescaled": _rescaled(training.model, training.initial, whole, pairs),
        **steps.means(),
        "looks": looks,
        "rates": _rates(minibatches, pairs, pair.rho, condition, training.optimizer, alphas),
    }


def _training(pair: Pair, condition: Condition, seed: int, data: DataSet) -> Training:
    """The loop of ``eigensam train``, at a constant rate, and with another ``v`` where that is asked for."""
    settings = TrainSettings(
        optimizer=_method(pair, condition),
        data=pair.data,
        model=pair.model,
        base=SGDBase(momentum=pair.momentum),
        schedule=ConstantRate(),
        epochs=pair.epochs,
        batch_size=pair.batch_size,
        lr=pair.lr,
        seed=seed,
    )
    training = Training(settings, data, torch.device("cpu"))
    optimizer = training.optimizer
    if condition.direction == "whole":
        assert isinstance(optimizer, EigenSAM)
        optimizer.curvature = _whole_curvature(training.model, optimizer, data, pair.batch_size, seed)
    elif condition.direction == "random":
        assert isinstance(optimizer, EigenSAM)
        optimizer.curvature = random_curvature(optimizer, seed)
    return training


def _method(pair: Pair, condition: Condition) -> Method:
    if condition.method == "sgd":
        return SGDSettings()
    if condition.method == "sam":
        return SAMSettings(rho=pair.rho * condition.length)
    return EigenSAMSettings(
        rho=pair.rho,
        alpha=condition.alpha,
        refresh_every=condition.refresh_every,
        iterations=_PRODUCTS[condition.direction],
        normalize=condition.normalize,
    )


def _loss(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(model(inputs), targets)


def _whole_curvature(
    model: nn.Module, optimizer: EigenSAM, data: DataSet, batch_size: int, seed: int
) -> list[Callable[[], Tensor]]:
    """The whole training loss as a mean of closures; with batch norm the minibatches of a partition, new each time."""
    inputs, targets = data.train_inputs, data.train_targets
    if not _has_batch_norm(model):
        return [partial(_loss, model, inputs, targets)]

    def loss(part: int) -> Tensor:
        rows = _partition(len(targets), f"of the eigenvector {seed} {optimizer.steps}").split(batch_size)[part]
        return _loss(model, inputs[rows], targets[rows])

    return [partial(loss, part) for part in range(len(targets) // batch_size)]


@lru_cache(maxsize=2)
def _partition(examples: int, words: str) -> Tensor:
    """A permutation that follows from the words."""
    return torch.randperm(examples, generator=generator_of(f"partition {words}"))


def random_curvature(optimizer: EigenSAM, seed: int) -> Callable[[], Tensor]:
    """A loss whose Hessian is ``r r^T``, with a random unit vector ``r`` that follows from the seed and the step.

    Its top eigenvector is ``r``: with this curvature Eigen-SAM goes through the same motions with a random ``v``.

    Example:
        >>> import torch
        >>> from eigensam.optim import EigenSAM
        >>> x = torch.nn.Parameter(torch.ones(4))
        >>> optimizer = EigenSAM([x], rho=0.1, lr=0.1)
        >>> loss = random_curvature(optimizer, seed=0)
        >>> (gradient,) = torch.autograd.grad(loss(), x)  # <r, x> r
        >>> round(float(gradient.norm() ** 2 / (2 * loss().detach())), 5)
        1.0
    """
    parameters = optimizer.parameters()

    def loss() -> Tensor:
        # Of a generator of their own: another one's seed may have drawn the weights, or the minibatches.
        r = gaussian(parameters, generator_of(f"random eigenvector {seed} {optimizer.steps}")).parts
        norm = math.sqrt(sum(float(part.double().square().sum()) for part in r))
        along = torch.stack([(part * p).sum() for part, p in zip(r, parameters, strict=True)]).sum() / norm
        return 0.5 * along.square()

    return loss


class _Steps:
    """Sums over the steps of a training."""

    def __init__(self, optimizer: Any, condition: Condition) -> None:
        self._optimizer, self._condition = optimizer, condition
        self._squares, self._cosines, self._residuals = list[float](), list[float](), list[float]()

    def take(self, step: int, loss: float) -> None:
        """After each step; its step and loss are not needed."""
        c = self._condition
        if c.method != "eigen-sam":
            return
        cosine = float(self._optimizer.alignment)
        # Of eq. 8; v is a unit vector, so this is exact up to rounding.
        self._squares.append(1.0 if c.normalize else 1 + c.alpha**2 * (1 - cosine**2))
        self._cosines.append(cosine)
        if (len(self._cosines) - 1) % c.refresh_every == 0:
            self._residuals.append(float(self._optimizer.residual / abs(self._optimizer.eigenvalue)))

    def means(self) -> dict[str, float]:
        """Root mean square of lengths, means of the others; of SAM what is known, of SGD nothing."""
        own = {"sgd": 0.0, "sam": self._condition.length}
        length = own.get(self._condition.method, math.nan)
        if self._squares:
            length = math.sqrt(math.fsum(self._squares) / len(self._squares))
        return {"length": length, "cos_g_v": _mean(self._cosines), "v_residual": _mean(self._residuals)}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _has_batch_norm(model: nn.Module) -> bool:
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


def _landscapes(model: nn.Module, data: DataSet, pair: Pair, seed: int) -> tuple[NetworkLandscape, NetworkLandscape]:
    """Minibatches of random partitions in train mode; and the same mean loss, of one batch where that is the same."""
    examples = len(data.train_targets)
    rows = torch.cat([_partition(examples, f"{i} of the measurements {seed}") for i in range(pair.partitions)])
    minibatches = NetworkLandscape.from_tensors(
        model,
        cross_entropy,
        data.train_inputs[rows],
        data.train_targets[rows],
        batch_size=pair.batch_size,
        mode="train",
    )
    if _has_batch_norm(model):
        return minibatches, minibatches
    tensors = data.train_inputs, data.train_targets
    return minibatches, NetworkLandscape.from_tensors(model, cross_entropy, *tensors, chunk_size=_CHUNK)


def _top(landscape: NetworkLandscape) -> Eigenpairs:
    # A random start each time: a warm one can stay with an eigenvector that has been overtaken.
    return top_eigenpairs(landscape, landscape.point(), max_products=200, tolerance=1e-3)


def _alignments(minibatches: NetworkLandscape, pairs: Eigenpairs, optimizer: Any) -> dict[str, float]:
    x, v1 = minibatches.point(), pairs.vectors[0]
    cosine = mean_alignment(minibatches, x, v1)
    found = {"lambda_1": float(pairs.values[0]), "cos_g_v1": cosine, "cos_u_v1": cosine, "cos_v_v1": math.nan}
    if isinstance(optimizer, EigenSAM):
        v = optimizer.eigenvector
        assert v is not None
        found["cos_u_v1"] = mean_alignment(minibatches, x, v1, optimizer.perturbation)
        found["cos_v_v1"] = float(alignment(v, v1))
    return found


def _ends(model: nn.Module, data: DataSet, whole: NetworkLandscape, pairs: Eigenpairs) -> dict[str, Any]:
    train_loss, train_accuracy = evaluate(model, data.train_inputs, data.train_targets)
    test_loss, test_accuracy = evaluate(model, data.test_inputs, data.test_targets)
    in_eval = pairs
    if _has_batch_norm(model):
        tensors = data.train_inputs, data.train_targets
        in_eval = _top(NetworkLandscape.from_tensors(model, cross_entropy, *tensors, chunk_size=_CHUNK))
    return {
        "lambda_1": float(pairs.values[0]),
        "residual": float(pairs.residuals[0]),
        "converged": bool(pairs.converged),
        "lambda_1_eval": float(in_eval.values[0]),
        "train_loss": train_loss,
        "train_accuracy": train_accuracy,
        "test_loss": test_loss,
        "test_accuracy": test_accuracy,
        "norm": float(whole.point().double().norm()),
    }


def _rescaled(model: nn.Module, first: dict[str, Tensor], whole: NetworkLandscape, pairs: Eigenpairs) -> float:
    if not _has_batch_norm(model):
        return float(pairs.values[0])
    loss = float(whole.loss(whole.point()).detach())
    with at_first_lengths(model, first):
        x = whole.point().clone()
    other = float(whole.loss(x).detach())
    if abs(other - loss) > 0.01 * loss + 1e-4:
        raise InputError(f"rescaled weights change the loss from {loss:g} to {other:g}; they must precede batch norms")
    return float(top_eigenpairs(whole, x, max_products=200, tolerance=1e-3).values[0])


def _rates(
    minibatches: NetworkLandscape,
    pairs: Eigenpairs,
    rho: float,
    condition: Condition,
    optimizer: Any,
    alphas: Sequence[float],
) -> dict[str, dict[str, float]]:
    v1 = pairs.vectors[0]
    own = optimizer.perturbation if isinstance(optimizer, TwoPassOptimizer) else _with_eigenvector(v1, 0.0)
    asked = {"own": (rho * (condition.length if condition.method == "sam" else 1.0), own)}
    if condition.method == "sam" and condition.length == 1:
        asked |= {f"{alpha:g}": (rho, _with_eigenvector(v1, alpha)) for alpha in alphas}
    return eigenvalue_rates(minibatches, pairs, asked)


def _with_eigenvector(v: Tensor, alpha: float) -> Callable[[Tensor], Tensor]:
    """Eq. 8 with a given eigenvector; with ``alpha`` 0 SAM's perturbation."""
    return lambda g: eigen_perturbation(g, v.to(g), alpha)
