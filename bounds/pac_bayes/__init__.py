"""PAC-Bayes inequalities behind one declaration."""
