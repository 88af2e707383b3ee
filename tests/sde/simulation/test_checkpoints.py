"""A run that is interrupted goes on to the same bits; files of other runs and damaged ones are refused."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from eigensam.ground import records
from eigensam.ground.errors import InputError
from eigensam.sde.simulation.ensembles.ensemble import Ensemble
from eigensam.sde.simulation.ensembles.looks import Record
from eigensam.sde.simulation.problems.problem import SDEProblem
from eigensam.sde.simulation.simulate import Engine, simulate
from eigensam.sde.simulation.statistics.observables import Observable

from .test_bits import OBSERVED, bits, mixing, pulled, same, sorted_pull

START = torch.tensor([1.0, -0.5])
PROBLEM = SDEProblem(pulled, mixing)
RECORD = Record(every=2, observables=OBSERVED, trajectories=9)


def run(folder=None, **changes):
    """Four cells and a bit, written after each chunk."""
    settings = {"dt": 0.1, "steps": 4, "paths": 17_000, "seed": 1, "chunk": 3000, "record": RECORD}
    settings |= changes
    problem, start = settings.pop("problem", PROBLEM), settings.pop("start", START)
    return simulate(problem, start, engine=Engine("eager", checkpoint=folder, seconds=0), **settings)


@pytest.fixture(scope="module")
def whole():
    return bits(run())


class Stop:
    """Interrupts a run after so many chunks."""

    def __init__(self, monkeypatch, chunks):
        self.left, self.right = chunks, Ensemble._chunk
        monkeypatch.setattr(Ensemble, "_chunk", lambda *arguments: self(*arguments))

    def __call__(self, *arguments):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return self.right(*arguments)


@pytest.mark.parametrize("chunks", [0, 1, 2, 5])
def test_an_interrupted_run_goes_on(tmp_path, monkeypatch, whole, chunks):
    """Before the first chunk, within a cell, after one, before the last chunk; then in other chunks."""
    with monkeypatch.context() as patch:
        Stop(patch, chunks)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    found = run(tmp_path, chunk=700)
    assert found.path_steps == 4 * (17_000 - chunks * 3000 // 4096 * 4096)  # whole cells are not done again
    assert same(bits(found), whole)


def test_interrupted_again_and_again(tmp_path, monkeypatch, whole):
    for _ in range(3):
        with monkeypatch.context() as patch:
            Stop(patch, 2)
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path)
    assert same(bits(run(tmp_path)), whole)
    again = run(tmp_path)
    assert again.path_steps == 0
    assert same(bits(again), whole)


def test_a_killed_process(tmp_path, whole):
    """At any moment: after the first cell is written."""
    code = """
        import sys, time
        from pathlib import Path
        import torch
        from eigensam.sde.simulation.ensembles.ensemble import Ensemble
        from eigensam.tests.sde.simulation.test_checkpoints import run
        torch.set_num_threads(1)
        right = Ensemble._chunk
        def slow(*arguments):
            time.sleep(0.3)
            return right(*arguments)
        Ensemble._chunk = slow
        run(Path(sys.argv[1]))
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]) as process:
        until = time.monotonic() + 60
        while not (tmp_path / "part-0" / "simulation.json").exists() and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    found = run(tmp_path)
    assert 0 < found.path_steps < 4 * 17_000
    assert same(bits(found), whole)


# another run

OTHER = {
    "seed": {"seed": 2},
    "dt": {"dt": 0.1000001},
    "steps": {"steps": 6},
    "paths": {"paths": 17_001},
    "scheme": {"scheme": "weak-euler"},
    "start": {"start": torch.tensor([1.0, -0.5000001])},
    "type of numbers": {"start": START.double()},
    "drift and diffusion": {"problem": SDEProblem(lambda t, x: pulled(t, x) * 1.0000001, mixing)},
    "looks": {"record": replace(RECORD, every=1)},
    "trajectories": {"record": replace(RECORD, trajectories=8)},
    "final states": {"record": replace(RECORD, final=False)},
    "observables": {"record": replace(RECORD, observables=OBSERVED[:1])},
}
OBSERVABLES = {
    "name": replace(OBSERVED[1], name="r"),
    "function": replace(OBSERVED[1], function=lambda x: x.norm(dim=1) * 1.0000001),
    "alpha": replace(OBSERVED[1], alpha=0.02),
    "edges": replace(OBSERVED[1], edges=[0, 1, 2]),
    "no edges": replace(OBSERVED[1], edges=None),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Read-only."""
    folder = tmp_path_factory.mktemp("checkpoint")
    run(folder)
    return folder


@pytest.mark.parametrize("what", OTHER)
def test_another_run_is_refused(stored, what):
    with pytest.raises(InputError, match=f"holds another run, which differs in .*{what}.*choose another checkpoint"):
        run(stored, **OTHER[what])


@pytest.mark.parametrize("what", OBSERVABLES)
def test_other_observables_are_refused(stored, what):
    record = replace(RECORD, observables=(Observable(), OBSERVABLES[what], *OBSERVED[2:]))
    with pytest.raises(InputError, match="holds another run, which differs in observables;"):
        run(stored, record=record)


def test_functions_without_components_are_told_apart(tmp_path):
    """By their code, and by what they give."""
    problem = SDEProblem(sorted_pull, mixing)
    run(tmp_path, problem=problem)
    assert run(tmp_path, problem=problem).path_steps == 0
    for factor in (2.0, 1.0000001):
        other = SDEProblem(lambda t, x, factor=factor: sorted_pull(t, x) * factor, mixing)
        with pytest.raises(InputError, match="differs in drift and diffusion;"):
            run(tmp_path, problem=other)


def test_a_step_length_of_numpy_is_no_other_run(stored):
    assert run(stored, dt=np.float64(0.1)).path_steps == 0


def test_progress_and_chunks_are_no_other_run(stored, whole):
    found = simulate(
        PROBLEM,
        START,
        dt=0.1,
        steps=4,
        paths=17_000,
        seed=1,
        record=RECORD,
        engine=Engine("eager", checkpoint=str(stored), seconds=5.0, progress=False),
    )
    assert found.path_steps == 0
    assert same(bits(found), whole)


# damage


def damage(folder, pattern, change):
    for path in folder.glob(pattern):
        content = path.read_bytes()
        path.unlink()
        if change is not None:
            path.write_bytes(change(content))
        return
    raise AssertionError(f"no {pattern}")


CHANGES = {
    "truncated": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "a bit": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "missing": None,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("pattern", ["simulation.json", "statistics-*", "final-0*", "final-4096*"])
def test_damaged_files_are_refused(tmp_path, pattern, change, monkeypatch, whole):
    with monkeypatch.context() as patch:
        Stop(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    damage(tmp_path / "part-0", pattern, CHANGES[change])
    if (pattern, change) == ("simulation.json", "missing"):
        assert same(bits(run(tmp_path)), whole)  # as if nothing were there
        return
    with pytest.raises(InputError, match=f"{tmp_path}"):
        run(tmp_path)


def test_a_number_changed_in_the_description(tmp_path):
    run(tmp_path)
    path = tmp_path / "part-0" / "simulation.json"
    path.write_text(path.read_text().replace('"done": 17000', '"done": 16384'))
    with pytest.raises(InputError, match="are damaged; remove"):
        run(tmp_path)


@pytest.mark.parametrize("value", [None, 5, "a", [], {}])
@pytest.mark.parametrize("field", ["done", "statistics", "pieces", "digest"])
def test_an_edited_description(stored, tmp_path, field, value):
    """Another type, or (None) nothing there."""
    shutil.copytree(stored, tmp_path / "copy")
    path = tmp_path / "copy" / "part-0" / "simulation.json"
    content = json.loads(path.read_text())
    content[field] = value
    if value is None:
        del content[field]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"damaged|cannot read .*check the path"):
        run(tmp_path / "copy")


def test_another_kind_of_file(tmp_path):
    (tmp_path / "part-0").mkdir()
    (tmp_path / "part-0" / "simulation.json").write_text("[]")
    with pytest.raises(InputError, match=r"is no state of a simulation; choose another checkpoint folder"):
        run(tmp_path)


# a disk


@pytest.mark.parametrize("writes", [0, 1, 2, 4, 5])
def test_a_full_disk(tmp_path, monkeypatch, whole, writes):
    """Whichever file it is that does not fit: what was complete before is kept."""
    right, left = records.os.fdopen, [writes]

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, content):
            left[0] -= 1
            if left[0] < 0:
                self.file.write(content[: len(content) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
            self.file.write(content)

    with monkeypatch.context() as patch:
        patch.setattr(records.os, "fdopen", lambda *arguments: Full(right(*arguments)))
        with pytest.raises(InputError, match=r"cannot write .*No space left on device"):
            run(tmp_path)
    found = run(tmp_path)
    assert found.path_steps == 4 * (17_000 - (4096 if writes >= 3 else 0))
    assert same(bits(found), whole)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write into"):
        run(tmp_path / "file" / "folder")


def test_a_folder_is_held_by_one_process(tmp_path):
    from filelock import FileLock

    (tmp_path / "part-0").mkdir()
    with FileLock(tmp_path / "part-0" / "lock"), pytest.raises(InputError, match="another process is writing into"):
        run(tmp_path)
