"""Names of the files in a run directory. No output of a command may take one of them."""

__all__ = ["CHECKPOINT", "INITIAL", "LOCK", "METRICS", "RUN_FILES", "SIDECAR", "STATE"]

CHECKPOINT = "checkpoint.safetensors"
INITIAL = "initial.safetensors"
SIDECAR = "checkpoint.json"
METRICS = "metrics.jsonl"
STATE = "state.safetensors"
LOCK = "lock"
RUN_FILES = frozenset({CHECKPOINT, INITIAL, SIDECAR, METRICS, STATE, LOCK})
