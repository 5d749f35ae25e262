"""Mixtures of experts: many small perceptrons, of which each token asks a few."""
