"""What a simulation needs of an SDE: coefficients at a point, noise by path, statistics of a stream, steps."""
