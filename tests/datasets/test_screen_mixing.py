"""Two samples in one: what is pasted where, whose label it has, and who the partner is."""

from dataclasses import replace

import pytest
import torch

from gaze.datasets.screen import ScreenDataset
from gaze.datasets.screen_mixing import CutMix
from gaze.datasets.screen_view import Picture, cut
from gaze.loading import BatchPlan, Views
from tests.datasets.screen_views import BOXES, generator, png, table, view

MODES = ("safe", "cut", "cmixup")


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return ScreenDataset(str(table(tmp_path_factory.mktemp("t"), {"anna": 30, "ben": 10, "cleo": 1})), "train").labels


def everybody():
    return torch.arange(40)


def grey(level: int, size: int = 40):
    return torch.full((3, size, size), level, dtype=torch.uint8)


def flat(level: int, seed: int = 0):
    image = grey(level)
    return view(seed, size=40, pictures={stream: Picture(image, box) for stream, box in BOXES.items()})


def mixed(mode, labels, seed, **settings):
    other = flat(200)
    point = torch.tensor([3.0, -4.0])
    other = replace(other, targets=replace(other.targets, point=point))
    return CutMix(mode, 1.0, **settings).mixed(flat(0), 0, labels, everybody, lambda *_: other, generator(seed))


def test_safe_spares_the_eyes_and_keeps_the_label(labels):
    shares = []
    for seed in range(40):
        after = mixed("safe", labels, seed)
        face = after.pictures["face"].image[0]
        shares.append((face > 0).float().mean().item())
        for eye in ("left_eye", "right_eye"):
            assert (after.pictures[eye].image == 0).all()
            x, y, w, h = (value / 80 * 40 for value in (BOXES[eye][0] - 20, BOXES[eye][1] - 30, *BOXES[eye][2:]))
            x, y, w, h = x - 0.15 * w, y - 0.15 * h, 1.3 * w, 1.3 * h
            assert (face[round(y) : round(y + h), round(x) : round(x + w)] == 0).all()
        assert after.targets.point.tolist() == [1.0, -2.0]
        assert after.targets.other_point is None
    assert 0 < max(shares) <= 0.26


def test_safe_leaves_a_face_alone_whose_eyes_nobody_placed(labels):
    def unread(number, streams):
        raise AssertionError("nobody can be mixed in")

    lost = replace(flat(0), placed=frozenset())
    after = CutMix("safe", 1.0).mixed(lost, 0, labels, everybody, unread, generator())
    assert (after.pictures["face"].image == 0).all()


def test_cut_pastes_one_rectangle_into_every_stream_and_keeps_both_labels(labels):
    for seed in range(10):
        after = mixed("cut", labels, seed)
        masks = [picture.image[0] > 0 for picture in after.pictures.values()]
        assert torch.equal(masks[0], masks[1])
        assert torch.equal(masks[0], masks[2])
        assert after.targets.other_share.item() == pytest.approx(masks[0].float().mean().item())
        assert after.targets.point.tolist() == [1.0, -2.0]
        assert after.targets.other_point.tolist() == [3.0, -4.0]
    alone = CutMix("cut", 0.0).mixed(flat(0), 0, labels, everybody, lambda *_: flat(200), generator())
    assert alone.targets.other_share == 0
    assert torch.equal(alone.targets.other_point, alone.targets.point)


def test_cmixup_blends_all_by_one_share(labels):
    for seed in range(10):
        after = mixed("cmixup", labels, seed)
        keep = 1 - after.pictures["face"].image.float().mean().item() / 200
        assert 0 < keep < 1
        assert after.targets.point.tolist() == pytest.approx([3 - 2 * keep, -4 + 2 * keep], abs=0.02)
        assert after.targets.gaze.norm().item() == pytest.approx(1.0)


def test_shares_of_the_blend_are_beta(labels):
    keeps = torch.tensor([(3 - mixed("cmixup", labels, seed).targets.point[0].item()) / 2 for seed in range(300)])
    assert keeps.mean().item() == pytest.approx(0.5, abs=0.05)
    assert keeps.var().item() == pytest.approx(0.05, abs=0.012)  # Beta(2, 2): 1 / 20


def test_partners_are_as_likely_as_their_labels_are_near(labels):
    mix = CutMix("cmixup", 1.0)
    square = (labels.point - labels.point[5]).square().sum(-1)
    expected = torch.exp(-square / 8)
    expected[5] = 0.0
    torch.testing.assert_close(mix.chances(5, labels, torch.arange(40)), expected)
    draws = generator(0)
    counts = torch.bincount(
        torch.tensor([mix.partner(5, labels, everybody(), draws) for _ in range(4000)]), minlength=40
    )
    assert (counts / 4000 - expected / expected.sum()).abs().max() < 0.03


def test_partners_are_of_the_same_kind_in_the_same_orientation(labels):
    other = replace(labels, orientation=torch.tensor([1] * 20 + [3] * 20), kind=torch.tensor([0] * 10 + [1] * 30))
    partners = {CutMix("cmixup").partner(0, other, everybody(), generator(seed)) for seed in range(100)}
    assert partners <= set(range(1, 10))
    lonely = replace(labels, orientation=torch.tensor([2] + [1] * 39))
    assert CutMix("cmixup").partner(0, lonely, everybody(), generator()) is None
    assert CutMix("safe").partner(0, labels, torch.tensor([0]), generator()) is None
    anyone = {CutMix("safe").partner(3, labels, everybody(), generator(seed)) for seed in range(300)}
    assert anyone == set(range(40)) - {3}
    some = {CutMix(m).partner(3, labels, torch.tensor([1, 3, 7]), generator(s)) for s in range(50) for m in MODES}
    assert some == {1, 7}


def decoded(data, number):
    """Row groups that are decoded for an epoch whose samples are drawn `number` of the seed."""
    groups = []
    read = data._reader._group

    def counted(group):
        groups.extend([group] * (group not in data._reader._decoded))
        return read(group)

    data._reader._group = counted
    views = Views(data, seed=1)
    plan = BatchPlan(len(data), 4, seed=1, order=data.order)
    plan.epoch = number
    found = {int(key.sample): views[key].inputs.face for batch in plan for key in batch}
    return groups, found


def test_partners_are_in_row_groups_that_are_decoded_anyway_and_change_with_the_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr("gaze.recordings.writer.ROW_GROUP", 2)
    file = str(table(tmp_path, {"anna": 24}, face=lambda _, frame: png(grey(10 * frame, 8))))
    whole = {"streams": ["face", "geometry"], "face_size": 8}
    mix = CutMix("safe", 1.0, smallest=0.2)

    def epoch(number):
        return decoded(ScreenDataset(file, "train", **whole, augmentations=[mix]), number)

    groups, found = epoch(0)
    assert sorted(groups) == list(range(12))  # each once
    levels = {i: set((face.unique() // 10).tolist()) - {i} for i, face in found.items()}
    assert sum(map(bool, levels.values())) > 12
    lots = [set(groups[:6]), set(groups[6:])]
    together = [{i // 2, *(other // 2 for other in others)} for i, others in levels.items()]
    assert all(any(lot >= some for lot in lots) for some in together)
    again, other = epoch(0)[1], epoch(1)[1]
    assert all(torch.equal(face, again[i]) for i, face in found.items())
    assert any(not torch.equal(face, other[i]) for i, face in found.items())


def test_of_a_partner_no_more_is_read_than_is_mixed_in(tmp_path, monkeypatch):
    data = ScreenDataset(str(table(tmp_path)), "train", face_size=24, eye_size=16)
    asked = []
    read = data._read
    monkeypatch.setattr(data, "_read", lambda index, streams: asked.append(tuple(streams)) or read(index, streams))
    for mode, expected in (("safe", [("face",)]), ("cut", [("face", "left_eye", "right_eye")])):
        data.augmentations = [CutMix(mode, 1.0)]
        asked.clear()
        data.sample(0, generator())
        assert asked[1:] == expected


def test_mixing_in_a_data_set_is_a_function_of_the_generator(tmp_path):
    from gaze.datasets.screen_augment import Flip
    from gaze.datasets.screen_augment_boxes import BoxJitter

    file = str(table(tmp_path))
    for mode in ("safe", "cmixup", "cut"):
        augmentations = [BoxJitter(), CutMix(mode, 1.0), Flip()]
        data = ScreenDataset(file, "train", face_size=24, eye_size=16, augmentations=augmentations)
        a, b, c = (data.sample(1, generator(seed)) for seed in (7, 7, 8))
        assert torch.equal(a.inputs.face, b.inputs.face)
        assert torch.equal(a.targets.point, b.targets.point)
        assert not torch.equal(a.inputs.face, c.inputs.face)
        assert (a.targets.other_point is not None) == (mode == "cut")
        assert data[1].targets.other_point is None


def test_settings_out_of_range_are_refused():
    for wrong in ({"mode": "mixup"}, {"smallest": 0.0}, {"sigma_cm": 0.0}, {"probability": 2.0}):
        with pytest.raises(ValueError, match="expected"):
            CutMix(**wrong)


def test_views_are_cut_to_one_size_before_they_are_mixed(labels):
    after = CutMix("cmixup", 1.0).mixed(view(0), 0, labels, everybody, lambda *_: view(1), generator())
    assert all(picture.image.shape == (3, 24, 24) for picture in cut(after).pictures.values())
