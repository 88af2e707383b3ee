from .device import find_device
from .errors import InputError
from .fingerprints import fingerprint
from .intervals import Interval, mean_interval
from .outputs import Folder, Outputs
from .records import provenance, read_json, through_json, write_atomically, write_json
from .registry import Registry
from .source_code import code_fingerprint, library_versions
from .workers import in_workers, one_thread

__all__ = [
    "Folder",
    "InputError",
    "Interval",
    "Outputs",
    "Registry",
    "code_fingerprint",
    "find_device",
    "fingerprint",
    "in_workers",
    "library_versions",
    "mean_interval",
    "one_thread",
    "provenance",
    "read_json",
    "through_json",
    "write_atomically",
    "write_json",
]
