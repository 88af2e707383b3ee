"""The optimizers, a final class in each file."""
