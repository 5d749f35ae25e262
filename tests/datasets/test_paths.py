import pytest

from gaze.datasets.paths import PathError, inside


def test_names_a_file_below_the_root_whether_or_not_it_exists(tmp_path):
    assert inside(str(tmp_path), "train/a b.jpg") == str(tmp_path / "train" / "a b.jpg")


@pytest.mark.fault("D6")
@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "C:\\x", "..\\x", "", "a\0b", "\\\\host\\share"])
def test_refuses_what_is_not_below_the_root(tmp_path, path):
    with pytest.raises(PathError, match="expected a path"):
        inside(str(tmp_path), path)


@pytest.mark.fault("D6")
def test_refuses_links_that_climb_and_follows_those_that_do_not(tmp_path):
    root, other = tmp_path / "root", tmp_path / "root-other"  # the second begins like the first
    root.mkdir()
    other.mkdir()
    (root / "real.jpg").touch()
    (root / "good.jpg").symlink_to("real.jpg")
    (root / "bad").symlink_to(other)
    assert inside(str(root), "good.jpg").endswith("good.jpg")
    with pytest.raises(PathError, match="by a link"):
        inside(str(root), "bad/x.jpg")


def test_root_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert inside(str(tmp_path / "link"), "x.jpg") == str(tmp_path / "link" / "x.jpg")
