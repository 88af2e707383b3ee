"""A network as a landscape: a function of one flat vector, with derivatives that are checked before they are used."""
