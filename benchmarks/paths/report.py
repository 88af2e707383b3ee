"""Table and picture of a result."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from eigensam.ground.errors import InputError
from eigensam.ground.pictures import LINES, new_figure, save_figure
from eigensam.ground.records import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "replace_table", "save_picture", "table"]

BEGIN, END = "<!-- made by benchmarks/sde_paths.py -->", "<!-- end -->"
MAIN = "10⁵ paths"
FLOOR, OURS = "floor", "ours"


def save_picture(result: dict[str, Any], stem: Path) -> None:
    """As SVG, PDF and PNG."""
    save_figure(draw(result), stem)


def _text(low: float, median: float, high: float) -> str:
    digits = 2 if median < 10 else 1 if median < 100 else 0
    return f"{median:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def table(result: dict[str, Any]) -> str:
    """Markdown: a row for everyone at the main case, then ours in every case."""
    titles = result["titles"]
    lines = []
    if main := result["cases"].get(MAIN):
        lines += ["| 10⁵ paths, float32 | in floors | ours is faster | steps |", "| --- | --- | --- | --- |"]
        for name, found in sorted(main["in_floors"].items(), key=lambda item: item[1][1]):
            if name != FLOOR:
                faster = "1" if name == OURS else _text(*main["in_ours"][name])
                lines.append(f"| {titles[name]} | {_text(*found)} | {faster} | {main['steps'][name]} |")
        lines.append("")
    lines += ["| case | eigensam, in floors | at most | best of the others | |", "| --- | --- | --- | --- | --- |"]
    for name, case in result["cases"].items():
        found = case["in_floors"]
        best = min((who for who in found if who != FLOOR and not who.startswith(OURS)), key=lambda who: found[who][1])
        lines.append(
            f"| {name}: {case['title']} | {_text(*found[OURS])} | {case['limit']:.2f} | {_text(*found[best])} "
            f"| {titles[best]} |"
        )
    if calls := result.get("first_call_seconds"):
        lines += [
            "",
            "| first call, seconds | nothing compiled on disk | compiled code on disk |",
            "| --- | --- | --- |",
        ]
        named = {name: titles.get(name, "eigensam, 100 paths, which are not compiled") for name in calls}
        lines += [
            f"| {named[name]} | {_text(*each['cold'])} | {_text(*each['warm'])} |" for name, each in calls.items()
        ]
    if memory := result.get("memory_states"):
        lines += ["", "| peak memory grows, for each path more, by so many states | |", "| --- | --- |"]
        lines += [f"| {titles[name]} | {grown:.1f} |" for name, grown in memory.items()]
    return "\n".join(lines)


def draw(result: dict[str, Any]) -> "Figure":
    """Ratios to the floor on logarithmic axes: above, everyone at the main case; below, ours in every case."""
    cases, titles = result["cases"], result["titles"]
    figure = new_figure(1, 2, width=5.2, height=4.2)
    above, below = figure.axes
    if main := cases.get(MAIN):
        everyone = sorted(main["in_floors"].items(), key=lambda item: -item[1][1])
        _rows(above, {titles[name]: found for name, found in everyone if name != FLOOR}, titles[OURS])
    above.set_title("10⁵ paths of a 2-D SDE, float32", loc="left", fontsize=10)
    ours = {name: cases[name]["in_floors"][OURS] for name in reversed(cases)}
    _rows(below, ours, "")
    limits = [cases[name]["limit"] for name in ours]
    below.plot(limits, range(len(ours)), "|", color="black", markersize=13)
    below.set_title("eigensam (bars: claimed, at most)", loc="left", fontsize=10)
    below.set_xlabel("time / time of normal_ for as many numbers")
    return figure


def _rows(axes: "Axes", rows: dict[str, list[float]], ours: str) -> None:
    """A point with its quartiles and number in each row, of another shape unless it is ours; the floor as a line."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    for row, (name, (low, median, high)) in enumerate(rows.items()):
        style = LINES[0] if name.startswith(ours) else LINES[1]
        axes.errorbar(
            [median],
            [row],
            xerr=[[median - low], [high - median]],
            color=style["color"],
            marker=style["marker"],
            linestyle="",
            capsize=3,
        )
        axes.annotate(f"{median:.3g}", (median, row), (0, 5), textcoords="offset points", ha="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [name.replace(", ", ",\n") for name in rows], fontsize=9)
    axes.set_ylim(-0.6, len(rows) - 0.2)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axvline(1, color="black", linestyle=":", linewidth=1.2)
    axes.annotate("floor", (1, 0), (2, 3), xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=8)


def replace_table(result: dict[str, Any], page: Path) -> None:
    """Put picture and table between the two marks of a page.

    Raises:
        InputError: a page without the marks.
    """
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise InputError(f"{page} has no table to replace; put the lines '{BEGIN}' and '{END}' where it belongs")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    picture = "![Time of simulations in floors](images/sde_paths.png)"
    write_atomically(page, f"{before}{BEGIN}\n{picture}\n\n{table(result)}\n{END}{after}".encode())
