"""One look for all figures: readable in grey, vector and PNG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["LINES", "new_figure", "save_figure"]

LINES: tuple[dict[str, Any], ...] = (
    {"color": "#0b3c6f", "linestyle": "-", "marker": "o"},
    {"color": "#c8641e", "linestyle": "--", "marker": "s"},
    {"color": "#6aa84f", "linestyle": "-.", "marker": "^"},
)
"""Colours of different lightness, and a line style and marker each, so that grey print keeps them apart."""

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


def new_figure(columns: int, rows: int = 1, *, width: float = 4.6, height: float = 3.6) -> Figure:
    """An empty figure of panels, each so many inches wide and high."""
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
        figure.subplots(rows, columns)
    return figure


def save_figure(figure: Figure, stem: Path, kinds: Sequence[str] = ("svg", "pdf", "png")) -> dict[str, Path]:
    """Write ``stem.svg``, ``stem.pdf`` and ``stem.png``, or some of them."""
    paths = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in kinds}
    stem.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_RC):
        for kind, path in paths.items():
            metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[kind]
            figure.savefig(path, dpi=160, metadata=metadata)
    return paths
