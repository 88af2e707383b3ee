"""One file per inequality."""
