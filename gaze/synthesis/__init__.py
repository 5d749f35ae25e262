"""The procedural renderer behind the synthetic data sets."""
