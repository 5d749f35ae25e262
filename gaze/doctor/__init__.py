"""Finds out, before a run does, what will go wrong on this machine with this config, and says what to do."""
