"""Feature extractors: an image in, a map of features out."""
