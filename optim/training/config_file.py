"""Settings of a training in a file, TOML or JSON: read, and refused where they would be ignored or misread."""

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field
from pathlib import Path
from typing import Any

from ...ground.errors import InputError
from ...ground.input_file import read_input
from ...ground.registry import Registry
from ...ground.settings import check_type, settings_of

__all__ = ["read_config"]

_MOST = 2**20  # ours: bytes; such a file has some fifty lines


def read_config(path: Path, flat: Sequence[Field[Any]], groups: Mapping[str, Registry[Any]]) -> dict[str, Any]:
    """What a file says, with names and types that are right; values are judged where settings are made of them.

    Args:
        path: of the file; its name ends in ``.toml`` or ``.json``.
        flat: settings that are values.
        groups: settings that are groups, and what each chooses from. A group is a table with a ``name``, or just that.

    Returns:
        By name, the values that the file has; groups as dictionaries. Where a text is a list of values, so may be
        the file's: ``[100, 150]`` or ``"100,150"``.

    Raises:
        InputError: a file that cannot be read; an unknown key, with the nearest known one; a value of another type.

    Example:
        >>> import pathlib, tempfile
        >>> from eigensam.ground.settings import settings_of
        >>> from eigensam.optim import TrainSettings
        >>> from eigensam.optim.training.settings import GROUPS
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.toml"
        >>> _ = path.write_text('optimizer = "sam"' + chr(10) + "lr = 0.2")
        >>> read_config(path, settings_of(TrainSettings), GROUPS)
        {'optimizer': {'name': 'sam'}, 'lr': 0.2}
    """
    found = _parsed(path)
    try:
        known = {each.name: each for each in flat}
        _check_names(found, [*groups, *known], "a setting of a training")
        return {
            name: _group(name, value, groups[name]) if name in groups else _value(known[name], value)
            for name, value in found.items()
        }
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _parsed(path: Path) -> dict[str, Any]:
    if path.suffix not in (".toml", ".json"):
        raise InputError(f"{path} is no file of settings; end its name in .toml or .json, whichever it is")
    content = read_input(path, most=_MOST)
    try:
        text = content.decode()
        if path.suffix == ".toml":
            return tomllib.loads(text)
        found = json.loads(text, object_pairs_hook=_once)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not {path.suffix[1:].upper()}: {str(error)[:80]}; check the file") from None
    if not isinstance(found, dict):
        raise InputError(f'{path} holds no settings; give names with values, such as {{"lr": 0.1}}')
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """As TOML has it: JSON would keep the last of several values without a word."""
    for name, _ in pairs:
        if [other for other, _ in pairs].count(name) > 1:
            raise InputError(f"'{name:.60}' is given twice; give it once")
    return dict(pairs)


def _check_names(found: Iterable[str], known: Sequence[str], what: str) -> None:
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"choose from: {', '.join(known) or 'nothing'}"
            raise InputError(f"'{name:.60}' is not {what}; {hint}")


def _group(name: str, value: Any, registry: Registry[Any]) -> dict[str, Any]:
    found = {"name": value} if isinstance(value, str) else value
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        raise InputError(f"{name} = {value!r:.60} says no name; give one of: {', '.join(registry)}, or a table with it")
    known = {each.name: each for each in settings_of(registry[found["name"]])}
    own = {key: each for key, each in found.items() if key != "name"}
    _check_names(own, list(known), f"a setting of {name} '{found['name']}'")
    return {"name": found["name"], **{key: _value(known[key], each) for key, each in own.items()}}


def _value(known: Field[Any], value: Any) -> Any:
    if known.metadata.get("listed"):
        parts = value if isinstance(value, list) else [value]
        if all(isinstance(each, int | str) and not isinstance(each, bool) for each in parts):
            value = ",".join(map(str, parts))
    check_type(known, value)
    return value
