"""What ``eigensam order-table`` does: three items, and a page of two of them."""

from pathlib import Path

from ..ground.outputs import Folder, Outputs
from ..ground.records import write_atomically
from .measuring import draw_items, measure_item, names_of_files
from .order_page import page
from .registry import ITEMS
from .resources import Resources

__all__ = ["run_order_table"]

_ITEMS = ("order_table", "ablations", "critical_point")
_PAGE = "order_table.md"


def run_order_table(out: Path, json: Path | None) -> bool:
    """Measure, draw and write the page; whether every measured order is the predicted one.

    Raises:
        InputError: a folder or file that cannot be written.
    """
    items = {name: ITEMS[name]() for name in _ITEMS}
    outputs = Outputs(json, folders=[Folder("--out", out, {_PAGE, *names_of_files(items)})])
    console = outputs.console
    console.print(f"measuring into {out}", markup=False)
    measured = {name: measure_item(name, item, Resources(out)) for name, item in items.items()}
    found = {name: each.result for name, each in measured.items()}
    write_atomically(out / _PAGE, page(found["order_table"], found["ablations"]).encode())
    outputs.save({**found, "measured_with": {name: each.made_with for name, each in measured.items()}})
    for paths in draw_items(items, measured, out).values():
        console.print("wrote " + ", ".join(str(path) for path in paths.values()), markup=False)
    console.print(f"wrote {out / _PAGE}", markup=False)
    outputs.say_written()
    entries = found["order_table"] + found["ablations"]
    wrong = [entry for entry in entries if entry["verdict"] != "pass"]
    for entry in wrong:
        console.print(f"{entry['verdict']}: {entry}", markup=False)
    console.print(f"{len(entries) - len(wrong)} measured orders are the predicted ones, {len(wrong)} are not")
    return not wrong
