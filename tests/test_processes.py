"""The command as a process: pipes that close, disks that are full, terminals of one column."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
QUICK = ("weak-order", "sgd", "--dim", "1", "--rho-exponent", "1")


def _start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "eigensam", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize("arguments", [("derive", "sgd", "--rho-exponent", "1", "--json", "-"), ("train", "--help")])
def test_a_reader_that_goes_away_is_no_verdict(arguments):
    """As in ``eigensam weak-order ... | true``: neither exit code 1 nor a word."""
    with _start(*arguments) as process:
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(60) == 141
    assert "rror" not in said


def test_files_are_written_although_the_reader_goes_away(tmp_path):
    with _start(*QUICK, "--json", str(tmp_path / "w.json"), "--plot", str(tmp_path / "w.svg")) as process:
        process.stdout.close()
        process.stderr.read()
        assert process.wait(60) == 141
    assert {path.name for path in tmp_path.iterdir()} == {"w.json", "w.svg"}


def test_json_on_standard_output_in_a_terminal_of_one_column():
    process = _start(
        *QUICK, "--json", "-", env={**os.environ, "COLUMNS": "1", "TERM": "dumb", "PYTHONIOENCODING": "ascii"}
    )
    out, err = process.communicate(timeout=60)
    assert json.loads(out)["rule"] == "sgd"
    assert "slope" in err
    assert "Traceback" not in err


@pytest.mark.skipif(not FULL.exists(), reason="Linux has a full device")
def test_a_full_disk_is_one_line():
    with FULL.open("w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "eigensam", "derive", "sgd", "--rho-exponent", "1"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert "No space left on device" in found.stderr
