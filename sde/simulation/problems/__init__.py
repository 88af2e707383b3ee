"""What is simulated: drift, diffusion, calculus, noise; states; where a problem comes from."""
