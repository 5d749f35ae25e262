"""How learned codes are used is in the journal of a run."""

import torch
from torch import nn

from gaze.callbacks.checkpoint import Checkpoint
from gaze.callbacks.codebook import Codebook
from gaze.callbacks.log import Log
from gaze.codebooks.vq import VectorQuantizer
from gaze.journal import Journal
from tests.stubs.line import Net, Point
from tests.stubs.training import line_trainer


class Coded(nn.Module):
    """A straight line through a codebook."""

    def __init__(self):
        super().__init__()
        self.book, self.head = VectorQuantizer(2, None, codes=4, decay=0.5), nn.Linear(2, 1)

    def forward(self, inputs):
        return Point(self.head(self.book(inputs.x).vector))


def told(path, model):
    callbacks = {"codebook": Codebook(), "log": Log(every_steps=2)}
    callbacks["checkpoint"] = Checkpoint(every_steps=None, every_minutes=None)
    line_trainer(path, callbacks, model=model, epochs=1).fit()
    return [{k: v for k, v in entry.values.items() if "codebook" in k} for entry in Journal(path).read()]


def test_perplexity_and_dead_codes_are_told_and_nothing_without_codes(tmp_path):
    model = Coded()
    lines = [line for line in told(tmp_path / "codes", model) if line]
    assert lines
    assert set(lines[-1]) == {"train/codebook/perplexity", "train/codebook/dead"}
    share = model.book.use / model.book.use.sum()
    entropy = -(share * share.clamp(min=1e-30).log()).sum()
    torch.testing.assert_close(torch.tensor(lines[-1]["train/codebook/perplexity"]), entropy.exp())
    assert lines[-1]["train/codebook/dead"] == int((share < 0.01 / 4).sum())
    assert not any(told(tmp_path / "none", Net()))
