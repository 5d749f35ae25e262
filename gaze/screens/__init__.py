"""How good predicted points of gaze are: figures, intervals, baselines and reports."""
