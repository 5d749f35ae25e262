"""Evaluation of redirected heads: a perfect one, broken ones, guesses, and judges that are refused."""

import csv
import json
import math
from dataclasses import replace

import pytest
import torch
import yaml

from gaze.checkpoints import Checkpoints
from gaze.datasets.image import read_image
from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.perceptual.estimators import Estimator
from gaze.provenance import data_fingerprint
from gaze.redirection import evaluation
from gaze.redirection.behaviour import speed
from gaze.redirection.evaluation import about_heads, evaluate_heads
from gaze.redirection.figures import leak, spearman
from gaze.redirection.identity import train_identity
from gaze.redirection.judges import Judges
from gaze.redirection.observation import MEAN, SOURCE, How, observe, taken_over
from gaze.redirection.people import acquaintance, acquaintance_of
from gaze.redirection.published import published
from gaze.redirection.rendering import photographs
from gaze.redirection.reports import report
from gaze.redirection.summary import INSIDE, OUTSIDE, doubt, summary
from gaze.redirection.teachers import refuse_teacher
from gaze.types import collate
from tests.directions.some_faces import LabelledFaces
from tests.redirection.some_heads import ColourReader, PaintedHeads, Painter

CPU = Hardware(device="cpu", workers=0)
JUDGES = Judges(Estimator(ColourReader(off=1.0)), Estimator(ColourReader(head=True)))
WISHES = {
    "pairs": None,
    "codes": "input",
    "renormalise": False,
    "fit": {"steps": 0, "of": "codes", "lr": 0.01},
    "lpips_weights": None,
    "fid_weights": None,
    "identity_steps": 0,
    "leaks": 64,
    "sweeps": 2,
    "timed": 3,
    "batch_size": 4,
}
NONE = {"gaze": {"run": None}, "head": {"run": None}}


@pytest.fixture(scope="module")
def data():
    return PaintedHeads("test")


def watched(data, model, how=None, judges=JUDGES):
    return observe("ours", model, data, data.pairs(), judges, CPU, how or How(batch_size=4))


def means(observed, row="ours"):
    return {key: float(value.nanmean()) for key, value in observed.figures[row].items()}


def test_pairs_are_inputs_of_the_first_half_and_targets_of_the_second_in_one_order_for_all(data):
    pairs = data.pairs()
    assert about_heads(data)
    assert not about_heads(LabelledFaces("test"))
    row, person = data.row[pairs], data.person[pairs]
    assert torch.equal(person[:, 0], person[:, 1])
    assert row[:, 0].tolist() == [0, 1, 2] * 2
    assert row[:3, 1].tolist() == row[3:, 1].tolist()
    assert sorted(row[:3, 1].tolist()) == [3, 4, 5]


def test_a_perfect_redirector_is_told_as_such(data):
    observed = watched(data, Painter())
    found = means(observed)
    assert [found[key] for key in ("gaze_deg", "head_deg", "l1")] == pytest.approx([0, 0, 0], abs=1e-4)
    assert found["psnr"] == pytest.approx(80, abs=0.01)  # finite, although nothing is wrong
    assert found["ssim"] == pytest.approx(1)
    assert found["gaze_label_deg"] == pytest.approx(1, abs=0.2)  # the estimator's own degree
    assert found["estimator_gaze_deg"] == pytest.approx(found["gaze_label_deg"], abs=1e-4)
    assert found["leak"] == 0
    assert torch.equal(observed.gaze, data.inputs.gaze[data.pairs()[:, 1]])


def test_a_source_as_it_is_and_the_mean_picture_are_guesses_beside_it(data):
    observed = watched(data, Painter())
    one, other = data.pairs().unbind(1)
    apart = (
        torch.stack([data[i].targets.gaze for i in one.tolist()]),
        torch.stack([data[i].targets.gaze for i in other.tolist()]),
    )
    wanted = torch.rad2deg(torch.acos((apart[0] * apart[1]).sum(1)))
    torch.testing.assert_close(observed.figures[SOURCE]["gaze_deg"], wanted, atol=0.6, rtol=0)
    assert means(observed, MEAN)["psnr"] < 40
    assert means(observed, MEAN)["gaze_deg"] > 3
    assert "leak" not in observed.figures[SOURCE]


def test_one_that_does_not_move_its_eyes_and_one_that_tints_all_are_found_out(data):
    stuck, tinted = means(watched(data, Painter(stuck=True))), means(watched(data, Painter(tint=0.02)))
    assert stuck["gaze_deg"] > 8
    assert stuck["head_deg"] < 1e-4
    assert stuck["psnr_eyes"] < stuck["psnr"] < 60
    assert tinted["psnr"] == pytest.approx(-20 * math.log10(0.02), abs=0.3)
    assert tinted["l1"] == pytest.approx(0.02, abs=2e-3)


def test_codes_are_the_inputs_and_all_else_is_the_targets(data):
    one, other = (collate([data[i].inputs]) for i in (0, 9))
    other = replace(other, expression=other.expression + 1, sample=other.sample + 4)
    taken = taken_over(one, other)
    assert torch.equal(taken.identity, one.identity)
    assert torch.equal(taken.expression, one.expression)
    assert all(torch.equal(getattr(taken, key), getattr(other, key)) for key in ("gaze", "pose", "scale", "camera"))
    assert taken.sample.tolist() == [-1]  # a correction of the target's view is not the input's
    assert torch.equal(taken_over(one, other, "target_expression").expression, other.expression)


@pytest.mark.parametrize("of", ["codes", "model"])
def test_a_fit_to_the_input_helps_its_redirection(data, of):
    plain = watched(data, Painter(tint=0.05))
    fitted = watched(data, Painter(tint=0.05), How(fit={"steps": 15, "of": of, "lr": 0.01}, batch_size=4))
    assert means(fitted)["l1"] < 0.95 * means(plain)["l1"]


def test_what_changes_far_from_the_eyes_leaks():
    image, eyes = torch.zeros(1, 3, 50, 50), torch.zeros(1, 50, 50, dtype=torch.bool)
    eyes[:, 20:24, 20:30] = True
    inside, outside = image.clone(), image.clone()
    inside[:, :, 18:26, 18:32] = 1.0  # within three pixels of them
    outside[:, :, 40:, 40:] = 1.0
    assert float(leak(image, inside, eyes)) == 0
    assert float(leak(image, outside, eyes)) == pytest.approx(100 / (2500 - 10 * 16))


def test_ranks():
    along = torch.arange(5.0)
    seen = torch.stack([along.exp(), -along, torch.tensor([1.0, 0, 2, 3, 4]), 0 * along])
    torch.testing.assert_close(spearman(along.expand(4, 5), seen), torch.tensor([1.0, -1.0, 0.9, 0.0]))


def evaluated(data, model, monkeypatch, trained=0.2, **wishes):
    monkeypatch.setattr(evaluation, "open_judges", lambda *given, **named: JUDGES)
    told = {"estimators": NONE, "redirection": WISHES | wishes}
    return evaluate_heads("ours", "run", model, data, lambda split: PaintedHeads(split, reach=trained), told, CPU)


def test_a_report_has_one_table_every_pair_the_worst_and_what_was_published(data, tmp_path, monkeypatch, capsys):
    found = evaluated(data, Painter(stuck=True), monkeypatch)
    report(found, Painter(stuck=True), data, CPU, tmp_path, {"split": "test"}, resamples=20)
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        "pairs.csv",
        "published.csv",
        "table.csv",
        "table.json",
        "worst.png",
    ]
    told = json.loads((tmp_path / "table.json").read_text())
    ours, inside, outside = (told["figures"][name] for name in ("ours", f"ours, {INSIDE}", f"ours, {OUTSIDE}"))
    assert outside["gaze_deg"] > ours["gaze_deg"] > inside["gaze_deg"]  # straight ahead is nearer to what is inside
    low, high = told["intervals"]["ours"]["gaze_deg"]
    assert low <= ours["gaze_deg"] <= high
    assert ours["frames_per_s"] == told["speed"]["single"] > 0
    assert "threads" in told["speed"]["device"]
    assert ours["monotony_yaw"] == pytest.approx(0, abs=0.5)
    assert told["redirection"]["fit"]["steps"] == 0
    with (tmp_path / "pairs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert rows[0]["source"] == data.name(int(data.pairs()[0, 0]))
    assert read_image(tmp_path / "worst.png").shape[0] == 3
    said = capsys.readouterr().out
    assert "6 pairs of split test; people: 2, and whether the run was trained on them is not known" in " ".join(
        said.split()
    )
    assert "published, on photographs of ETH-XGaze" in said
    assert "GazeGaussian" in said
    assert SOURCE in said


def test_gaze_that_follows_is_monotonous(data, monkeypatch):
    found = evaluated(data, Painter(), monkeypatch)
    values, _ = summary(found, resamples=0)
    assert values["ours"]["monotony_yaw"] > 0.99
    assert values["ours"]["monotony_pitch"] > 0.99


def test_published_figures_are_those_of_the_data_set():
    rows = {row["published"]: row for row in published("columbia").to_pylist()}
    assert rows["GazeGaussian"]["gaze_deg"] == 7.415
    assert rows["GazeGaussian"]["on"] == "ColumbiaGaze"
    assert published("xgaze").to_pylist()[4]["psnr"] == 18.734


def test_wishes_are_checked_and_a_split_without_pairs_is_told(data, monkeypatch):
    with pytest.raises(UserError, match="redirection.codes is 'target'; expected input or target_expression"):
        evaluated(data, Painter(), monkeypatch, codes="target")
    with pytest.raises(UserError, match="the split has no pairs"):
        evaluated(PaintedHeads("val", each=1), Painter(), monkeypatch)


def test_people_are_told_apart():
    train = PaintedHeads("train", each=4)
    network = train_identity(train, CPU, steps=15)
    image = torch.cat([photographs(collate([train[i]]).targets) for i in range(len(train))])
    feature = network(image)
    alike = feature @ feature.mT
    same = train.person[:, None] == train.person
    assert alike[same].mean() > alike[~same].mean() + 0.2
    assert train_identity(PaintedHeads("val"), CPU) is None  # one person


def test_speed_is_of_the_whole_batch_and_warm(data):
    painter = Painter()
    found = speed(painter, collate([data[i].inputs for i in range(4)]), CPU, frames=6)
    assert painter.asked.count(1) == 26
    assert painter.asked.count(4) == 21
    assert found.batch_size == 4
    assert found.batched > 0


def write_run(folder, loss=None, init=None, tint=0.0, **more):
    folder.mkdir(parents=True)
    config = {"name": folder.name, "model": {}, "loss": loss or {}, "init": init, "dir": str(folder), **more}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    Checkpoints(folder / "best").save(0, Painter(tint=tint), {"step": 0})
    return folder


def test_a_teacher_is_no_judge(tmp_path):
    teacher, other = write_run(tmp_path / "a"), write_run(tmp_path / "b", tint=0.5)
    loss = {
        "redirected_gaze": {"_target_": "x", "estimator": {"_target_": "gaze.runs.load_model", "run": str(teacher)}}
    }
    first = write_run(tmp_path / "first", loss, tint=0.1)
    second = write_run(tmp_path / "second", init={"run": str(first)}, tint=0.2)
    drawn = write_run(tmp_path / "drawn", vae={"weights": str(second)}, tint=0.3)
    copy = write_run(tmp_path / "copy")  # under another name
    refuse_teacher(other, first, "estimators.gaze.run")
    refuse_teacher(other, drawn, "estimators.gaze.run")
    for estimator, run in ((teacher, first), (copy, first), (teacher, second), (teacher, drawn)):
        with pytest.raises(
            UserError, match=r"estimators\.gaze\.run=.* was in the loss of .*redirected_gaze.*train another"
        ):
            refuse_teacher(estimator, run, "estimators.gaze.run")


def test_people_of_a_run_are_told_by_what_it_wrote_down(tmp_path):
    train, test = PaintedHeads("train"), PaintedHeads("test")
    told = {"data": {"train": {"sha256": data_fingerprint(train)}}}
    (tmp_path / "provenance.json").write_text(json.dumps(told))
    assert acquaintance_of(tmp_path, test, train) == "2 people, none of whom were trained on"
    assert acquaintance_of(tmp_path, train, train) == "4 people, the same as were trained on"
    other = PaintedHeads("train", each=5)  # not what it was trained on, whatever people are called
    assert acquaintance_of(tmp_path, train, other).endswith("is not known")
    test.root = "elsewhere"
    assert acquaintance(test, train) == "2 people of another data set than was trained on"


def test_a_judge_that_sees_nothing_is_told(data, monkeypatch):
    found = evaluated(data, Painter(), monkeypatch)
    assert doubt(found) is None
    blind = ColourReader(off=40.0)
    observed = watched(data, Painter(), judges=Judges(Estimator(blind)))
    assert "estimators.gaze is 3" in doubt(found._replace(observed=observed))
    assert "it can't tell gazes apart, and gaze_deg says nothing" in doubt(found._replace(observed=observed))
