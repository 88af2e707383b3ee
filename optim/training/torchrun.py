"""A command that ``torchrun`` has started several times: the processes meet, and speak with one voice."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import typer
from torch.distributed.rendezvous import rendezvous

from ...ground.device import find_device
from ...ground.errors import InputError
from .ranks import Ranks

__all__ = ["joined", "processes_here", "restarted"]

_PATIENCE = timedelta(hours=2)  # ours: for what the first process does alone, such as to measure lambda_1
_SAID = timedelta(seconds=10)  # ours: for the first process to remove what it has begun, and to print


def processes_here() -> int:
    """How many processes ``torchrun`` has started; 1 without it.

    Example:
        >>> processes_here()
        1
    """
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def restarted() -> bool:
    """Whether ``torchrun --max-restarts`` has started the command again, because a process of it was lost.

    Example:
        >>> restarted()
        False
    """
    return _attempt() > 0


def _attempt() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


@contextmanager
def joined(device: str) -> Iterator[tuple[Ranks, torch.device]]:
    """Inside, the processes that ``torchrun`` has started are one process group; nothing changes where it has not.

    An error of bad input ends all of them with exit code 2, and is printed once: by the first process, or, if that
    knows of no error, by the one that has it.

    Args:
        device: by name. Several processes on accelerators have one each, so that a number is not to be given.

    Yields:
        The processes, and the device of this one.

    Raises:
        InputError: a device that is not there, or that all processes would share.
    """
    count = processes_here()
    if count == 1:
        yield Ranks(), find_device(device)
        return
    shared, rank, _ = next(rendezvous("env://", timeout=_PATIENCE))
    # It may outlive a restart, with addresses of processes that are no more, and what they have said.
    store = torch.distributed.PrefixStore(f"attempt {_attempt()}", shared)  # type: ignore[attr-defined]
    try:
        target = _own_device(device)
        backend = torch.distributed.get_default_backend_for_device(target)
        torch.distributed.init_process_group(
            backend,
            store=store,
            rank=rank,
            world_size=count,
            timeout=_PATIENCE,
            device_id=None if target.type == "cpu" else target,
        )
        yield Ranks.found(), target
        torch.distributed.barrier()  # nobody leaves while another one still needs it
    except InputError as error:
        if rank == 0 or not _is_said(store):
            print("eigensam: " + " ".join(str(error).split()), file=sys.stderr, flush=True)
            with suppress(RuntimeError):  # nobody is left who would wait
                store.set("said", "1")
        raise typer.Exit(2) from None
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _own_device(name: str) -> torch.device:
    device = find_device(name)
    if device.type == "cpu":
        return device
    if torch.device(name if name != "auto" else device.type).index is not None:
        raise InputError(f"--device {name} is one device for all processes; give --device {device.type}, one for each")
    local = int(os.environ["LOCAL_RANK"])
    there = torch.get_device_module(device).device_count()
    if local >= there:
        raise InputError(f"process {local} has no {device.type} of its own, there are {there}; start no more processes")
    torch.accelerator.set_device_index(local)
    return torch.device(device.type, local)


def _is_said(store: Any) -> bool:
    """Whether the first process prints an error before long."""
    with suppress(RuntimeError):
        store.wait(["said"], _SAID)
        return True
    return False
