"""Taylor passes: derivatives along directions of any network that these rules cover, without nested autograd."""
