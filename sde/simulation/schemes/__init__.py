"""The schemes: one file for each, found by being here."""
