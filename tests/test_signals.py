"""Stopping cleanly when somebody asks."""

import os
import signal

import pytest

from gaze.signals import stop_signals


@pytest.mark.parametrize("signum", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM])
def test_who_handled_a_signal_before_hears_of_it_when_all_is_saved(signum):
    heard = []
    before = signal.signal(signum, lambda number, frame: heard.append(number))
    try:
        with stop_signals() as flag:
            os.kill(os.getpid(), signum)
            assert flag.signum == signum
            assert not heard
        assert heard == [signum]
        with stop_signals():
            pass
        assert heard == [signum]
    finally:
        signal.signal(signum, before)
