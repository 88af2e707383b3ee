"""What is estimated and what is proved at every network that a training has kept."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...bounds.eigenvalue.theorem41 import eigenvalue_bound
from ...bounds.families.theorem41 import Theorem41
from ...bounds.trained_point.explanation import uniform_loss
from ...bounds.trained_point.point_curvature import measure_curvature
from ...bounds.trained_point.point_risk import certify_point, look_around, measure_test_set
from ...bounds.trained_point.sampled_point import open_point
from ...ground.errors import InputError
from ...ground.fingerprints import fingerprint
from ...ground.records import read_json, through_json, write_json
from ...ground.result_store import result_key
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.run import Run

__all__ = ["CERTIFICATES", "bounds_of_run", "code_key", "kept_bounds"]

CERTIFICATES = 2
"""Of each network: of the randomised one by Monte Carlo, and of the network itself on the test set."""


def bounds_of_run(directory: Path, data: DataSet, effort: Theorem41, device: str = "cpu") -> list[dict[str, Any]]:
    r"""Terms of Theorem 4.1 and certificates at the initialisation and after every epoch that was kept.

    The certificates of one run share ``effort.delta`` evenly: with probability ``1 - delta`` all of them hold at once.
    They are of different things: ``certificate`` bounds the bounded cross-entropy of the network with Gaussian noise
    (no derivative is needed, see :func:`monte_carlo_bound`), ``test_upper`` is Clopper-Pearson's upper end of the
    network's own probability of error, from examples that the training has not seen.

    Args:
        directory: of a run with snapshots.
        data: the whole data set.
        effort: with the delta of all certificates together.
        device: where to compute.

    Returns:
        A row for each epoch, JSON-ready: ``epoch``; the theorem's ``empirical``, ``curvature``, ``remainder``,
        ``complexity`` and their ``sum``, its ``sigma`` and ``lambda_1``; ``certificate`` with its ``kind``,
        ``sigma_proved`` and ``risk_upper``, the upper end of the sample's loss in it; ``test_error`` and
        ``test_upper``; ``uniform``, the loss of a predictor that knows nothing; the ``delta`` of each certificate.

    Raises:
        InputError: a run without snapshots; what :class:`Theorem41` refuses.
    """
    effort.check()
    run = Run(directory)
    if not run.snapshots:
        raise InputError(f"{directory} has kept no epochs; train with snapshot_every, such as 2")
    data = run.clean(run.training_part(data))
    epochs = sorted({0, *run.snapshots, run.checkpoint.kept_epoch})
    each = replace(effort, delta=effort.delta / (CERTIFICATES * len(epochs)))
    return [_row(run, epoch, data, each, device) for epoch in epochs]


def code_key() -> str:
    """Hash of the code that the numbers depend on; to be asked for once, as it reads some hundred files."""
    return result_key(None, __name__)


def kept_bounds(
    folder: Path, code: str, directory: Path, data: DataSet, effort: Theorem41, device: str = "cpu"
) -> dict[str, Any]:
    """The rows of :func:`bounds_of_run`, from a file of the run's name if it is there already, or why there are none.

    Args:
        folder: of these files.
        code: from :func:`code_key`; what other code or effort has made is measured anew.
        directory: of the run, whose name is a hash of all that it depends on.
        data: the whole data set.
        effort: of the bounds.
        device: where to compute.
    """
    key, path = fingerprint(code, directory.name, effort.to_dict(), device), folder / f"{directory.name}.json"
    if path.is_file():
        kept = read_json(path)
        if isinstance(kept, dict) and kept.get("fingerprint") == key:
            return {"rows": kept["rows"]}
    try:
        rows = through_json(bounds_of_run(directory, data, effort, device))
    except InputError as error:
        return {"failed": str(error)}
    write_json(path, {"fingerprint": key, "rows": rows})
    return {"rows": rows}


def _row(run: Run, epoch: int, data: DataSet, effort: Theorem41, device: str) -> dict[str, Any]:
    def silent(what: str) -> None:
        pass

    point = open_point(run.at_epoch(epoch), data, effort, device)
    known = measure_curvature(point).curvature()
    bound = eigenvalue_bound(point.empirical, known, **point.arguments)
    sigma = bound.details["sigma"]
    proved, risk = certify_point(point, look_around(point, sigma, sigma, silent), silent)
    test = measure_test_set(point, data, sigma)
    empirical, curvature, remainder, complexity = (term.value for term in bound.terms)
    return {
        "epoch": epoch,
        "empirical": empirical,
        "curvature": curvature,
        "remainder": remainder,
        "complexity": complexity,
        "sum": bound.bound,
        "sigma": sigma,
        "lambda_1": bound.details["lambda_1"],
        "distance": math.sqrt(point.squared_distance),
        "certificate": proved.bound_kl,
        "kind": proved.kind,
        "sigma_proved": proved.details["sigma"],
        "risk_upper": risk.upper,
        "test_error": test.errors / test.examples,
        "test_upper": test.upper,
        "uniform": uniform_loss(effort.p_min, int(data.classes)),
        "delta": effort.delta,
    }
