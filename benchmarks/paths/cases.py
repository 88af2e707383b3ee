"""What is timed at once, and what is claimed of it."""

from dataclasses import dataclass, field

from .contest import Task
from .contestants import CONTESTANTS
from .examples import EXAMPLES

__all__ = ["Case", "cases"]


@dataclass(frozen=True)
class Case:
    """One task for all.

    Args:
        task: what is to be simulated.
        steps: of each path.
        limit: what is claimed of ours, in floors.
        fewer: steps of the slow ones, so that each call takes seconds.
        absent: who is left out, since a single call would take minutes.
    """

    task: Task
    steps: int
    limit: float
    fewer: dict[str, int] = field(default_factory=dict)
    absent: tuple[str, ...] = ()

    def contestants(self) -> dict[str, int]:
        """Name to steps."""
        return {
            name: self.fewer.get(name, self.steps)
            for name, who in CONTESTANTS.items()
            if name not in self.absent
            and (self.task.increments == "normal" or who.two_point)
            and (self.task.device == "cpu" or who.cuda)
        }


def cases(device: str = "cpu", shrink: int = 1) -> dict[str, Case]:
    """Name to case, with so many times fewer paths if only the machinery is to be tried."""

    def task(example: str, paths: int, dtype: str = "float32", increments: str = "normal") -> Task:
        return Task(EXAMPLES[example], paths // shrink, dtype, increments, device)

    slow = {"diffrax-tree": 128, "eager": 512, "torchsde": 512, "torchsde-fast": 512, "diffrax-unsafe": 512}
    long = slow | {"diffrax-tree": 512, "eager": 2048, "torchsde-fast": 2048, "diffrax-unsafe": 2**14}
    few = dict.fromkeys((*slow, "vmap", "scan", "scan-chunks"), 64)
    ten = dict.fromkeys((*slow, "scan", "scan-chunks"), 64)
    absent = ("diffrax-tree",)
    return {
        "10³ paths": Case(task("sam", 10**3), 2**16 // shrink, 1.35, long),
        "10⁵ paths": Case(task("sam", 10**5), 2048, 0.80, slow),
        "10⁶ paths": Case(task("sam", 10**6), 256, 0.80, few, absent),
        "float64": Case(task("sam", 10**5, "float64"), 512, 0.40, dict.fromkeys(slow, 128), absent),
        "two-point increments": Case(task("sam", 10**5, increments="two-point"), 2048, 0.45, slow),
        "derived SDE, 10⁵ paths": Case(task("derived", 10**5), 2048, 0.80, dict.fromkeys((*slow, "scan"), 128), absent),
        "derived SDE, 10⁶ paths": Case(task("derived", 10**6), 256, 0.80, dict.fromkeys((*slow, "scan"), 16), absent),
        "10 × 10 matrix": Case(task("matrix", 10**5), 256, 2.0, ten, absent),
        "two 10 × 10 matrices": Case(task("matrices", 10**5), 256, 2.0, ten, absent),
    }
