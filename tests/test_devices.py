"""The table of devices."""

import pytest
import torch
import yaml

from gaze.devices import KINDS, find_device, load_devices, table_hash
from gaze.errors import UserError

DEVICES = load_devices()
GAZECAPTURE = """iPhone 4S, iPhone 5, iPhone 5C, iPhone 5S, iPhone 6, iPhone 6 Plus, iPhone 6S, iPhone 6S Plus,
iPad 2, iPad 3, iPad 4, iPad Air, iPad Air 2, iPad Mini, iPad Pro"""
MINE = {
    "kind": "phone",
    "screen_mm": [60.0, 120.0],
    "camera_to_screen_mm": [30.0, 5.0],
    "camera_side": "top",
    "aliases": ["My Phone"],
}


def own(tmp_path, **changes):
    path = tmp_path / "devices.yaml"
    path.write_text(yaml.safe_dump({"mine": {k: v for k, v in {**MINE, **changes}.items() if v is not None}}))
    return path


@pytest.mark.parametrize("name", [n.strip() for n in GAZECAPTURE.split(",")])
def test_every_device_of_gazecapture_is_found_by_its_name_there(name):
    device = find_device(name, DEVICES)
    assert not device.estimated
    assert device.camera_side == "top"
    assert device.screen_pt is not None


def test_known_facts():
    plus = find_device("iPhone 6s+", DEVICES)
    assert (plus.screen_cm, plus.camera_to_screen_cm) == ((6.836, 12.154), (2.354, pytest.approx(0.866)))
    assert plus.screen_pt_zoomed == (375, 667)
    retina = DEVICES["ipad_3"]  # 264 pixels per inch, not 132
    assert retina.screen_px[0] / (retina.screen_cm[0] / 2.54) == pytest.approx(264, rel=0.02)
    mini = DEVICES["ipad_mini"]
    assert mini.screen_px[0] / (mini.screen_cm[0] / 2.54) == pytest.approx(163, rel=0.02)


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_every_device_is_possible(device):
    assert device.kind in KINDS
    sides = [axis_px / axis_cm for axis_px, axis_cm in zip(device.screen_px, device.screen_cm, strict=True)]
    assert sides[0] == pytest.approx(sides[1], rel=0.02)  # pixels are square, up to the table's rounding
    if device.screen_pt:
        aspect = device.screen_px[0] / device.screen_px[1]
        assert device.screen_pt[0] / device.screen_pt[1] == pytest.approx(aspect, rel=0.005)
    assert 40 < device.camera_fov_deg < 100
    if device.kind in ("phone", "tablet"):
        assert device.screen_cm[0] < device.screen_cm[1]


def test_labels_of_gazecapture_lie_where_its_devices_are():
    """pog 3.3: phones upright x in [-2.6, 4.5], y in [-13.0, -0.8]; tablets x within 9.8, y in [-27.3, -0.7]; cm."""
    found = {find_device(n.strip(), DEVICES).name: find_device(n.strip(), DEVICES) for n in GAZECAPTURE.split(",")}
    for kind, expected in (("phone", (-2.585, -13.02, 4.482, -0.803)), ("tablet", (-9.831, -27.284, 9.83, -0.737))):
        ranges = torch.tensor([d.label_range_cm(1) for d in found.values() if d.kind == kind])
        union = [*ranges[:, :2].amin(0).tolist(), *ranges[:, 2:].amax(0).tolist()]
        assert union == pytest.approx(expected, abs=1e-3)
    x0, y0, x1, y1 = DEVICES["iphone_6"].label_range_cm(1)
    assert DEVICES["iphone_6"].label_range_cm(2) == pytest.approx((-x1, -y1, -x0, -y0))
    assert DEVICES["iphone_6"].label_range_cm(3) == pytest.approx((-y1, x0, -y0, x1))
    assert DEVICES["iphone_6"].label_range_cm(4) == pytest.approx((y0, -x1, y1, -x0))


def test_own_devices_join_the_table_and_win(tmp_path):
    devices = load_devices(own(tmp_path))
    assert find_device("my phone", devices).screen_cm == (6, 12)
    assert len(devices) == len(DEVICES) + 1
    (tmp_path / "other.yaml").write_text(yaml.safe_dump({"iphone_6": {**MINE, "aliases": []}}))
    assert find_device("iPhone 6", load_devices(tmp_path / "other.yaml")).screen_cm == (6, 12)


def test_the_hash_follows_the_facts_and_not_the_order(tmp_path):
    assert table_hash(DEVICES) == table_hash(load_devices()) == table_hash(dict(reversed(DEVICES.items())))
    assert table_hash(load_devices(own(tmp_path))) != table_hash(DEVICES)
    assert table_hash(load_devices(own(tmp_path))) != table_hash(load_devices(own(tmp_path, camera_fov=61)))


def test_an_unknown_device_is_told_its_neighbours_and_how_to_be_added():
    with pytest.raises(UserError, match="(?s)'iPhone 66' is not known; did you mean iphone_6.*file of your own"):
        find_device("iPhone 66", DEVICES)
    with pytest.raises(UserError, match="'toaster' is not known; Known are"):
        find_device("toaster", DEVICES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"screen_mm": [0.0, 120.0]}, "mine.screen_mm is .0.0, 120.0.; a screen has a width and a height above 0"),
        ({"screen_px": [1080, -2400]}, "mine.screen_px is .1080, -2400.; a screen has"),
        ({"screen_mm": [float("nan"), 120.0]}, "above 0"),
        ({"screen_mm": 60.0}, "mine.screen_mm is 60.0; expected two numbers"),
        ({"camera_to_screen_mm": ["30", 5]}, "expected two numbers"),
        ({"camera_to_screen_mm": [30.0, -5.0]}, "is not at the side 'top' of a screen of 60 x 120 mm"),
        ({"camera_side": "behind"}, "mine.camera_side is 'behind'; expected one of top"),
        ({"kind": "watch"}, "mine.kind is 'watch'; expected one of phone"),
        ({"kind": None}, "mine lacks kind; expected"),
        ({"screen_inches": 6.1}, "mine has 'screen_inches'; expected"),
        ({"camera_fov": 180}, "camera_fov is 180; expected degrees"),
        ({"aliases": ["iPhone 6"]}, "iphone_6 and mine both answer to 'iPhone 6'"),
    ],
)
def test_what_cannot_be_a_device_is_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        load_devices(own(tmp_path, **changes))


def test_what_is_no_table_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    with pytest.raises(UserError, match="can't read the devices in .*mine.yaml"):
        load_devices(path)
    for text in ("- a\n- b\n", "mine: 3\n", ""):
        path.write_text(text)
        with pytest.raises(UserError, match="is not a table of devices"):
            load_devices(path)
    path.write_text("a: [")
    with pytest.raises(UserError, match="is not YAML"):
        load_devices(path)
