"""Stopping cleanly when somebody asks."""

import os
import signal

import pytest
from hydra.core.hydra_config import HydraConfig

from gaze.explain import explained
from gaze.signals import Interrupted, stop_signals


@pytest.mark.parametrize("signum", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM])
def test_who_handled_a_signal_before_hears_of_it_when_all_is_saved(signum, monkeypatch):
    heard, saved = [], []
    monkeypatch.setattr(HydraConfig, "get", lambda: type("Hydra", (), {"mode": None}))

    @explained
    def entry():
        with stop_signals() as flag:
            os.kill(os.getpid(), signum)
            assert flag.signum == signum
        assert not heard
        saved.append(True)
        raise Interrupted(flag.signum)

    before = signal.signal(signum, lambda number, frame: heard.append((number, *saved)))
    try:
        with pytest.raises(SystemExit) as end:
            entry()
        assert end.value.code == 128 + signum
        assert heard == [(signum, True)]
    finally:
        signal.signal(signum, before)
