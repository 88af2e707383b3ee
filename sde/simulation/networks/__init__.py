"""A rule and its SDEs on networks: few paths, many parameters, the minibatches' own noise."""
