"""Decoders: features in, a prediction out."""
