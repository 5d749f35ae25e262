"""Recordings of people who looked at a screen: readers of public formats, and the one table they become."""
