"""Searches for hyperparameters: studies that survive interruptions, and what they found."""
