"""Heads redirected: other gazes and other poses as pictures, films and data sets, and how good they are."""
