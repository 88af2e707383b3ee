"""The scripts of docs/training-loops.md: as a whole, or up to where they make what they train with."""

import logging
import re
import warnings
from collections import Counter
from pathlib import Path

import pytest

import eigensam

TEXT = (Path(eigensam.__file__).parent / "docs" / "training-loops.md").read_text()
HEADINGS = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)

# Of Lightning: torch's tree functions have changed; it would rather have processes that load two small tensors.
_OTHERS_WARN = [(r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning), (".* many workers", UserWarning)]


def scripts():
    """By heading; a second one below the same heading is called ``heading (2)``."""
    found, count = {}, Counter()
    for heading, body in re.findall(r"^#+ (.*?)\n(.*?)(?=^##|\Z)", TEXT, re.DOTALL | re.MULTILINE):
        for code in re.findall(r"```python\n(.*?)```", body, re.DOTALL):
            count[heading] += 1
            found[heading if count[heading] == 1 else f"{heading} ({count[heading]})"] = code
    return found


def run(title, before=None):
    """Run a script, or what comes before a line of it; returns its names. Skipped where a package is missing."""
    code = scripts()[title]
    for package in ("lightning", "transformers", "accelerate"):
        if re.search(rf"^(import|from) {package}\b", code, re.MULTILINE):
            with quiet():
                pytest.importorskip(package, reason=f"{package} is not installed, whose training loop this is")
    if before is not None:
        code, line, _ = code.partition(f"\n{before}")
        assert line, before
    names = {"__name__": "__main__"}
    with quiet():
        exec(compile(code, title, "exec"), names)
    return names


class quiet(warnings.catch_warnings):  # noqa: N801 (as the class that it extends)
    """Warnings are errors inside, but for those of others; advice of a trainer is not logged."""

    def __enter__(self):
        log = super().__enter__()
        warnings.simplefilter("error")
        for message, category in _OTHERS_WARN:
            warnings.filterwarnings("ignore", message, category)
        logging.disable(logging.INFO)
        return log

    def __exit__(self, *error):
        logging.disable(logging.NOTSET)
        super().__exit__(*error)
