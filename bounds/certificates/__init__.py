"""From data to a certificate: split, prior, frozen choices, posterior, ledger, report."""
