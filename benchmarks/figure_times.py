"""What the items in a folder of results took, as ``paper_figures/reference_times.py`` has it.

python benchmarks/figure_times.py out
"""

import argparse
from pathlib import Path

from eigensam.ground.errors import InputError
from eigensam.ground.result_store import stored
from eigensam.paper_figures import ITEMS


def main() -> None:
    """Print a line for each result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder of results")
    out = parser.parse_args().out
    for name, kind in ITEMS.items():
        try:
            found = stored(out / f"{name}.json", kind.__module__, kind)
        except InputError:
            continue
        print(f'        "{name}": {found.seconds:.3g},')


if __name__ == "__main__":
    main()
