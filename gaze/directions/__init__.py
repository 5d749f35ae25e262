"""How good predicted directions of gaze are: figures, intervals, baselines and reports."""
