"""Many paths of one network: what is seen of them, and along which eigenvectors Eigen-SAM moves them."""
