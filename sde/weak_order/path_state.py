"""The state file of a sampled run: its statistics so far, and everything that they depend on."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...ground.errors import InputError
from ...ground.fingerprints import fingerprint
from ...ground.identities import code_identity, differences
from ...ground.records import read_json, write_json
from ...ground.workers import one_thread
from ..derivation.torch_code import torch_code
from ..simulation.problems.coefficients import exact_increments
from ..simulation.streaming import StreamingStatistics
from .claim import Claim
from .coupled_paths import Level

__all__ = ["Identity", "check_state", "read_state", "run_identity", "write_state"]

Identity = Mapping[str, str | int]
"""What the statistics of a run depend on, each part under its name: a number, or a fingerprint."""

_CODE = f"{__package__}.monte_carlo"  # the module that runs imports all that the statistics depend on
_SCALES = (0.0, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)  # distances of the probes from the path
_PROBES = 32  # at each of them, unless points are large
_MOST_NUMBERS = 2**22  # in all probes


def run_identity(levels: Sequence[Level], seed: int, paths: int, block: int) -> Identity:
    """Of a run over these step sizes, with what its functions are.

    A Python function has no name that says what it does. So test functions, losses and the rule's increments are known
    by their values, to the last bit, at pseudo-random points on the noiseless path, near it, and far away; test
    functions by their code, constants and closure, too. Either alone could miss a difference: the values one between
    the probes, the code one in a library or in a file that is read.
    """
    last, claim = levels[-1], levels[-1].claim
    f = claim.landscape
    every_rho = [claim.rho(each.eta) for each in levels]
    points = _probes(last)
    with one_thread():  # so that the last bits depend on the functions alone
        losses = _values(lambda x: f.losses(x[:, None]), points)
        increments = [_values(partial(_increments, claim, rho), points) for rho in every_rho]
        tested = _values(last.test_functions, points)
    return {
        **code_identity(_CODE),
        "device": str(f.device),
        "type of numbers": str(f.dtype),
        "landscape": fingerprint(losses),
        "rule": fingerprint(claim.sde.rule.name, increments),
        "SDE": fingerprint(torch_code(claim.sde)),
        "values of symbols": fingerprint(dict(claim.values or {})),
        "start": fingerprint(last.start),
        "step sizes": ", ".join(f"{each.eta!r} ({each.steps} steps)" for each in levels),
        "rho": ", ".join(map(repr, every_rho)),
        "test functions": fingerprint(tested, last.test_functions),
        "control variates": fingerprint(*(each.weights for each in levels)),
        "seed": seed,
        "paths": paths,
        "paths per block": block,
    }


def _probes(level: Level) -> Tensor:
    """Points about the noiseless path of a level, shape ``(N, d)``."""
    f, claim = level.claim.landscape, level.claim
    path = [level.start]
    for _ in range(level.steps):
        h = exact_increments(f, claim.sde.memoryless, path[-1], claim.rho(level.eta), claim.values)
        path.append(path[-1] + level.eta * h.mean(-2))
    count = max(1, min(_PROBES, _MOST_NUMBERS // (len(_SCALES) * f.dim * f.size)))
    generator = np.random.default_rng(0)
    directions = torch.from_numpy(generator.standard_normal((len(_SCALES), count, f.dim)))
    scales = torch.tensor(_SCALES, dtype=torch.float64)[:, None, None]
    places = torch.linspace(0, level.steps, count).round().long()
    near = torch.stack([path[place] for place in places.tolist()]).cpu().double()
    return (near + scales * directions).reshape(-1, f.dim).to(level.start, copy=True)


def _increments(claim: Claim, rho: float, x: Tensor) -> Tensor:
    return exact_increments(claim.landscape, claim.sde.memoryless, x[:, None], rho, claim.values)


def _values(function: Callable[[Tensor], Tensor], points: Tensor) -> Tensor | str:
    """Of a function at all points; how it fails is a value, too."""
    try:
        return function(points)
    except Exception as error:  # far points may lie outside of where a user's function is defined
        return type(error).__name__


def write_state(path: Path, identity: Identity, blocks: int, statistics: StreamingStatistics) -> None:
    """Keep the statistics of so many blocks, atomically."""
    content = {"identity": identity, "blocks": blocks, **statistics.to_dict()}
    write_json(path, {**content, "sha256": _checksum(content)})


def check_state(path: Path) -> dict[str, Any]:
    """What a state file holds, whichever run it is of: before a run begins, since it takes long to know its own.

    Raises:
        InputError: another kind of file, or a damaged one.
    """
    found: Any = read_json(path)
    if not isinstance(found, dict) or not isinstance(found.get("identity"), dict):
        raise InputError(
            f"{path} is no state of this version of eigensam; choose another --state file, or remove this one"
        )
    content = {name: value for name, value in found.items() if name != "sha256"}
    if found.get("sha256") != _checksum(content):
        raise InputError(f"{path} is damaged: its statistics do not fit its checksum; remove it")
    return found


def read_state(path: Path, identity: Identity, size: int) -> tuple[StreamingStatistics, int]:
    """The statistics of a run and the number of blocks in them; none if there is no file.

    Args:
        path: of the file.
        identity: of the run that goes on.
        size: of the vectors whose statistics are kept.

    Raises:
        InputError: the state of another run, with what is different; a damaged file.
    """
    if not path.exists():
        return StreamingStatistics.empty(size), 0
    found = check_state(path)
    theirs = found["identity"]
    if theirs != identity:
        raise InputError(
            f"{path} is the state of another run, which differs in {differences(theirs, identity)}; choose another "
            "--state file, or remove this one"
        )
    return StreamingStatistics.from_dict(found), int(found["blocks"])


def _checksum(content: Mapping[str, Any]) -> str:
    return fingerprint(json.dumps(content, sort_keys=True))
