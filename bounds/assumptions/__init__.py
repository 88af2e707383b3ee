"""Which assumptions of the paper's theorems hold at a trained run, or of a loss in closed form."""
