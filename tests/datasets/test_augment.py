import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.datasets.augment import BoxJitter, Crop, Flip
from gaze.datasets.image import resize
from gaze.datasets.scene import Augmentation, Scene
from tests.datasets.folders import MARK_SIGMA, mark, mark_centre

quick = settings(deadline=None, max_examples=50, derandomize=True)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_scene(seed: int, people: int = 2, annotators: int = 3, height: int = 60, width: int = 90) -> Scene:
    """Heads anywhere, some a single pixel wide or on the border; about a third of the points missing."""
    g = generator(seed)
    corner = torch.rand(people, 2, generator=g) * 1.2 - 0.1
    extent = torch.rand(people, 2, generator=g) * 0.4 + 1.0 / width
    low, high = corner.clamp(0.0, 0.98), (corner + extent).clamp(0.0, 1.0)
    high = torch.maximum(high, low + 0.01)
    points = (torch.rand(people, annotators, 2, generator=g) * 1.1 - 0.05).clamp(0.0, 1.0)
    points[torch.rand(people, annotators, generator=g) < 0.3] = torch.nan
    image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=g)
    return Scene(image, torch.cat([low, high], dim=-1), points)


def valid(scene: Scene) -> bool:
    box, points = scene.head_bbox, scene.points[~scene.points.isnan()]
    within = (box >= 0).all() and (box <= 1).all() and (points >= 0).all() and (points <= 1).all()
    return bool(within and (box[:, 2:] > box[:, :2]).all())


def marked_scene(seed: int, height: int = 120, width: int = 160) -> Scene:
    """Two people, each with a mark at the first point, and a ring of further points that keeps it whole."""
    g = generator(seed)
    reach = torch.tensor([4 * MARK_SIGMA / width, 4 * MARK_SIGMA / height])
    centre = reach + torch.rand(2, 2, generator=g) * (1 - 2 * reach)
    points = torch.stack([centre, centre - reach, centre + reach], dim=1)
    image = torch.zeros(3, height, width)
    for person in range(2):
        image[person] = torch.from_numpy(mark(centre[person].tolist(), height, width)) * 255
    return Scene(image.round().to(torch.uint8), torch.tensor([[0.45, 0.45, 0.5, 0.55]]).repeat(2, 1), points)


@pytest.mark.parametrize("augmentation", [Crop(), Flip(), BoxJitter()])
def test_augmentations_are_augmentations(augmentation):
    assert isinstance(augmentation, Augmentation)


@quick
@given(seed=st.integers(0, 10_000), people=st.integers(1, 5), annotators=st.integers(1, 4))
def test_labels_stay_valid_and_missing_points_missing(seed, people, annotators):
    scene = random_scene(seed, people, annotators)
    for augmentation in (Crop(1.0), Flip(1.0), BoxJitter(probability=1.0)):
        new = augmentation(scene, generator(seed))
        assert valid(new)
        assert torch.equal(new.points.isnan(), scene.points.isnan())
        assert new.image.dtype == torch.uint8
        again = augmentation(scene, generator(seed))
        assert torch.equal(new.image, again.image)
        assert torch.equal(new.head_bbox, again.head_bbox)
        assert torch.equal(new.points.nan_to_num(-1), again.points.nan_to_num(-1))


@quick
@given(seed=st.integers(0, 10_000))
def test_marks_lie_at_the_points_after_crop_flip_and_resize(seed):
    scene = marked_scene(seed)
    scene = Crop(1.0)(scene, generator(seed))
    scene = Scene(resize(scene.image, (100, 144)), scene.head_bbox, scene.points)
    scene = Flip(0.5)(scene, generator(seed))
    for person in range(2):
        x, y = mark_centre(scene.image[person])
        assert x * 144 == pytest.approx(scene.points[person, 0, 0].item() * 144, abs=0.3)  # pixels
        assert y * 100 == pytest.approx(scene.points[person, 0, 1].item() * 100, abs=0.3)


@quick
@given(seed=st.integers(0, 10_000), people=st.integers(1, 4))
def test_crop_keeps_every_head_and_point_at_their_size(seed, people):
    scene = random_scene(seed, people)
    new = Crop(1.0)(scene, generator(seed))
    before, after = (torch.tensor(s.image.shape[:0:-1]) for s in (scene, new))  # width, height
    extent = (scene.head_bbox[:, 2:] - scene.head_bbox[:, :2]) * before
    torch.testing.assert_close((new.head_bbox[:, 2:] - new.head_bbox[:, :2]) * after, extent, atol=1e-3, rtol=0)
    moved = (scene.points - scene.head_bbox[:, None, :2]) * before
    torch.testing.assert_close(
        (new.points - new.head_bbox[:, None, :2]) * after, moved, atol=1e-3, rtol=0, equal_nan=True
    )


def test_crop_reaches_every_allowed_edge():
    scene = Scene(
        torch.zeros(3, 4, 10, dtype=torch.uint8), torch.tensor([[0.3, 0.0, 0.5, 1.0]]), torch.full((1, 1, 2), 0.4)
    )
    widths = {Crop(1.0)(scene, generator(seed)).image.shape[-1] for seed in range(300)}
    assert widths == set(range(2, 11))  # from the box alone to the whole picture


def test_crop_without_choice_or_people_leaves_the_picture_whole():
    whole = Scene(
        torch.zeros(3, 5, 7, dtype=torch.uint8), torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.full((1, 1, 2), 0.5)
    )
    assert Crop(1.0)(whole, generator(0)).image.shape == (3, 5, 7)
    nobody = Scene(whole.image, torch.full((1, 4), torch.nan), torch.full((1, 1, 2), torch.nan))
    assert Crop(1.0)(nobody, generator(0)).image.shape == (3, 5, 7)


def test_crops_become_rarer_with_more_people():
    def kept(people: int) -> float:
        scenes = [Crop(1.0)(random_scene(seed, people), generator(seed)) for seed in range(100)]
        return sum(s.image[0].numel() for s in scenes) / 100

    assert kept(1) < kept(3) < kept(9)


@quick
@given(seed=st.integers(0, 10_000))
def test_flip_twice_is_the_identity(seed):
    scene = random_scene(seed)
    new = Flip(1.0)(Flip(1.0)(scene, generator(0)), generator(1))
    assert torch.equal(new.image, scene.image)
    torch.testing.assert_close(new.head_bbox, scene.head_bbox)
    torch.testing.assert_close(new.points, scene.points, equal_nan=True)


@quick
@given(seed=st.integers(0, 10_000), amount=st.floats(0.0, 0.49))
def test_jitter_moves_each_edge_by_no_more_than_its_share(seed, amount):
    scene = random_scene(seed)
    new = BoxJitter(amount, 1.0)(scene, generator(seed))
    extent = (scene.head_bbox[:, 2:] - scene.head_bbox[:, :2]).repeat(1, 2)
    assert ((new.head_bbox - scene.head_bbox).abs() <= amount * extent + 1e-6).all()
    assert new.image is scene.image


def test_jitter_decides_for_each_person():
    scene = random_scene(0, people=200)
    moved = (BoxJitter(0.2, 0.5)(scene, generator(0)).head_bbox != scene.head_bbox).any(dim=-1)
    assert 70 < moved.sum() < 130


@pytest.mark.parametrize("augmentation", [Crop(0.0), Flip(0.0), BoxJitter(0.2, 0.0)])
def test_probability_zero_changes_nothing(augmentation):
    scene = random_scene(3)
    new = augmentation(scene, generator(0))
    assert torch.equal(new.image, scene.image)
    assert torch.equal(new.head_bbox, scene.head_bbox)


@pytest.mark.parametrize(
    "make", [lambda: Crop(1.5), lambda: Flip(-0.1), lambda: BoxJitter(0.5), lambda: BoxJitter(0.1, 2)]
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="expected a"):
        make()
