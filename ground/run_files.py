"""Names of the files in a run directory. No output of a command may take one of them."""

import re

__all__ = [
    "CHECKPOINT",
    "CURVATURE",
    "CURVATURE_FROZEN",
    "EXAMPLES",
    "FROZEN",
    "INITIAL",
    "LOCK",
    "METRICS",
    "RUN_CONTENTS",
    "RUN_FILES",
    "SETTINGS",
    "SIDECAR",
    "SNAPSHOTS",
    "SPLIT",
    "STATE",
    "snapshot_epoch",
    "snapshot_name",
]

CHECKPOINT = "checkpoint.safetensors"
INITIAL = "initial.safetensors"
SIDECAR = "checkpoint.json"
SPLIT = "split.safetensors"
EXAMPLES = "examples.safetensors"
METRICS = "metrics.jsonl"
CURVATURE = "curvature.jsonl"
CURVATURE_FROZEN = "curvature.frozen.safetensors"
SETTINGS = "settings.json"
STATE = "state.safetensors"
LOCK = "lock"
FROZEN = "frozen.json"
RUN_FILES = frozenset(
    {
        CHECKPOINT,
        CURVATURE,
        CURVATURE_FROZEN,
        EXAMPLES,
        FROZEN,
        INITIAL,
        SIDECAR,
        METRICS,
        SETTINGS,
        SPLIT,
        STATE,
        LOCK,
    }
)
SNAPSHOTS = "snapshots"
RUN_CONTENTS = RUN_FILES | {SNAPSHOTS}
"""With the folder of the snapshots, whose files :func:`snapshot_name` names."""

_SNAPSHOT = re.compile(rf"{SNAPSHOTS}/epoch-(\d{{5,}})\.safetensors", re.ASCII)


def snapshot_name(epoch: int) -> str:
    """The file of the network after an epoch, within the run directory.

    Example:
        >>> snapshot_name(10)
        'snapshots/epoch-00010.safetensors'
    """
    return f"{SNAPSHOTS}/epoch-{epoch:05d}.safetensors"


def snapshot_epoch(name: str) -> int | None:
    """Inverse of :func:`snapshot_name`; None for any other name.

    Example:
        >>> snapshot_epoch("snapshots/epoch-00010.safetensors"), snapshot_epoch("snapshots/epoch-10.safetensors")
        (10, None)
    """
    found = _SNAPSHOT.fullmatch(name)
    return int(found[1]) if found and snapshot_name(int(found[1])) == name else None
