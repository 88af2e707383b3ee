"""Files that a person names: read only where they are regular files of sensible size."""

import os
import stat
from pathlib import Path

from .errors import InputError

__all__ = ["read_input"]


def read_input(path: Path, *, most: int | None = None) -> bytes:
    """The bytes of a regular file.

    A device such as ``/dev/zero`` never ends, and a pipe waits for a writer that may never come: neither is opened to
    wait for it.

    Args:
        path: of the file; links are followed.
        most: refuse a file of more bytes.

    Raises:
        InputError: the file is missing, may not be read, is a folder, device, pipe or socket, or is too large.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "a"
        >>> _ = path.write_bytes(b"loss")
        >>> read_input(path)
        b'loss'
    """
    try:
        # Opening a pipe without O_NONBLOCK waits; what was opened is judged, so nothing can change in between.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or a pipe"
                raise InputError(f"cannot read {path}: it is {kind}; give a regular file")
            if most is not None and found.st_size > most:
                raise InputError(f"cannot read {path}: it has {found.st_size} bytes, at most {most} are read")
            return file.read()
    except OSError as error:
        reason = "it is a folder" if isinstance(error, IsADirectoryError) else error.strerror
        raise InputError(f"cannot read {path}: {reason}; check the path") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read {str(path)!r}: {error}; check the path") from None  # a null character
