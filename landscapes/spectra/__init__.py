"""Matrix-free linear algebra that knows no loss: extreme eigenvalues, densities, traces, and how sure they are."""
