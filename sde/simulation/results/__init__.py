"""What a simulation gives, as tables, pictures and JSON."""
