"""Parts of heads in 3D: codes, point networks, meshes, regions, corrections."""
