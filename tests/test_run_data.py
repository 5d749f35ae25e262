"""Where the data set of a run is looked for."""

import pytest
from omegaconf import OmegaConf

from gaze.errors import UserError
from gaze.run_data import PLACES, dataset_node
from tests import groups


@pytest.mark.parametrize("name", groups.names("dataset"))
def test_every_data_set_can_be_opened_elsewhere(name):
    node = OmegaConf.to_container(groups.node("dataset", name), resolve=False)
    moved = dataset_node(node, place="elsewhere")
    parts = [moved, *(part for part in moved.values() if isinstance(part, dict))]
    assert [part[key] for part in parts for key in PLACES if key in part] == ["elsewhere"]
    assert dataset_node(node) == node


def test_another_data_set_gives_samples_as_the_runs_own_did():
    own = {"path": "a", "streams": ["face"], "face_size": 40, "eye_size": 20, "landmarks": None}
    other = {"path": "b", "streams": ["left_eye"], "face_size": 224, "balance": 1.0}
    assert dataset_node(own, other) == {"path": "b", "streams": ["face"], "face_size": 40, "balance": 1.0}


def test_a_data_set_without_a_place_can_not_be_moved():
    with pytest.raises(UserError, match="faces.Faces has neither path nor root"):
        dataset_node({"_target_": "faces.Faces", "samples": 3}, place="elsewhere")
    with pytest.raises(UserError, match="choose one with dataset=NAME"):
        dataset_node(None)
