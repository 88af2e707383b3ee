"""What stored results depend on, each part under its name, and what is different between two of them."""

from collections.abc import Mapping
from typing import Any

from .foreign_code import foreign_code
from .source_code import code_fingerprint, library_versions

__all__ = ["code_identity", "differences"]

_SHORT = 30  # characters: a text that is longer and has no spaces is a hash


def code_identity(module: str, *entries: Any) -> dict[str, str]:
    """The code and the libraries that a result depends on.

    Args:
        module: that computes it; it imports all that counts.
        entries: what a registry gave, whose code may be another package's.

    Example:
        >>> sorted(code_identity("eigensam.ground.identities"))
        ['code of eigensam', 'libraries']
    """
    others = foreign_code(*entries)
    versions = library_versions(module)
    return {
        **({"code of other packages": others} if others else {}),
        "code of eigensam": code_fingerprint(module),
        "libraries": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """The names of what differs, with the values where they say something.

    Example:
        >>> differences({"seed": 1, "code": 64 * "a"}, {"seed": 2, "code": 64 * "b"})
        'seed (1 there, 2 here), code'
    """
    parts = []
    for name in {**ours, **theirs}:
        before, now = theirs.get(name), ours.get(name)
        if before != now:
            readable = all(
                isinstance(each, int) or " " in str(each) or len(str(each)) < _SHORT for each in (before, now)
            )
            parts.append(f"{name} ({before} there, {now} here)" if readable else name)
    return ", ".join(parts)
