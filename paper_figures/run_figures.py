"""What ``eigensam figures`` does: measure or read, draw, report, compare."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..ground.device import find_device
from ..ground.errors import InputError
from ..ground.outputs import Folder, Outputs
from .item import Item
from .listing import list_items, plan_items
from .measuring import Outcome, measure_items, names_of_files, read_items, section
from .preset import find_preset
from .registry import ITEMS
from .report import write_report
from .report_page import write_page
from .resources import Resources
from .section import Section, comparisons

__all__ = ["Request", "run_figures"]

_REPORTS = ("report.html", "report.md")
_MOST_SEEDS = 1000  # ours: beyond is a slip of the keyboard


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        preset: its name.
        names: of items; none are all of the preset's.
        seeds: of each item that has any; 0 leaves the preset's.
        what: ``measure``, ``from-json``, ``list`` or ``dry-run``.
    """

    preset: str = "quick"
    names: Sequence[str] = ()
    seeds: int = 0
    what: str = "measure"

    def items(self, out: Path) -> dict[str, Item]:
        """The items, in their order.

        Raises:
            InputError: an unknown name, a number of seeds out of range; nothing to plot.
        """
        if not 0 <= self.seeds <= _MOST_SEEDS:
            raise InputError(f"--seeds {self.seeds}; give 1 to {_MOST_SEEDS}, or leave it out for the preset's number")
        if self.seeds and self.what == "from-json":
            raise InputError("--from-json plots the seeds that were measured; leave --seeds out")
        preset = find_preset(self.preset)
        names = self.names
        if self.what == "list" and not names:
            names = list(ITEMS)
        if self.what == "from-json" and not names:
            names = [name for name in ITEMS if (out / f"{name}.json").is_file()]
            if not names:
                raise InputError(f"--from-json: {out} holds no result; measure first, without --from-json")
        items = preset.chosen(names)
        return {name: item.with_seeds(self.seeds) if self.seeds else item for name, item in items.items()}


def run_figures(request: Request, resources: Resources, json: Path | None) -> bool:
    """Measure a preset's items, or those that are named, into ``resources.out``, with pictures, ``report.html`` and
    ``report.md``; or do one of the other things that a request may ask for.

    Args:
        request: what is asked for.
        resources: with the device as it was named, and ``jobs`` 0 for one per core.
        json: where the result goes besides; ``-`` is standard output.

    Returns:
        Whether all of it was done; the report names what failed.

    Raises:
        InputError: an unknown name, data that are not there, a folder that cannot be written.
    """
    out = resources.out
    items = request.items(out)
    folders = [Folder("--out", out, {"runs", *_REPORTS, *names_of_files(items)})]
    outputs = Outputs(json, folders=[] if request.what in ("list", "dry-run") else folders)
    if not 0 <= resources.jobs <= 1024:
        raise InputError(f"jobs = {resources.jobs}; give a positive number up to 1024, or 0 for one per core")
    device = str(find_device(resources.device))
    most = (os.cpu_count() or 1) if device == "cpu" else 1  # trainings that share an accelerator share its memory
    resources = replace(resources, device=device, jobs=resources.jobs or most)
    if request.what == "list":
        list_items(items, request.preset, out, outputs)
        return True
    if request.what == "dry-run":
        plan_items(items, request.preset, resources, outputs)
        return True
    if request.what == "from-json":
        outcome = read_items(items, out)
    else:
        for item in items.values():
            item.prepare(resources)
        if resources.data_root is not None and not resources.needs_files:
            raise InputError("everything here is built in and needs no files; leave --data-root and --download out")
        outputs.console.print(f"measuring into {out}", markup=False)
        outcome = measure_items(items, resources, request.preset)
    sections = _sections(items, outcome, out)
    write_report(out / "report.html", _presets(request, outcome), sections)
    write_page(out / "report.md", sections)
    _say(sections, outputs, request, out, device)
    return not any(each.failed or each.incomplete for each in sections)


def _presets(request: Request, outcome: Outcome) -> str:
    """What the results are of; only they know where nothing was measured."""
    if request.what != "from-json":
        return request.preset
    return ", ".join(dict.fromkeys(each.about.get("preset") or "not known" for each in outcome.found.values()))


def _sections(items: Mapping[str, Item], outcome: Outcome, out: Path) -> list[Section]:
    """All of them; a result that cannot be drawn is a failure of this item only."""
    sections = []
    for name, item in items.items():
        failed = outcome.failed.get(name, "")
        if not failed:
            try:
                sections.append(section(name, item, outcome.found[name], out))
                continue
            except InputError as error:
                failed = str(error)
        sections.append(
            Section(name=name, label=item.label, title=item.title, in_the_paper=item.in_the_paper, failed=failed)
        )
    return sections


def _say(sections: Sequence[Section], outputs: Outputs, request: Request, out: Path, device: str) -> None:
    rows = comparisons(sections)
    why = {each.name: each.failed or "; ".join(each.incomplete) for each in sections}
    failed = {name: reason for name, reason in why.items() if reason}
    result = {
        "preset": request.preset,
        "out": str(out),
        "comparisons": [row.to_dict() for row in rows],
        "measured_with": {each.name: dict(each.made_with) for each in sections if not each.failed},
        "seconds": {each.name: each.seconds for each in sections if not each.failed},
        "failed": failed,
    }
    outputs.save(result, device=device)
    console = outputs.console
    for row in rows:
        console.print(
            f"{row.verdict.word}: {row.claim}: {row.measured} (decided by: {row.verdict.decided_by}; the paper or its "
            f"theory: {row.paper})",
            markup=False,
        )
    for name, reason in failed.items():
        console.print(f"FAILED {name}: {reason}", markup=False)
    console.print("wrote " + ", ".join(str(out / name) for name in _REPORTS), markup=False)
    outputs.say_written()
