"""The data sets, a file each; what reads them loads when one is read."""
