"""What it costs to start the command, as a ratio to ``import torch``.

Claim: ``eigensam derive sam`` costs at most 0.35 of ``import torch``, ``eigensam --version`` about 0.10. CPU time of
whole processes, user and system, one thread, interleaved repeats.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from eigensam.ground import provenance, write_json

FLOOR = "import torch"
COMMANDS = {
    FLOOR: ["-c", "import torch"],
    "python": ["-c", "pass"],
    "eigensam --version": ["-m", "eigensam", "--version"],
    "eigensam --help": ["-m", "eigensam", "--help"],
    "eigensam train --help": ["-m", "eigensam", "train", "--help"],
    "eigensam derive sam": ["-m", "eigensam", "derive", "sam"],
    "from eigensam.bounds import kl_inverse": ["-c", "from eigensam.bounds import kl_inverse"],
}


def cpu_seconds(arguments: list[str]) -> float:
    """User and system time of one Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(repeats: int) -> dict[str, dict[str, Any]]:
    """Ratios to the floor of the same round; the first round, which fills the disk's cache, is left out."""
    rounds = [{name: cpu_seconds(arguments) for name, arguments in COMMANDS.items()} for _ in range(repeats + 1)][1:]
    ratios = {name: sorted(each[name] / each[FLOOR] for each in rounds) for name in COMMANDS}
    return {
        name: {"median": statistics.median(values), "lowest": values[0], "highest": values[-1]}
        for name, values in ratios.items()
    }


def main() -> None:
    """Measure, print, and write JSON if it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = measure(arguments.repeats)
    for name, ratio in found.items():
        print(f"{name:40} {ratio['median']:.3f} [{ratio['lowest']:.3f}, {ratio['highest']:.3f}]")
    if arguments.json:
        write_json(arguments.json, {"ratios": found, "repeats": arguments.repeats, "made_with": provenance()})


if __name__ == "__main__":
    main()
