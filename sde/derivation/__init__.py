"""From an update rule to its SDE: expansion, derivation, proof, and the code and documents made from them."""
