"""Processes with one thread each that end when their parent is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import eigensam
from eigensam.ground import InputError, in_workers, one_thread

SCRIPT = """
import sys, time, os
from pathlib import Path
from eigensam.ground import in_workers

def work(index):
    Path(FOLDER, str(os.getpid())).touch()
    time.sleep(300)

FOLDER = sys.argv[1]
list(in_workers(work, [(i,) for i in range(2)], jobs=2))
"""


@pytest.fixture
def threads():
    """Not a function of this module, which workers do not find: they are sent its code."""

    def number(index):
        return index, torch.get_num_threads(), os.getpid()

    return number


def running(pid):
    """Whether a process computes; what nobody has asked for its exit code still has a number."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip()) and not found.stdout.strip().startswith("Z")


def wait_until(holds, seconds):
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.1)
    return holds()


def test_workers_end_with_a_killed_parent(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(eigensam.__file__).parent.parent)}
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_until(lambda: len(list(tmp_path.iterdir())) == 2, 120)
        workers = [int(path.name) for path in tmp_path.iterdir()]
        assert all(map(running, workers))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert wait_until(lambda: not any(map(running, workers)), 10), "they outlive their parent"
    finally:
        parent.kill()


def test_one_thread_each_and_the_callers_threads_are_left_alone(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert [row[:2] for row in in_workers(threads, [(0,), (1,)], jobs=1)] == [(0, 1), (1, 1)]
        with one_thread():
            assert torch.get_num_threads() == 1
        for row in in_workers(threads, [(0,)], jobs=1):  # not between results either
            assert row[1] == 1
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_results_come_in_order_or_as_they_come(threads):
    found = list(in_workers(threads, [(i,) for i in range(4)], jobs=2))
    assert [row[:2] for row in found] == [(i, 1) for i in range(4)]
    assert os.getpid() not in [row[2] for row in found]
    assert sorted(row[0] for row in in_workers(threads, [(i,) for i in range(4)], 2, ordered=False)) == [0, 1, 2, 3]


def test_a_worker_that_is_killed_is_said():
    def work(index):
        if index == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return index

    with pytest.raises(InputError, match=r"one of 2 processes was killed, most often because memory ran out"):
        list(in_workers(work, [(i,) for i in range(3)], jobs=2))
