"""A table of networks and data sets, whose cells are contests; what is not run here says so."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from ..ground.errors import InputError
from ..ground.result_store import Provenance
from .item import Item, Progress, Table
from .planned_run import PlannedRun
from .resources import Resources

if TYPE_CHECKING:
    from .contest import Contest

__all__ = [
    "NOT_RUN",
    "ContestItem",
    "choices_table",
    "chosen",
    "grid",
    "measured",
    "optimizers",
    "pairs",
    "radius",
    "where",
]

NOT_RUN = "not run here"

Cell = dict[str, Any]


class ContestItem(Item):
    """Shared by tables with a field ``contests``.

    Attributes:
        models: rows of the paper's table, by name.
        data: its columns.
    """

    models: ClassVar[tuple[str, ...]]
    data: ClassVar[tuple[str, ...]]
    contests: "tuple[Contest, ...]"

    def with_seeds(self, count: int) -> "ContestItem":
        """The same over so many seeds."""
        return replace(self, contests=tuple(each.with_seeds(count) for each in self.contests))  # type: ignore[type-var]

    def prepare(self, resources: Resources) -> None:
        """Refuse data that are not there."""
        self.key(resources)

    def size(self) -> dict[str, Any]:
        """What the runs of all cells share, what each optimizer may choose from, and the seeds."""
        from .sweep import shared_settings

        shared = shared_settings([each.settings.to_dict() for each in self.contests])
        choices: dict[str, dict[str, None]] = {}
        for contest in self.contests:
            for each in contest.competitors:
                found = choices.setdefault(f"choices of {each.name}", {})
                for method, lr in each.choices:
                    found[f"{shared_settings([{'m': method.to_dict()}])['m']}, lr {lr:g}"] = None
                if each.after:
                    found |= {f"with the radius and learning rate that {each.after} chose": None}
        kept = {name: value for name, value in shared.items() if name not in ("optimizer", "lr", "validation_fraction")}
        kept |= {name: "; ".join(found) for name, found in choices.items()}
        return {**kept, "seeds": list(self.contests[0].seeds)}

    def key(self, resources: Resources) -> Any:
        """The folders of all runs that there may be."""
        grid = {"models": list(self.models), "data": list(self.data)}
        return {**grid, "cells": [each.key(resources) for each in self.contests]}

    def planned(self, resources: Resources) -> list[PlannedRun]:
        """All runs."""
        return [run for each in self.contests for run in each.planned(resources)]

    def made_with(self, resources: Resources) -> Provenance:
        """What the runs were made with."""
        from .training_runs import made_with

        folders = {name for each in self.contests for names in each.key(resources).values() for name in names}
        return made_with(resources.out / "runs" / name for name in sorted(folders))

    def measure(self, resources: Resources, progress: Progress) -> Any:
        """Every contest; ``models`` and ``data`` are the paper's grid with what we add."""
        models = list(dict.fromkeys([*self.models, *(each.settings.model for each in self.contests)]))
        data = list(dict.fromkeys([*self.data, *(each.settings.data for each in self.contests)]))
        total = sum((each.choices if each.choices > 1 else 0) + len(each.seeds) for each in self.contests)
        total *= len(self.contests[0].competitors)
        cells, before = [], 0
        for each in self.contests:
            runs = 0

            def tell(done: int, count: int, before: int = before) -> None:
                nonlocal runs
                runs = count
                progress(before + done, total)

            cells.append(_cell(each, resources, tell))
            before += runs
        if all("failed" in cell for cell in cells):
            raise InputError(f"no cell could be measured; the first: {cells[0]['failed']}")
        return {"models": models, "data": data, "cells": cells}

    def failures(self, result: Any) -> list[str]:
        """Runs of any cell that failed."""
        from .sweep_words import failures

        cells = result["cells"]
        whole = [f"{where(cell)}: failed ({cell['failed']})." for cell in cells if "failed" in cell]
        return whole + [f"{where(cell)}: {each}" for cell in cells for each in failures(cell["optimizers"])]

    def notes(self, result: Any) -> list[str]:
        """Data and tuning of every cell, and failures."""
        said = []
        for cell in measured(result):
            count = len(cell["optimizers"][0]["choices"])
            steps = cell["settings"]["epochs"]
            tuning = (
                f"each optimizer chooses among {count} settings by one run on {1 - cell['validation_fraction']:.0%} of "
                "them, by the accuracy on the rest"
                if count > 1
                else "nothing is tuned"
            )
            said.append(
                f"{where(cell)}: every optimizer trains on the same {cell['examples']:,} examples for {steps} epochs, "
                f"{'cropped and flipped at random' if cell['settings']['augment'] else 'not augmented'}; {tuning}."
            )
        return said + self.failures(result)


def _cell(contest: "Contest", resources: Resources, progress: Progress) -> Cell:
    """What was measured, or why nothing was: the other cells are worth as much."""
    try:
        return contest.measure(resources, progress)
    except InputError as error:
        settings = contest.settings.to_dict()
        return {"model": settings["model"], "data": settings["data"], "optimizers": [], "failed": str(error)}


def where(cell: Cell) -> str:
    """The cell in words."""
    return f"{cell['model']}, {cell['data']}"


def measured(result: Any) -> list[Cell]:
    """The cells that have not failed as a whole."""
    return [cell for cell in result["cells"] if "failed" not in cell]


def optimizers(cell: Cell) -> dict[str, dict[str, Any]]:
    """Groups of a cell by their names."""
    return {each["name"]: each for each in cell["optimizers"]}


def chosen(group: dict[str, Any]) -> str:
    """The learning rate, and what the method has, of the choice that was taken.

    Example:
        >>> chosen({"name": "SAM", "settings": {"lr": 0.1, "optimizer": {"name": "sam", "rho": 0.05}}})
        'SAM: lr 0.1, ρ 0.05'
    """
    settings = group["settings"]
    own = {"ρ": settings["optimizer"].get("rho"), "α": settings["optimizer"].get("alpha")}
    words = [f"{name} {value:g}" for name, value in {"lr": settings["lr"], **own}.items() if value is not None]
    return f"{group['name']}: {', '.join(words)}"


def radius(group: dict[str, Any]) -> float | None:
    """Of its perturbation; None for SGD, which has none."""
    found: float | None = group["settings"]["optimizer"].get("rho")
    return found


def pairs(cell: Cell) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each optimizer with the one before it: SAM with SGD, Eigen-SAM with SAM."""
    found = cell["optimizers"]
    yield from zip(found[1:], found, strict=False)


def grid(result: Any, words: Any) -> list[list[str]]:
    """Rows ``model, optimizer, one text for each data set``; a cell that is missing says that it is not run here.

    Args:
        result: of a :class:`ContestItem`.
        words: of a cell and an optimizer's name.
    """
    cells = {(cell["model"], cell["data"]): cell for cell in result["cells"]}
    names = list(dict.fromkeys(name for cell in result["cells"] for name in optimizers(cell)))
    return [
        [
            model,
            name,
            *(_text(cells.get((model, data)), name, words) for data in result["data"]),
        ]
        for model in result["models"]
        for name in names
    ]


def _text(cell: Cell | None, name: str, words: Any) -> str:
    if cell is None or name not in optimizers(cell):
        return "failed" if cell is not None and "failed" in cell else NOT_RUN
    text: str = words(cell, name)
    return text


def choices_table(result: Any) -> Table:
    """What each optimizer chose from, and what it chose."""
    from .sweep_words import MISSING

    rows = []
    for cell in result["cells"]:
        for each in cell["optimizers"]:
            for place, choice in enumerate(each["choices"]):
                settings = ", ".join(f"{k} {v}" for k, v in choice["optimizer"].items() if k != "name")
                accuracy = choice.get("validation_accuracy")
                found = "failed" if "failed" in choice else MISSING if accuracy is None else f"{100 * accuracy:.2f}"
                chosen = "chosen" if place == each["chosen"] else ""
                lr = f"lr {choice['lr']:g}"
                rows.append([where(cell), each["name"], f"{lr}; {settings}" if settings else lr, found, chosen])
    header = ["cell", "optimizer", "choice", "validation accuracy, %", "chosen"]
    return Table(header, rows, right=(3,), note="One run of each choice; the same number of choices for everyone.")
