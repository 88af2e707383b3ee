"""Signal 9: the same weights, and no file that cannot be read. More kills: see kills.py."""

import json
import os
import subprocess
import sys
from pathlib import Path


def killed(folder, *numbers):
    found = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("kills.py")), str(folder), *map(str, numbers)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-3000:]
    return json.loads(found.stdout.splitlines()[-1])


def test_at_random_moments(tmp_path):
    seen = killed(tmp_path, 5, 0)
    assert seen["kills"] == 5
    assert seen["finished_runs_equal_bit_for_bit"] >= 1


def test_before_things_that_are_done_to_files(tmp_path):
    seen = killed(tmp_path, 12)
    assert seen["kills"] >= 3


def test_before_things_that_are_done_to_files_of_a_run_that_goes_on(tmp_path):
    seen = killed(tmp_path, 24, "grow")
    assert seen["kills"] >= 3
