"""Readers, one file per label format, and the augmentations they share."""
