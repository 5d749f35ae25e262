"""Tests. `checked` is what pytest puts on every function of gaze: see `addopts` in setup.cfg."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int will do for a float
