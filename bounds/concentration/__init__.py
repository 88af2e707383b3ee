"""What a sample says of a mean: relative entropy, binomial tails, Hoeffding, Bernstein; all rounded outward."""
