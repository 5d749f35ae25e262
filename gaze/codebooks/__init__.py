"""Vectors that stand for gaze directions: those of texts, learned codes, or both."""
