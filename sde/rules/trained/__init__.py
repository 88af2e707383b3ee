"""What a training run did, as a recursion of the language: read from its settings, which are data here."""
