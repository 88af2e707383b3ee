"""``python -m eigensam`` is the ``eigensam`` command."""

from .cli import main

main()
