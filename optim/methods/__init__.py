"""The optimizers that can train, a file each: settings, and how they are made. Torch loads when one is made."""
