"""Two processes as a user starts them, and what each of them found."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def launch(script, *arguments, directory, timeout=240):
    """Run a script by torchrun; returns what was printed.

    Not the exit code: when all is done, torch's threads now and then abort a process as it leaves.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    found = subprocess.run(
        [*command, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout,
    )
    return found.stdout


class Found:
    """Results of all cases of one script on both workers."""

    def __init__(self, script, directory):
        said = launch(HERE / script, directory, directory=directory)
        self._of = []
        for rank in range(2):
            file = directory / f"{rank}.json"
            assert file.exists(), said[-4000:]
            self._of.append(json.loads(file.read_text()))

    def __call__(self, case):
        """What a case returned, on both workers."""
        both = [each.get(case) for each in self._of]
        for rank, one in enumerate(both):
            if one is None or (isinstance(one, dict) and "traceback" in one):
                pytest.fail(f"{case} on worker {rank}: {one and one['traceback']}")
        return both

    @property
    def cases(self):
        return set(self._of[0]) & set(self._of[1])
