"""Results on disk: JSON that is either complete or absent, and what produced it."""

import json
import math
import os
import platform
import subprocess
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .input_file import read_input
from .source_code import code_fingerprint, library_versions

if TYPE_CHECKING:
    import torch

__all__ = ["json_text", "provenance", "read_json", "through_json", "write_atomically", "write_json"]

_PACKAGE = Path(__file__).resolve().parent.parent
_PACKAGE_NAME = __name__.partition(".")[0]
_MOST_JSON = 2**28  # ours: bytes; parsed, it takes some ten times that


def _jsonable(value: Any) -> Any:
    """Replace what JSON cannot hold: NaN and infinities become null, paths become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file or none: a temporary sibling, then one rename.

    Raises:
        InputError: the folder cannot be made or written.
    """
    path = Path(os.path.realpath(path))  # through a link, to what it points at
    if path.exists() and not path.is_file():
        raise InputError(f"{path} exists and is not a regular file; choose another file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; choose a writable place") from None


def through_json(value: Any) -> Any:
    """What :func:`read_json` reads after :func:`write_json` wrote this.

    Example:
        >>> through_json({1: (0.5, float("nan"))})
        {'1': [0.5, None]}
    """
    return json.loads(json_text(value))


def json_text(value: Any) -> str:
    """A value as JSON; NaN and infinity become null."""
    return json.dumps(_jsonable(value), indent=2, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; NaN and infinity become null.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.json"
        >>> write_json(path, {"slope": float("nan"), "etas": [0.5]})
        >>> read_json(path)
        {'slope': None, 'etas': [0.5]}
    """
    write_atomically(path, json_text(value).encode())


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        InputError: the file is missing, unreadable, not a regular file, absurdly large, or not JSON. Python's NaN and
            Infinity are not JSON, and of two equal keys one would be dropped without a word.
    """
    content = read_input(path, most=_MOST_JSON)
    try:
        return json.loads(content, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # includes bytes that are not text
        found = f" ({error})" if isinstance(error, _NotStandardError) else ""
        raise InputError(
            f"{path} is not JSON{found}; it is damaged or another kind of file, remove or restore it"
        ) from None


class _NotStandardError(ValueError):
    """What Python's reader takes and the standard does not."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _NotStandardError(f"the key {max(keys, key=keys.count)!r} is there twice")
    return result


def _refuse_constant(name: str) -> Any:
    raise _NotStandardError(f"{name} is no number")


@cache
def _commit() -> str | None:
    if not (_PACKAGE / ".git").exists():
        return None
    # Not the repository that a hook, say, has named in the environment.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(_PACKAGE), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + "-dirty" * bool(git("status", "--porcelain", "--", "*.py", "*.j2"))
    except (OSError, subprocess.CalledProcessError):  # no git here, or no commit yet
        return None


@cache
def _software() -> dict[str, str | None]:
    import torch  # here: JSON alone needs none

    return {
        "eigensam": version(_PACKAGE_NAME),
        **library_versions(f"{_PACKAGE_NAME}.cli"),
        "platform": platform.platform(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "git_commit": _commit(),
        "code": code_fingerprint(),
    }


def provenance(device: "torch.device | str" = "cpu", dtype: "torch.dtype | None" = None) -> dict[str, str | int | None]:
    """What a result was made with: versions, platform, commit and code, device, type of numbers, number of threads.

    Args:
        device: where it was computed.
        dtype: with which numbers; default float64.

    Example:
        >>> import torch
        >>> made_with = provenance(dtype=torch.float32)
        >>> made_with["device"], made_with["dtype"], made_with["threads"] == torch.get_num_threads()
        ('cpu', 'float32', True)
    """
    import torch

    device = torch.device(device)
    name = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    return {
        **_software(),
        "device": f"{device}{name}",
        "dtype": str(dtype or torch.float64).removeprefix("torch."),
        "threads": torch.get_num_threads(),
    }
