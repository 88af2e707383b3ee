"""Whether bounds and measures of flatness order trained models by how they generalise."""
