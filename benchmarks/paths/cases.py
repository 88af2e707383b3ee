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

    tree, long = {"diffrax-tree": 128}, {"eager": 2048, "torchsde": 512, "torchsde-fast": 2048, "diffrax-tree": 512}
    return {
        "10³ paths": Case(task("sam", 10**3), 2**15 // shrink, 1.35, long),
        "10⁵ paths": Case(task("sam", 10**5), 512, 0.80, tree),
        "10⁶ paths": Case(task("sam", 10**6), 64, 0.80, absent=("diffrax-tree",)),
        "float64": Case(task("sam", 10**5, "float64"), 128, 0.40, absent=("diffrax-tree",)),
        "two-point increments": Case(task("sam", 10**5, increments="two-point"), 512, 0.45),
        "derived SDE, 10⁵ paths": Case(task("derived", 10**5), 256, 0.80, absent=("diffrax-tree",)),
        "derived SDE, 10⁶ paths": Case(task("derived", 10**6), 32, 0.80, absent=("diffrax-tree",)),
        "10 × 10 matrix": Case(task("matrix", 10**5), 64, 2.0, absent=("diffrax-tree",)),
        "two 10 × 10 matrices": Case(task("matrices", 10**5), 64, 2.0, absent=("diffrax-tree",)),
    }
