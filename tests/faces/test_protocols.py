"""Protocols: nobody is trained on and tested, whatever is held out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import yaml

from gaze.datasets.faults import DatasetError
from gaze.faces.facts import facts_of
from gaze.faces.index import SPLITS, index_table, joined, people, words
from gaze.faces.protocols import folds, hold_out, parts_of, rows_of
from tests.faces import trees
from tests.groups import CONF


def people_of(dataset, subjects, each=3, split=""):
    names = [name for name in subjects for _ in range(each)]
    paths = [f"{name}/{n}.jpg" for name in subjects for n in range(each)]
    return index_table(
        len(names), dataset=dataset, subject=names, path=paths, file="f.label", row=list(range(len(names))), split=split
    )


MPII = people_of("mpiifacegaze", [f"p{n:02d}" for n in range(15)])
EYEDIAP = people_of("eyediap", [f"p{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16)])
XGAZE = people_of("xgaze", [f"subject{n:04d}" for n in range(20)], split="train")
GAZE360 = joined(
    [people_of("gaze360", [f"rec_{n}/000000"], split=split) for n, split in enumerate(("train", "val", "test"))]
    + [people_of("gaze360", ["rec_0/000000"], split="unused")]
)
ALL = joined([GAZE360, XGAZE, MPII, EYEDIAP])


def split(table, held=None, val=None, test=0, clusters=None):
    """The people of each split, after a look at whether they overlap."""
    part = parts_of(table, hold_out(held), val, test, clusters or {})
    names = {name: set(people(table)[part == name].tolist()) for name in SPLITS}
    assert not (names["train"] & names["test"])
    assert not (names["train"] & names["val"])
    assert not (names["val"] & names["test"])
    return names


def test_fifteen_folds_of_one_person_and_four_of_clusters_are_disjoint_and_complete():
    tested = [split(MPII, f"p{n:02d}")["test"] for n in range(15)]
    assert [len(names) for names in tested] == [1] * 15
    assert len(set().union(*tested)) == 15
    tested = [split(EYEDIAP, {"fold": n})["test"] for n in range(4)]
    assert sum(map(len, tested)) == len(set().union(*tested)) == 14
    assert tested[0] == {"eyediap/p1", "eyediap/p5", "eyediap/p9", "eyediap/p15"}  # dealt by number, not by letters
    published = {"eyediap": [["p1", "p2"], [f"p{n}" for n in (3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16)]]}
    assert split(EYEDIAP, {"fold": 0}, clusters=published)["test"] == {"eyediap/p1", "eyediap/p2"}


def test_validation_is_on_the_last_subjects_by_number():
    names = split(XGAZE, val=3, test=2)
    assert names["test"] == {"xgaze/subject0018", "xgaze/subject0019"}
    assert names["val"] == {f"xgaze/subject{n:04d}" for n in (15, 16, 17)}
    assert len(names["train"]) == 15
    assert split(EYEDIAP, "p16", val=["p3"])["val"] == {"eyediap/p3"}


def test_without_validation_people_everybody_trains_and_some_are_looked_at(caplog):
    part = parts_of(MPII, hold_out("p03"), None, 0, {})
    names = people(MPII) + " who is told of once"
    rows = rows_of(part, names, "val")
    assert (rows == rows_of(part, names, "val")).all()
    assert caplog.text.count("who are trained on: figures flatter") == 1
    assert (part == "train").sum() == 14 * 3
    assert rows.any()
    assert (part[rows] == "train").all()


def test_a_data_set_left_out_is_tested_on_its_published_test_split_or_whole():
    names = split(ALL, {"dataset": "gaze360"}, val=2)
    assert names["test"] == {"gaze360/rec_2/000000"}
    assert {name.split("/")[0] for name in names["train"]} == {"xgaze", "mpiifacegaze", "eyediap"}
    names = split(ALL, {"dataset": "mpiifacegaze", "train": "gaze360"})
    assert len(names["test"]) == 15
    assert names["train"] == {"gaze360/rec_0/000000"}
    assert names["val"] == {"gaze360/rec_1/000000"}
    joint = split(ALL, val=1, test=1)
    assert all(len(joint["test"] & set(people(t).tolist())) == 1 for t in (GAZE360, XGAZE, MPII, EYEDIAP))


def test_a_few_samples_of_a_person_or_a_data_set_may_be_trained_on():
    part = parts_of(XGAZE, hold_out({"person": 1, "shots": 2}), 5, 0, {})
    assert set(people(XGAZE)[part == "train"]) == set(people(XGAZE)[part == "test"]) == {"xgaze/subject0016"}
    assert (part == "train").sum() == 2
    assert (part == "test").sum() == 1
    part = parts_of(ALL, hold_out({"dataset": "eyediap", "train": "xgaze", "shots": 4}), None, 0, {})
    assert ((words(ALL, "dataset") == "eyediap") & (part == "train")).sum() == 4


def test_shots_are_all_trained_on_and_nobody_of_theirs_is_validated_on():
    part = parts_of(ALL, hold_out({"dataset": "mpiifacegaze", "train": "xgaze", "shots": 20}), 5, 0, {})
    target = words(ALL, "dataset") == "mpiifacegaze"
    assert [(part[target] == name).sum() for name in ("train", "val", "test")] == [20, 0, 25]
    assert len(set(people(ALL)[part == "val"])) == 5


@pytest.mark.parametrize(
    ("held", "table"),
    [
        ({"dataset": "mpiifacegaze", "train": "xgaze", "shots": 20}, ALL),
        ({"person": "p03", "shots": 20}, people_of("mpiifacegaze", ["p03"], 60)),
    ],
)
def test_a_copy_and_other_rows_beside_them_leave_shots_as_they_are(held, table):
    def trained(table, names):
        return set(words(table, names)[(parts_of(table, hold_out(held), None, 0, {}) == "train")])

    before = trained(table, "path")
    copy = index_table(
        len(table),
        **{name: table[name].to_pylist() for name in ("dataset", "subject", "split")},
        path=[f"part-00000.parquet#{n}" for n in range(len(table))],
        source=table["path"].to_pylist(),
    )
    order = np.random.default_rng(0).permutation(len(copy))
    assert trained(copy.take(order), "source") == before
    fewer = table.filter(pa.array(np.arange(len(table)) % 7 != 0))
    assert not (before & set(words(fewer, "path"))) - trained(fewer, "path")


@pytest.mark.parametrize(
    ("held", "found"),
    [
        ("p99", "'p99' is nobody"),
        ({"subjects": []}, "empty"),
        ({"fold": 9}, "fold is 9; expected 0 to 3"),
        ({"person": "p01", "shots": 3}, "has 3 labelled samples"),
        ({"dataset": "mpiifacegaze"}, "nothing to train on"),
    ],
)
def test_nobody_to_hold_out_is_refused(held, found):
    with pytest.raises(DatasetError, match=found):
        split(MPII, held)


def test_mixed_up_protocols_are_refused():
    for held in ({"subject": "a", "fold": 1}, {"person": "a"}, {"train": "a"}, {"who": "a"}):
        with pytest.raises(ValueError, match="expected a subject's name"):
            hold_out(held)
    with pytest.raises(DatasetError, match="'p01' is in eyediap/p01 and mpiifacegaze/p01"):
        split(joined([MPII, people_of("eyediap", ["p01", "p02"])]), "p01")
    with pytest.raises(DatasetError, match="a in several"):
        folds(["a", "b"], [["a", "b"], ["a"]])
    with pytest.raises(DatasetError, match="nobody in 1"):
        folds(["a"], [["a"], ["c"]])
    with pytest.raises(DatasetError, match="b in none"):
        folds(["a", "b"], [["a"]])
    with pytest.raises(DatasetError, match="val_subjects: 'p99' is nobody"):
        split(MPII, "p01", val=["p02", "p99"])
    with pytest.raises(DatasetError, match="val_subjects is 15"):
        split(MPII, val=15)


@pytest.mark.fault("D10")
def test_people_in_two_published_splits_are_told_with_their_rows():
    twice = joined([people_of("gaze360", ["a"], split=split) for split in ("train", "test")])
    with pytest.raises(DatasetError, match=r"gaze360/a is in test \(f.label:0\) and train \(f.label:0\)"):
        split(twice)
    assert np.isin(parts_of(GAZE360, hold_out(None), None, 0, {}), (*SPLITS, "unused")).all()


def test_what_is_not_as_published_is_a_fact():
    limits = {"yaw": {"eyediap": 42.0, "xgaze": None}, "pitch": 30.0}
    facts = facts_of(hold_out({"fold": 0}), ["eyediap"], {}, limits)
    assert facts["folds"] == "nonstandard: subjects are dealt to 4 in turn"
    assert facts["limits"] == "yaw of eyediap to 42 deg; pitch to 30 deg"
    assert not facts_of(
        hold_out({"fold": 0}), ["eyediap"], {"eyediap": [["p1"]]}, {"yaw": None, "pitch": {"eyediap": None}}
    )


def sweep(name):
    """What a sweep holds out in turn, as Hydra reads it."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    config = yaml.safe_load((CONF / "sweep" / f"{name}.yaml").read_text())
    (override,) = OverridesParser.create().parse_overrides(
        [f"dataset.hold_out={config['hydra']['sweeper']['params']['dataset.hold_out']}"]
    )
    return list(override.sweep_iterator())


@pytest.mark.parametrize(
    ("name", "table", "runs"),
    [("mpii_loso", MPII, 15), ("eyediap_4fold", EYEDIAP, 4), ("faces_lodo", ALL, 4), ("faces_cross", ALL, 4)],
)
def test_sweeps_are_the_published_protocols(name, table, runs):
    folds = sweep(name)
    assert len(folds) == runs
    tested = [split(table, held, val=1)["test"] for held in folds]
    assert all(tested)
    assert name == "faces_cross" or sum(map(len, tested)) == len(set().union(*tested))  # each is tested once


def test_one_model_is_tested_on_several_data_sets():
    held = yaml.safe_load((CONF / "experiment/cross_x_to_md.yaml").read_text())["dataset"]["hold_out"]
    names = split(ALL, held, val=10)
    assert len(names["test"]) == 15 + 14
    assert len(names["train"]) == len(names["val"]) == 10


def test_data_sets_of_several_sources_are_built_as_composed(tmp_path):
    """Readers that are nested in a data set are made with it; none of the folders has to be whole for that."""
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf

    from gaze.runs import build

    with initialize_config_module("gaze.conf"):
        node = OmegaConf.to_container(compose("dataset/faces_joint").dataset)
    for name, source in node["source"].items():
        trees.label(tmp_path / name / "Label/p1.label", "Face 3DGaze Origin", [])
        source["root"] = str(tmp_path / name)
    with pytest.raises(DatasetError, match="the table of gaze360 has no row"):
        build(node)(split="train")
