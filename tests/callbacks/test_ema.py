"""The average of the weights leaves alone what never trains."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

from gaze.callbacks.ema import EMA


class Fixed(nn.Linear):
    never_trains = True


def trainer():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(Fixed(2, 2).requires_grad_(False), nn.Linear(2, 1)))
    return SimpleNamespace(model=model, progress=SimpleNamespace(step=5), eval_model=model)


def test_what_never_trains_is_shared_and_in_no_checkpoint():
    here, ema = trainer(), EMA(0.5)
    ema.fit_start(here)
    assert here.eval_model[1][0] is here.model[1][0]
    assert here.eval_model[0] is not here.model[0]
    ema.step_end(here, {})  # the first update copies
    fixed, start = here.model[1][0].weight.clone(), here.model[0].weight.clone()
    with torch.no_grad():
        here.model[0].weight += 1
    ema.step_end(here, {})
    assert torch.equal(here.model[1][0].weight, fixed)
    torch.testing.assert_close(here.eval_model[0].weight, start + 0.6)  # (1 + 5) / (10 + 5) of it stays
    assert not [name for name in ema.state_dict()["average"] if name.startswith("module.1.0.")]

    again, other = trainer(), EMA(0.5)
    other.fit_start(again)
    other.load_state_dict(ema.state_dict())
    assert torch.equal(again.eval_model[0].weight, here.eval_model[0].weight)
    assert again.eval_model[1][0] is again.model[1][0]
