"""Which data set a run is asked about."""

import pytest
from omegaconf import OmegaConf

from gaze.errors import UserError
from gaze.run_data import PLACES, dataset_node
from tests import groups

OWN = {"_target_": "screens", "path": "data/own", "streams": ["face"], "face_size": 40, "landmarks": None}


def test_the_runs_own_data_set_may_have_moved():
    assert dataset_node(OWN) == OWN
    assert dataset_node(OWN, place="elsewhere") == OWN | {"path": "elsewhere"}
    assert dataset_node({"root": "scenes"}, place="elsewhere") == {"root": "elsewhere"}
    own = {"recording": {"root": "csv", "file": "a.csv"}, "eye_size": 32}
    assert dataset_node(own, place="there") == {"recording": {"root": "there", "file": "a.csv"}, "eye_size": 32}
    assert own["recording"]["root"] == "csv"
    several = {"source": {"a": {"root": "data/a"}, "b": {"root": "data/sub/b"}}}
    assert dataset_node(several, place="there") == {"source": {"a": {"root": "there/a"}, "b": {"root": "there/b"}}}


def test_samples_of_another_data_set_look_as_the_runs_own_did():
    other = {"_target_": "phones", "path": "data/other", "streams": ["face", "imu"], "face_size": 224, "landmarks": [1]}
    found = dataset_node(OWN, other)
    assert found == other | {"streams": ["face"], "face_size": 40}
    assert dataset_node({"image_size": [32, 48]}, {"root": "scenes"}) == {"root": "scenes"}


def test_what_cannot_be_opened_is_named():
    with pytest.raises(
        UserError, match=r"the data set gaze.Drawn has neither path nor root, so it can't be opened at x"
    ):
        dataset_node({"_target_": "gaze.Drawn", "size": 3}, place="x")
    with pytest.raises(UserError, match="the run names no data set; choose one with dataset=NAME"):
        dataset_node(None)


@pytest.mark.parametrize("name", groups.names("dataset"))
def test_every_data_set_can_be_opened_elsewhere(name):
    node = OmegaConf.to_container(groups.node("dataset", name), resolve=False)
    moved = dataset_node(node, place="elsewhere")
    inner = [part for part in moved.values() if isinstance(part, dict)]
    several = [part for parts in inner for part in parts.values() if isinstance(part, dict)]
    places = [part[key] for part in (moved, *inner, *several) for key in PLACES if key in part]
    by_name = all(place.startswith("elsewhere/") for place in places)  # sources that have names lie in folders below it
    assert places == ["elsewhere"] or (places and by_name and several)
    assert dataset_node(node) == node
