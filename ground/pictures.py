"""One look for all figures: readable in grey, vector and PNG."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .records import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LINES", "PICTURES", "REFERENCE", "new_figure", "render", "save_figure"]

PICTURES = (".svg", ".pdf", ".png")
"""Ends of names of files that can be drawn."""

LINES: tuple[dict[str, Any], ...] = (
    {"color": "#0b3c6f", "linestyle": "-", "marker": "o"},
    {"color": "#c8641e", "linestyle": "--", "marker": "s"},
    {"color": "#6aa84f", "linestyle": "-.", "marker": "^"},
)
"""Colours of different lightness, and a line style and marker each, so that grey print keeps them apart."""

REFERENCE: dict[str, Any] = {"color": "#8a8a8a", "linestyle": ":", "marker": "D"}
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


def new_figure(columns: int, rows: int = 1, *, width: float = 4.6, height: float = 3.6) -> "Figure":
    """An empty figure of panels, each so many inches wide and high."""
    import matplotlib as mpl  # here: whoever draws nothing does not load it
    from matplotlib.figure import Figure

    with mpl.rc_context(_RC):
        figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
        figure.subplots(rows, columns)
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
