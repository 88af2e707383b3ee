"""Names of the files in a run directory. No output of a command may take one of them."""

__all__ = ["CHECKPOINT", "EXAMPLES", "FROZEN", "INITIAL", "LOCK", "METRICS", "RUN_FILES", "SIDECAR", "SPLIT", "STATE"]

CHECKPOINT = "checkpoint.safetensors"
INITIAL = "initial.safetensors"
SIDECAR = "checkpoint.json"
SPLIT = "split.safetensors"
EXAMPLES = "examples.safetensors"
METRICS = "metrics.jsonl"
STATE = "state.safetensors"
LOCK = "lock"
FROZEN = "frozen.json"
RUN_FILES = frozenset({CHECKPOINT, EXAMPLES, FROZEN, INITIAL, SIDECAR, METRICS, SPLIT, STATE, LOCK})
