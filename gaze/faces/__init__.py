"""Readers of data sets of faces with gaze in 3D: label files and arrays to one table of canonical labels."""
