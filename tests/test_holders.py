"""A directory that is held is held against everyone, also the process that holds it."""

import os
import subprocess
import sys

import pytest

from gaze import holders
from gaze.errors import UserError

TRY = "import sys; from pathlib import Path; from gaze.holders import holder; print(holder(Path(sys.argv[1])))"


def held_for_others(folder):
    asked = [sys.executable, "-c", TRY, str(folder)]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == str(os.getpid())


def test_a_process_does_not_get_what_it_holds_nor_loses_it_when_it_asks(tmp_path):
    with holders.hold(tmp_path, UserError, "choose another"):
        with (
            pytest.raises(UserError, match=rf"is in use by process {os.getpid()}, this one; .*choose another"),
            holders.hold(tmp_path, UserError, "choose another"),
        ):
            pass
        assert holders.holder(tmp_path) == os.getpid()
        assert held_for_others(tmp_path)
    assert holders.holder(tmp_path) is None
    with pytest.raises(KeyError), holders.hold(tmp_path, UserError, "choose another"):
        raise KeyError
    with holders.hold(tmp_path, UserError, "choose another"):
        pass
