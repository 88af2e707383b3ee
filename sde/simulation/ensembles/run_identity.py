"""What the results of a simulation depend on, so that a stored part is continued by nothing else."""

import torch

from ....ground.fingerprints import fingerprint
from ....ground.identities import code_identity
from ..kernels.point_step import PointStep
from ..kernels.step_code import StepCode
from ..problems.state import Start
from ..scheme import Scheme
from ..statistics.observables import Recorder
from .looks import Record

__all__ = ["run_identity"]

_CODE = f"{__package__.rpartition('.')[0]}.simulate"  # the module that runs imports all that results depend on


def run_identity(
    step: PointStep, code: StepCode, start: Start, recorder: Recorder, record: Record, scheme: Scheme | None
) -> dict[str, str | int]:
    """Each part under its name: a number, or a fingerprint.

    Split code says all that a step computes, to the last constant. Where a step is not split, and of observables,
    functions are known by their code and closure, and by their values where paths start: either alone could miss a
    difference.
    """
    point = step.point
    states = start.seen(torch.stack([x for _, x in point.probes]))
    functions = "" if code.source else fingerprint(point.functions, point.values())
    return {
        **code_identity(_CODE, *([] if scheme is None else [scheme])),
        "device": str(point.device),
        "type of numbers": str(point.dtype),
        step.made_of: fingerprint(code.source, functions),
        "numbers": repr(step.draws),
        "start": fingerprint(start.points, start.blocks),
        "looks": fingerprint(list(recorder.times)),
        "observables": fingerprint(
            [(each.name, each.function, each.alpha, each.edges) for each in recorder.observables],
            recorder.observe(states),
        ),
        "threads": torch.get_num_threads() if code.why_batched else "any",  # a library's products depend on them
        "trajectories": record.trajectories,
        "final states": int(record.final),
    }
