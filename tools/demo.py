"""The five-minute demonstration: a synthetic world, a small GazeLLE trained on it, and how it compares.

It runs the same commands that a user would type, shows them, and gathers what they leave behind:

    outputs/demo/scenes/           the world: pictures and annotations in GazeFollow's layout
    outputs/demo/<date>/           the training run
    outputs/demo/predictions.png   test pictures with heads, predicted heatmaps and true points
    outputs/demo/summary.json      every number of the table
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ("auc", "avg_l2", "min_l2")
PICTURES = 12


def main() -> None:
    """Make the world, train, evaluate, draw, and say where everything is."""
    options = arguments()
    started = time.monotonic()
    run = options.out / datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    scenes = options.out / "scenes"

    heading("1. A synthetic world: people in rooms, each looking at something")
    python("tools/synthesize.py", f"out={scenes}", "size=192", *options.world)

    heading("2. Training GazeLLE from scratch: a small vision transformer and a heatmap decoder")
    train_started = time.monotonic()
    python("-m", "gaze.train", "model=gazelle_small", f"dataset.root={scenes}", f"dir={run}", *options.train)
    trained = time.monotonic() - train_started

    heading("3. The test split: against guesses that never look at a face")
    python("tools/evaluate.py", f"run={run}", "split=test", "metric=[heatmap_distance,heatmap_auc]")
    figures = json.loads((run / "evaluation_test.json").read_text())["figures"]

    heading("4. Pictures and numbers")
    draw(run, options.out / "predictions.png")
    summary = summarise(figures, run, trained, time.monotonic() - started)
    (options.out / "summary.json").write_text(json.dumps(summary, indent=2))
    report(summary, options.out)


def arguments() -> argparse.Namespace:
    """Where to, and overrides of the commands that are run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "demo")
    parser.add_argument("--world", nargs="*", default=[], help="overrides of tools/synthesize.py, such as train=2000")
    parser.add_argument("--train", nargs="*", default=[], help="overrides of gaze.train, such as trainer.epochs=2")
    options = parser.parse_args()
    options.out = options.out.resolve()  # the commands run in the project's folder
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def heading(text: str) -> None:
    """Begin a part of the demonstration."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def python(*command: str) -> None:
    """Show a command and run it; end the demonstration if it fails."""
    print(f"$ python {shlex.join(command)}\n", flush=True)
    done = subprocess.run([sys.executable, *command], cwd=ROOT)
    if done.returncode:
        sys.exit(done.returncode)


def draw(run: Path, file: Path) -> None:
    """A sheet of test pictures with what the run's model predicts."""
    import torch

    from gaze.hardware import Hardware
    from gaze.pictures.samples import scene_sheet, spread
    from gaze.pictures.sheet import save_picture
    from gaze.runs import build, load_config, load_model

    test_set = build(load_config(run).dataset)(split="test")
    model, hardware = load_model(run), Hardware(device="cpu")
    with torch.no_grad():
        picture = scene_sheet(
            test_set,
            spread(len(test_set), PICTURES),
            lambda batch: model(hardware.place(batch).inputs),
            title="synthetic test pictures     dot: predicted, ring: annotated",
            columns=4,
        )
    save_picture(picture, file)


def summarise(figures: dict[str, dict[str, float]], run: Path, trained_s: float, total_s: float) -> dict[str, object]:
    """Every number of the table, and by how much the model beats the best baseline."""
    name, *baselines = figures
    best = min(baselines, key=lambda b: figures[b]["min_l2"])
    ours, theirs = figures[name]["min_l2"], figures[best]["min_l2"]
    return {
        "data": "synthetic",
        "figures": {row: {key: values[key] for key in FIGURES} for row, values in figures.items()},
        "best_baseline": best,
        "min_l2_reduction": 1 - ours / theirs,
        "train_seconds": round(trained_s, 1),
        "total_seconds": round(total_s, 1),
        "run": str(run),
    }


def report(summary: dict, out: Path) -> None:
    """Print the verdict and where to look next."""
    run = Path(summary["run"])
    sent = (run / "mlflow.json").exists()
    logged = f"make mlflow, then run {run.name} of experiment gazelle_small" if sent else "not logged"
    print(
        f"On synthetic test pictures the model is {summary['min_l2_reduction']:.0%} closer to the target (min L2) than the\n"
        f"best baseline, '{summary['best_baseline']}'. It sees where the eyes point; the baselines never look at a face.\n\n"
        f"  pictures   {out / 'predictions.png'}\n"
        f"  numbers    {out / 'summary.json'}\n"
        f"  run        {summary['run']}\n"
        f"  MLflow     {logged}\n"
        f"  time       {summary['train_seconds'] / 60:.1f} min of training, {summary['total_seconds'] / 60:.1f} min in all"
    )
    if summary["min_l2_reduction"] < 0.4:
        sys.exit(
            "error: the model should be at least 40 % closer than the best baseline; this is a fault, please report it"
        )


if __name__ == "__main__":
    main()
