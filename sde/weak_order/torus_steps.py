"""Progress of work whose length is not quite known."""

from .claim import Progress

__all__ = ["Steps"]


class Steps:
    """Progress in small steps towards a total that may grow.

    Args:
        progress: called with (done, total), the first time with (0, total).
        total: as far as is known.

    Example:
        >>> steps = Steps(lambda done, total: print(done, total), 2)
        0 2
        >>> steps.more(1)
        >>> steps.step()
        1 3
        >>> steps.finish()
        3 3
    """

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0
        progress(0, total)

    def step(self) -> None:
        """One step is done."""
        self.done += 1
        self.total = max(self.total, self.done)
        self.progress(self.done, self.total)

    def more(self, count: int) -> None:
        """So many steps more than was known."""
        self.total += count

    def finish(self) -> None:
        """All is done, sooner than the total said perhaps."""
        self.progress(self.total, self.total)
