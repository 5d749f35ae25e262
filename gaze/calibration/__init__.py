"""Personal calibration: what a few dots that somebody looked at tell about how the model errs on them."""
