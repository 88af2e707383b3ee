"""Names of the files in a run directory. No output of a command may take one of them."""

__all__ = [
    "CHECKPOINT",
    "CURVATURE",
    "CURVATURE_FROZEN",
    "EXAMPLES",
    "FROZEN",
    "INITIAL",
    "LOCK",
    "METRICS",
    "RUN_FILES",
    "SETTINGS",
    "SIDECAR",
    "SPLIT",
    "STATE",
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
