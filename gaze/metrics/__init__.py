"""Streamed metrics in human units."""
