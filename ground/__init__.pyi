from .errors import InputError
from .fingerprints import fingerprint
from .records import provenance, read_json, through_json, write_atomically, write_json
from .source_code import code_fingerprint, library_versions
from .workers import in_workers, one_thread

__all__ = [
    "InputError",
    "code_fingerprint",
    "fingerprint",
    "in_workers",
    "library_versions",
    "one_thread",
    "provenance",
    "read_json",
    "through_json",
    "write_atomically",
    "write_json",
]
