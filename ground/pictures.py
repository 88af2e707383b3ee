"""One look for all figures: readable in grey, vector and PNG."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .records import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "LINES",
    "MANY_LINES",
    "PICTURES",
    "REFERENCE",
    "new_figure",
    "panels_are_stacked",
    "picture_path",
    "render",
    "save_figure",
    "stacked_panels",
    "write_picture",
]

PICTURES = (".svg", ".pdf", ".png")
"""Ends of names of files that can be drawn."""

LINES: tuple[dict[str, Any], ...] = (
    {"color": "#072a52", "linestyle": "-", "marker": "o"},
    {"color": "#bc5710", "linestyle": "--", "marker": "s"},
    {"color": "#22561f", "linestyle": "-.", "marker": "^"},
)
"""Colours with a line style and marker each, so that grey print keeps them apart; as all colours here, each has a
contrast of at least 4.5 to white, so that words can have it too."""

MANY_LINES: tuple[dict[str, Any], ...] = (
    *LINES,
    {"color": "#682270", "linestyle": (0, (1, 1.2)), "marker": "v"},
    {"color": "#14687a", "linestyle": (0, (5, 1.5, 1, 1.5, 1, 1.5)), "marker": "P"},
    {"color": "#111111", "linestyle": (0, (9, 2)), "marker": "X"},
)
"""The same, for up to six lines."""

REFERENCE: dict[str, Any] = {"color": "#747474", "linestyle": ":", "marker": "D"}
"""Of what the lines are compared with."""

_RC: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "svg.hashsalt": "eigensam",  # same data, same file
}


_STACKED: ContextVar[bool] = ContextVar("stacked", default=False)
_PHONE = 4.2  # inches: at the width of a phone, letters of 10 points are as large as the text around


@contextmanager
def stacked_panels() -> Iterator[None]:
    """Within, :func:`new_figure` puts all panels below one another: side by side they shrink to nothing on a phone.

    Example:
        >>> with stacked_panels():
        ...     figure = new_figure(3)
        >>> [int(size) for size in figure.get_size_inches()], len(figure.axes)
        ([4, 10], 3)
    """
    token = _STACKED.set(True)
    try:
        yield
    finally:
        _STACKED.reset(token)


def panels_are_stacked() -> bool:
    """Whether :func:`stacked_panels` holds, for pictures that place their panels themselves."""
    return _STACKED.get()


def new_figure(
    columns: int,
    rows: int = 1,
    *,
    width: float = 4.6,
    height: float = 3.6,
    height_ratios: Sequence[float] | None = None,
) -> "Figure":
    """An empty figure of panels, each so many inches wide and high; with ratios of rows, on average so high.

    Its axes come row by row, also where :func:`stacked_panels` puts each panel into a row of its own.
    """
    import matplotlib as mpl  # here: whoever draws nothing does not load it
    from matplotlib.figure import Figure

    if panels_are_stacked():
        ratios = None if height_ratios is None else [ratio for ratio in height_ratios for _ in range(columns)]
        columns, rows, width, height_ratios = 1, rows * columns, min(width, _PHONE), ratios
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
        figure.subplots(rows, columns, height_ratios=height_ratios)
    return figure


def render(figure: "Figure", kind: str) -> bytes:
    """The picture as a file of a kind: ``svg``, ``pdf`` or ``png``."""
    import matplotlib as mpl

    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[kind]
    file = io.BytesIO()
    with mpl.rc_context(_RC):
        figure.savefig(file, format=kind, dpi=160, metadata=metadata)
    return file.getvalue()


def save_figure(figure: "Figure", stem: Path) -> dict[str, Path]:
    """Write ``stem.svg``, ``stem.pdf`` and ``stem.png``, each whole or not at all."""
    paths = {suffix[1:]: stem.with_name(stem.name + suffix) for suffix in PICTURES}
    for kind, path in paths.items():
        write_atomically(path, render(figure, kind))
    return paths


def picture_path(file: Path | str) -> Path:
    """Where a picture goes: a file of a kind that can be drawn, or a name without ending, which means all three.

    Raises:
        InputError: another ending.

    Example:
        >>> picture_path("a.gif")
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: a.gif ends in '.gif'; choose one of: .svg, .pdf, .png, or no ending
    """
    path = Path(file)
    if path.suffix not in ("", *PICTURES):
        raise InputError(f"{path} ends in '{path.suffix}'; choose one of: {', '.join(PICTURES)}, or no ending")
    return path


def write_picture(figure: "Figure", path: Path) -> None:
    """Write a picture to a :func:`picture_path`."""
    if path.suffix:
        write_atomically(path, render(figure, path.suffix[1:]))
    else:
        save_figure(figure, path)
