"""What runs of a sweep over redirectors are worth: pairs of a split, by judges that taught none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gaze.hardware import Hardware
from gaze.perceptual.estimators import Estimator
from gaze.redirection.evaluation import evaluate_heads
from gaze.redirection.summary import OUTSIDE, summary
from gaze.runs import build, check, load_config, load_model, plain_config
from gaze.vaes.autoencoder_kl import AutoencoderKL
from gaze.vaes.shift import gaze_shift_on

# Of conf/evaluate.yaml: nothing is fitted, and what is no figure of pairs is left out
WISHES: dict[str, Any] = {
    "pairs": None,
    "codes": "input",
    "renormalise": False,
    "fit": {"steps": 0, "of": "codes", "lr": 0.0},
    "lpips_weights": None,
    "fid_weights": None,
    "identity_steps": 0,
    "leaks": 0,
    "sweeps": 0,
    "timed": 0,
}


class RedirectedPairs:
    """Figures of a run as tools/evaluate.py has them: inputs redirected to the gaze and pose of their pairs' targets.

    Also ``gaze_deg_beyond``, that of pairs whose target looks further aside than any frame of training, where there are
    such, and ``vae_shift_deg`` of a run that draws with an autoencoder: how far it moves the gaze of the targets' photographs
    by drawing them again, the least error that is to be hoped for.

    Args:
        gaze, head: runs of directions that judge, and that taught no run of the sweep; None: no such figures.
    """

    def __init__(self, gaze: str | None = None, head: str | None = None) -> None:
        self.gaze, self.head = gaze, head

    def __call__(self, run: Path, hardware: Hardware, split: str, batch_size: int) -> dict[str, float]:
        """The figures of one run.

        Raises:
            UserError: a judge taught it, or the split has no pairs.
        """
        config = load_config(run)
        node = OmegaConf.create({"dataset": plain_config(config.dataset)})
        check(node)
        open_split, model = build(node.dataset), load_model(run)
        data = open_split(split=split)
        told = {
            "estimators": {"gaze": {"run": self.gaze}, "head": {"run": self.head}},
            "redirection": {**WISHES, "batch_size": batch_size},
        }
        name = str(run)
        found = evaluate_heads(name, name, model, data, open_split, told, hardware, baselines=False)
        rows = summary(found, resamples=0)[0]
        figures = rows[name]
        beyond = rows.get(f"{name}, {OUTSIDE}", {})
        figures |= {"gaze_deg_beyond": beyond["gaze_deg"]} if "gaze_deg" in beyond else {}
        vaes = [module for module in model.modules() if isinstance(module, AutoencoderKL)]
        if vaes and self.gaze is not None:
            judge = Estimator(load_model(self.gaze), whose="estimators.gaze")
            targets = found.observed.pairs[:, 1].tolist()
            figures["vae_shift_deg"] = float(gaze_shift_on(vaes[0], judge, data, targets, hardware).mean())
        return figures
