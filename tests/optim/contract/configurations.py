"""The bases and settings of torch's own optimizer tests."""

import base64
import functools
import pickle
import subprocess
import sys

import torch

# In a process of its own: importing torch's test utilities changes switches of the process for good.
_ASK = """
import base64, pickle
from torch.testing._internal.common_optimizers import optim_db
found = {}
for info in optim_db:
    fused = "fused" in info.supported_impls and "cpu" in info.supports_fused_on
    found[info.optim_cls.__name__] = {
        "settings": [each.kwargs for each in info.optim_inputs_func(device="cpu")],
        "switches": [{}, *({s: True} for s in ("foreach", "fused") if s in info.supported_impls and (s != "fused" or fused))],
        "sparse": info.only_supports_sparse_grads,
        "complex": info.supports_complex,
        "closure": info.step_requires_closure,
    }
print(base64.b64encode(pickle.dumps(found)).decode())
"""

BASES = [
    value
    for value in vars(torch.optim).values()
    if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
]


@functools.cache
def _database():
    done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=True)
    return pickle.loads(base64.b64decode(done.stdout.split()[-1]))


def about(base):
    """Of one base: its settings, and what it supports."""
    return _database()[base.__name__]


def configurations(base):
    """All settings, each plainly and with each implementation that there is on a CPU."""
    found = about(base)
    return [{**kwargs, **switch} for kwargs in found["settings"] for switch in found["switches"]]
