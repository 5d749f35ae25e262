"""Predictions on photographs and videos that no data set knows."""
