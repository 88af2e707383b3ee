"""Ours."""

from .contest import Run, Task, contestant
from .torch_contestants import _eager

__all__: list[str] = []


@contestant("ours", "eigensam", two_point=True, cuda=True)
def _ours(task: Task) -> Run:
    return _eager(task)
