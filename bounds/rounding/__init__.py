"""Numbers of a certificate: real scalars and intervals that never make a bound too small."""
