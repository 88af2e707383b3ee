"""``eigensam train``, killed with signal 9 again and again.

    python kills.py FOLDER KILLS SEED    at random moments
    python kills.py FOLDER STRIDE        before each thing that it does to a file, or before every so many
    python kills.py FOLDER STRIDE grow   the same of a command that goes on from a finished run

One process imports torch once and forks a child for each command. A run whose command is killed is gone on with, and
one that comes to its end is compared with a run that was not disturbed; prints what was seen, as JSON.
"""

import gc
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import torch
from kept import files

from eigensam.cli import main
from eigensam.ground.records import provenance
from eigensam.landscapes import Run, load_data, load_tensors
from eigensam.optim import TrainSettings
from eigensam.optim.training.identity import run_identity
from eigensam.optim.training.state import load_state
from eigensam.optim.training.training import make_optimizer

COMMAND = ["train", "--refresh-every", "7", "--validation-fraction", "0.1", "--save-minutes", "0", "--device", "cpu"]
LONG = ["--epochs", "8", "--subset", "300", "--batch-size", "30", "--snapshot-every", "3"]
SHORT = ["--subset", "80", "--batch-size", "24", "--snapshot-every", "1", "--schedule", "constant", "--epochs"]
TOUCHING = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.truncate"}  # audited by Python


def aside(out):
    """Where an earlier run is while a longer one takes its place."""
    return out.with_name(f".{out.name}.before")


def warm_up():
    """What every command finds out for itself once, so that a child is soon in its training."""
    settings = TrainSettings("eigen-sam")
    run_identity(load_data("digits"), "cpu", settings)
    make_optimizer(settings, torch.nn.Linear(1, 1))
    provenance("cpu")
    gc.collect()
    gc.freeze()  # a child's optimizer looks through all objects for modules


def touched(out, then):
    """Call ``then`` with the number of each thing that this process is about to do to the run's files."""
    count = 0

    def audit(event, arguments):
        nonlocal count
        if event in TOUCHING and str(arguments[0]).startswith((str(out), str(aside(out)))):
            count += 1
            then(count)

    sys.addaudithook(audit)


def start(out, options, then=None):
    """A child that runs the command; returns its process id."""
    child = os.fork()
    if child:
        return child
    sys.argv = ["eigensam", *COMMAND, *options, "--out", str(out), "--resume"]
    log = out.with_name("log")
    if then is not None:
        touched(out, then)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(target, 1)
    os.dup2(target, 2)
    code = 1
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        os._exit(code)


def begun(out):
    """A child that has just begun to train: it has opened the first of its files."""
    reading, writing = os.pipe()
    child = start(out, LONG, lambda count: count == 1 and os.write(writing, b"1"))
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    return child


def ended(child, seconds):
    """Whether a child ends by itself in so many seconds, well; it is killed if it does not."""
    end = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            assert status == 0, f"the command failed: {status}"
            return True
        if time.monotonic() >= end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return False
        time.sleep(0.0005)


def check(out):
    """Read every file that is there; how far the run is, in epochs and steps, and whether a write was cut off."""
    partial = out.with_name(out.name + ".partial")
    if not partial.exists():
        if out.exists():
            Run(out)
        return None
    cut = [path for path in partial.iterdir() if path.name.startswith(".")]
    step = None
    for path in set(partial.iterdir()) - set(cut):
        if path.is_dir():
            cut += [each for each in path.iterdir() if each.name.startswith(".")]
            assert all(load_tensors(each) for each in set(path.iterdir()) - set(cut))
        elif path.name == "state.safetensors":
            state = load_state(path)
            step = len(state["metrics"]), state["step"]
        elif path.suffix == ".safetensors":
            assert load_tensors(path)
        elif path.suffix == ".jsonl":
            assert all(json.loads(line)["epoch"] for line in path.read_text().splitlines())
        elif path.suffix == ".json":
            assert json.loads(path.read_text())
        else:
            assert path.name == "lock", path
    return step, bool(cut)


def run(folder, kills, seed):
    moments = random.Random(seed)
    warm_up()
    child = begun(folder / "whole")
    began = time.monotonic()
    assert ended(child, 300)
    length = time.monotonic() - began
    whole = files(folder / "whole")
    killed, finished = [], 0
    while len(killed) < kills:
        out = folder / f"run-{finished}"
        while not ended(begun(out), moments.uniform(0, 0.7 * length) if len(killed) < kills else 300):
            killed.append(check(out))
        assert files(out) == whole, "another run has come out"
        finished += 1
    seen = [each for each in killed if each]
    return {
        "kills": len(killed),
        "in_mid_epoch": sum(bool(each[0]) and each[0][1] > 0 for each in seen),
        "before_the_first_save": sum(each[0] is None for each in seen) + len(killed) - len(seen),
        "while_a_file_was_written": sum(each[1] for each in seen),
        "different_places": len({each[0] for each in seen}),
        "finished_runs_equal_bit_for_bit": finished,
        "seconds_undisturbed": round(length, 2),
    }


def before_each(folder, stride, *, grows=False):
    """One run, killed before the first thing that it does to a file, another one before the second, and so on."""
    warm_up()
    counted, options = folder / "count", [*SHORT, "2" if grows else "1"]
    if grows:
        assert ended(start(folder / "earlier", [*SHORT, "1"]), 300)

    def begin(out, then):
        if grows:
            shutil.copytree(folder / "earlier", out)
        return start(out, options, then)

    counted.touch()
    assert ended(begin(folder / "whole", lambda count: os.truncate(counted, count)), 300)
    whole, cut, killed = results(folder / "whole"), 0, 0
    for thing in range(counted.stat().st_size, 0, -stride):  # the last ones finish the run
        out = folder / f"run-{thing}"
        child = begin(out, lambda count, thing=thing: count == thing and os.kill(os.getpid(), signal.SIGKILL))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        seen = check(out)
        cut += bool(seen and seen[1])
        if grows or not (out / "checkpoint.json").exists():
            assert ended(start(out, options), 300)
        assert results(out) == whole, thing
        if aside(out).exists():  # of a run that has its name, and was killed before it was tidied up
            assert ended(start(out, [*SHORT, "3"]), 300)
            assert not aside(out).exists()
        killed += 1
    return {"kills": killed, "while_a_file_was_written": cut}


def results(out):
    """What does not depend on the clock, nor on how far a finished run has been tidied up."""
    found = files(out)
    Run(out).at_epoch(1).network()
    return {name: content for name, content in found.items() if name not in ("state.safetensors", "lock")}


if __name__ == "__main__":
    place, number, *more = sys.argv[1:]
    if more in ([], ["grow"]):
        print(json.dumps(before_each(Path(place), int(number), grows=bool(more))))
    else:
        print(json.dumps(run(Path(place), int(number), int(*more))))
