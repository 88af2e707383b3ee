"""Trainings by two processes: one of them."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from cases import CASES as ALL
from cases import case, raised, run_all
from trainings import CASES, OWN, at_step, diverge, dropping_settings, lose, own_network, own_settings, stop

from eigensam.landscapes import load_data
from eigensam.optim import train
from eigensam.optim.training.state import load_state

HERE = Path(sys.argv[1])
DIGITS, DROPPING = load_data("digits"), dropping_settings()


def own(name, out, **changes):
    seen = []
    network = own_network()
    run = train(own_settings(name, **changes), OWN, HERE / out, model=network, progress=lambda *now: seen.append(now))
    return {"progress": len(seen), "epochs": len(run.metrics), "accuracy": run.metrics[-1]["test_accuracy"]}


for each in CASES:
    ALL[f"equal/{each}"] = lambda each=each: own(each, each)


@case
def undisturbed():
    train(DROPPING, DIGITS, HERE / "undisturbed")
    return {}


@case
def resumed():
    """Stopped in the fourth of the five steps of the second epoch."""
    back = at_step(9, stop)
    try:
        train(DROPPING, DIGITS, HERE / "resumed", save_minutes=0)
    except KeyboardInterrupt:
        pass
    finally:
        back()
    state = HERE / "resumed.partial" / "state.safetensors"
    saved = load_state(state)
    states = saved["random_states"]
    dist.barrier()
    torch.rand(7)
    train(DROPPING, DIGITS, HERE / "resumed", resume=True)
    return {"step": saved["step"], "states": len(states), "same": torch.equal(states[0]["cpu"], states[1]["cpu"])}


@case
def left_unfinished():
    back = at_step(4, stop)
    try:
        train(own_settings("sam"), OWN, HERE / "unfinished", model=own_network(), save_minutes=0)
    except KeyboardInterrupt:
        return {}
    finally:
        back()
    return {"traceback": "it was not stopped"}


def refusal(function, out):
    said = raised(function)
    dist.barrier()
    return {"said": said, "left": [path.name for path in HERE.glob(f"{out}*")]}


@case
def refusals():
    rank = dist.get_rank()
    other = own_network()
    with torch.no_grad():
        other[0].bias.add_(rank)
    settings = own_settings("sgd")
    found = {
        "size": refusal(lambda: own("sgd", "a", batch_size=9), "a"),
        "parts": refusal(lambda: own("m-sam", "a", batch_size=10), "a"),
        "folder": refusal(lambda: own("sgd", f"b{rank}"), "b"),
        "settings": refusal(lambda: own("sgd", "c", lr=0.1 + rank), "c"),
        "network": refusal(lambda: train(settings, OWN, HERE / "d", model=other), "d"),
        "exists": refusal(lambda: own("sgd", "sgd"), "nothing"),
    }
    for name, action in (("diverge", diverge), ("lose", lose)):
        back = at_step(2, action)
        found[name] = refusal(lambda name=name: own("sgd", name), name)
        back()
    return found


run_all()
