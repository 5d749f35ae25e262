"""What CLIP says of a face: its frozen image tower, and what its texts make of that."""
