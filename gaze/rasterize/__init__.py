"""Drawing 3D Gaussians (Kerbl et al. 2023) with any number of features."""
