"""Texts that describe a face, and the vectors that CLIP's text tower once gave for them."""
