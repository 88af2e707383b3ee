"""How each kind of landscape is read from a file: one module for each, found by being here."""
