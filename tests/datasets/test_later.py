"""What is left of augmentation for the device is what the loader would have done, whoever is beside it in the batch."""

import pytest
import torch

from gaze.benchmark.frame_loader_speed import usual
from gaze.datasets.augment import BoxJitter as SceneJitter
from gaze.datasets.augment import Crop
from gaze.datasets.augment import Flip as SceneFlip
from gaze.datasets.directions import Directions
from gaze.datasets.face_augment import Blur, ColourJitter, Grey
from gaze.datasets.face_augment import Flip as FaceFlip
from gaze.datasets.gazefollow import GazeFollow
from gaze.datasets.image import resize
from gaze.datasets.later import first_left
from gaze.datasets.photometric import PhotometricDistort
from gaze.datasets.screen import ScreenDataset
from gaze.datasets.screen_augment import Flip, QuarterTurn, Roll, UpsideDown
from gaze.datasets.screen_augment_boxes import BoxJitter, ScaleJitter
from gaze.datasets.screen_later import all_left, left
from gaze.datasets.screen_mixing import CutMix
from gaze.datasets.screen_occlusions import Erasing, Glare
from gaze.datasets.screen_photometric import Photometric
from gaze.datasets.screen_view import cut
from gaze.hardware import Hardware
from gaze.loading import Key, Views
from gaze.types import _stack, collate
from tests.datasets.folders import write_gazefollow_folder
from tests.datasets.screen_views import png, table
from tests.faces import trees
from tests.faces.opening import opened as opened_faces

STREAMS = ("face", "left_eye", "right_eye")


def smooth(seed, size):
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    return (255 * torch.nn.functional.interpolate(coarse, size, mode="bilinear")[0]).to(torch.uint8)


def crops(side=44) -> dict:
    return dict.fromkeys(STREAMS, lambda _, frame: png(smooth(frame, (side, side))))


def opened(folder, augmentations, margin=0.1875, pictures=None, face_size=32):
    file = table(folder, {"anna": 8}, crop={"margin": margin}, **(pictures or crops()))
    return ScreenDataset(
        str(file), "train", face_size=face_size, eye_size=32, val_fraction=None, augmentations=augmentations
    )


def on_both(data, count=8, epoch=0):
    """A batch as the device finishes it, and as the loader does."""
    keys = [Key(epoch, place, place % len(data)) for place in range(count)]
    begun = collate([Views(data, 0, whole=False)[key] for key in keys])
    device = data.finished(Hardware("cpu", workers=0).place(begun), begun.later)
    return device, collate([Views(data, 0)[key] for key in keys])


def test_device_and_loader_agree_to_the_rounding_of_8_bits(tmp_path):
    strong = [
        *usual()[:3],
        CutMix("safe", 0.7),
        Flip(0.5),
        UpsideDown(0.3),
        QuarterTurn(0.5),
        Photometric(probability=0.5),
    ]
    strong += [Erasing(probability=0.7), Glare(probability=0.7), usual()[-1]]
    data = opened(tmp_path, strong)
    assert len(left(data.augmentations)) == 3
    for epoch in range(3):
        device, loader = on_both(data, epoch=epoch)
        assert device.later is None
        assert loader.later is None
        for stream in STREAMS:
            found, expected = getattr(device.inputs, stream), getattr(loader.inputs, stream)
            assert expected.dtype == torch.uint8
            assert found.shape == expected.shape
            assert (255 * found - expected).abs().max() <= 0.51
        assert torch.equal(device.targets.point, loader.targets.point)
        assert torch.equal(device.inputs.geometry, loader.inputs.geometry)


def one_by_one(data, index, generator):
    """A screen sample by the plain way: every augmentation called in turn, on pixels that are cut when it needs them."""

    def after(view, number, steps):
        for step, augment in enumerate(data.augmentations[:steps]):
            if isinstance(augment, CutMix):

                def other(partner, streams, until=step):
                    return after(data.view(partner, streams), partner, until)

                view = augment.mixed(view, number, data.labels, lambda: torch.arange(len(data)), other, generator)
            else:
                view = augment(view, generator)
        return view

    return data._batch(cut(after(data.view(index), index, len(data.augmentations))), index)


@pytest.mark.parametrize(("face_size", "turn"), [(32, QuarterTurn(0.7)), ((32, 40), UpsideDown(0.5))])
def test_crops_that_are_sampled_later_show_what_cutting_them_one_by_one_does(tmp_path, face_size, turn):
    wide = 44 if face_size == 32 else 55
    pictures = crops() | {"face": lambda _, frame: png(smooth(frame, (44, wide)))}
    moves = [BoxJitter(), ScaleJitter(0.1, aspect=0.1), Roll(5.0, 0.7), CutMix("safe", 0.7, 0.1), Flip(0.5), turn]
    changes = [Photometric(blur=0.0, jpeg=(), probability=0.5), Erasing(probability=0.5)]
    data = opened(tmp_path, [*moves, *changes], pictures=pictures, face_size=face_size)
    for seed in range(12):
        draws = (torch.Generator().manual_seed(seed) for _ in range(3))
        assert data.begun(seed % 8, next(draws), torch.Generator()).later.crops is not None
        found, expected = data.sample(seed % 8, next(draws)), one_by_one(data, seed % 8, next(draws))
        for name in ("point", "gaze", "origin", "screen_cm", "orientation"):
            said = getattr(found.targets, name), getattr(expected.targets, name)
            torch.testing.assert_close(*said, atol=0, rtol=0, equal_nan=True)
        torch.testing.assert_close(found.inputs.geometry, expected.inputs.geometry)
        for stream in STREAMS:
            apart = (getattr(found.inputs, stream).float() - getattr(expected.inputs, stream)).abs()
            assert apart.mean() < 1  # antialiased or not
            assert apart.max() < 20  # at its border, which is repeated from elsewhere


@pytest.mark.parametrize(("stored_px", "is_left"), [(100, False), (45, False), (44, True)])
def test_training_sees_stored_crops_as_sharp_as_evaluation_cuts_them(tmp_path, stored_px, is_left):
    """Noise shows every interpolation; 44 px are what a sample of 32 and its margin need, and are sampled once."""

    def noise(_, frame):
        draws = torch.Generator().manual_seed(frame)
        return png(torch.randint(256, (3, stored_px, stored_px), dtype=torch.uint8, generator=draws))

    def sharpness(data):
        samples = [data.sample(i, torch.Generator().manual_seed(i)).inputs for i in range(8)]
        return torch.stack([getattr(inputs, stream).float() for inputs in samples for stream in STREAMS]).std().item()

    data = opened(tmp_path, [BoxJitter()], pictures=dict.fromkeys(STREAMS, noise))
    begun, found = data.begun(0, torch.Generator(), torch.Generator()), sharpness(data)
    data._sources = None
    assert found == pytest.approx(sharpness(data), rel=0.02)
    assert (begun.later is not None) == is_left


def test_what_moves_nothing_leaves_pictures_as_evaluation_has_them(tmp_path):
    data = opened(tmp_path, [BoxJitter(0.0, 0.0), Flip(1.0)], margin=0.0, pictures=crops(32))
    assert data.begun(0, torch.Generator(), torch.Generator()).later is not None
    for i in range(3):
        flipped, plain = data.sample(i, torch.Generator()).inputs, data[i].inputs
        assert torch.equal(flipped.face, plain.face.flip(-1))
        assert torch.equal(flipped.left_eye, plain.right_eye.flip(-1))


@pytest.mark.parametrize("channels_last", [False, True])
def test_finished_pictures_lie_in_memory_as_the_device_was_given_them(tmp_path, channels_last):
    for augmentations in ([BoxJitter()], [BoxJitter(), Photometric(probability=1.0)], [Erasing(probability=0.5)]):
        data = opened(tmp_path, augmentations)
        placed = Hardware("cpu", workers=0, channels_last=channels_last).place(all_views(data, 4, False))
        inputs = data.finished(placed, placed.later).inputs
        order = torch.channels_last if channels_last else torch.contiguous_format
        assert all(getattr(inputs, stream).is_contiguous(memory_format=order) for stream in STREAMS)


def test_turned_crops_with_another_face_in_them_are_turned_after_it_was_pasted(tmp_path):
    """Left for later, turns and mirrors are changes of places; done at once, of pixels: both show the same."""
    paste = CutMix("safe", 1.0, smallest=0.2)
    straight = opened(tmp_path, [paste])
    for change, undo in ((Flip(1.0), lambda x: x.flip(-1)), (UpsideDown(1.0), lambda x: x.rot90(2, (-2, -1)))):
        changed = opened(tmp_path, [paste, change])
        for seed in range(4):
            a, b = (d.sample(1, torch.Generator().manual_seed(seed)).inputs for d in (changed, straight))
            assert torch.equal(undo(a.face), b.face)
    quarter = opened(tmp_path, [paste, QuarterTurn(1.0)])
    for seed in range(4):
        a, b = (d.sample(1, torch.Generator().manual_seed(seed)).inputs for d in (quarter, straight))
        sides = [torch.equal(a.face, b.face.rot90(k, (-2, -1))) for k in (1, 3)]
        assert sum(sides) == 1


def test_an_order_of_augmentations_that_needs_pixels_early_is_done_at_once(tmp_path):
    early = [Photometric(probability=0.5), Flip(1.0)]
    assert first_left(early) == 2
    assert not all_left(early)
    assert not all_left([Flip(), BoxJitter()])
    assert not all_left([CutMix("cmixup")])
    assert all_left([CutMix(), Flip()])
    assert not all_left([CutMix(), CutMix()])  # a face is left with one other to be pasted into it
    assert not all_left([lambda view, generator: view])
    data = opened(tmp_path, early)
    begun = data.begun(0, torch.Generator(), torch.Generator())
    assert begun.later is None
    assert begun.inputs.face.dtype == torch.uint8


def test_pictures_that_are_stacked_as_they_lie_are_the_same_pictures():
    decoded = [torch.randint(256, (5, 7, 3), dtype=torch.uint8).permute(2, 0, 1) for _ in range(3)]
    for some in (decoded, [x.contiguous() for x in decoded], [decoded[0], decoded[1].contiguous()]):
        assert torch.equal(_stack("", "", some), torch.stack(some))
    assert torch.equal(resize(decoded[0], (5, 7)), decoded[0])


COLOURS = [ColourJitter(probability=0.7), Grey(0.3), Blur(0.05, 0.5)]


def all_views(data, count, whole):
    return collate([Views(data, 3, whole)[Key(0, place, place % len(data))] for place in range(count)])


def test_faces_and_clips_change_on_the_device_as_in_the_loader(tmp_path):
    root = trees.gazehub_gaze360(tmp_path, trees.directions(6))
    for window in (1, 3):
        options = {"window": window, "face_size": 12, "augmentations": [FaceFlip(0.5), *COLOURS]}
        data = Directions(opened_faces("gaze360", root), "train", **options)
        begun, loader = all_views(data, 6, False), all_views(data, 6, True)
        device = data.finished(Hardware("cpu", workers=0).place(begun), begun.later)
        assert device.inputs.face.shape == loader.inputs.face.shape
        assert (255 * device.inputs.face - loader.inputs.face).abs().max() <= 0.51
        assert torch.equal(device.targets.gaze, loader.targets.gaze)
        assert not torch.equal(begun.inputs.face, loader.inputs.face)


def test_faces_and_clips_change_as_they_do_one_by_one(tmp_path):
    """In place of drawing now and changing a batch later: every augmentation called in turn."""
    root = trees.gazehub_gaze360(tmp_path, trees.directions(6))
    for window in (1, 3):
        options = {"window": window, "face_size": 16, "augmentations": [FaceFlip(0.5), *COLOURS]}
        data = Directions(opened_faces("gaze360", root), "train", **options)
        data._picture = lambda row: smooth(row, (16, 16))
        for seed in range(6):
            (view, present), draws = data._view(seed % 3), torch.Generator().manual_seed(seed)
            for augment in data.augmentations:
                view = augment(view, draws)
            expected = data._batch(view, present, seed % 3)
            found = data.sample(seed % 3, torch.Generator().manual_seed(seed))
            assert torch.equal(found.targets.gaze, expected.targets.gaze)
            assert (found.inputs.face.float() - expected.inputs.face).abs().max() <= 3  # rounded after each there


def test_whatever_follows_a_change_of_faces_that_is_left_is_called(tmp_path):
    called = []

    def follower(what):
        def follow(view, generator):
            called.append(what)
            return view

        follow.acts_on = what
        return follow

    root = trees.gazehub_gaze360(tmp_path, trees.directions(6))
    augmentations = [ColourJitter(), follower("labels"), follower("pixels")]
    data = Directions(opened_faces("gaze360", root), "train", face_size=12, augmentations=augmentations)
    assert data.begun(0, torch.Generator(), torch.Generator()).later.numbers.shape == (6,)
    assert called == ["labels", "pixels"]


def test_scenes_change_on_the_device_as_in_the_loader(tmp_path):
    write_gazefollow_folder(tmp_path, images=4)
    colours = PhotometricDistort(probability=0.6, permute_channels=True)
    data = GazeFollow(
        str(tmp_path), "train", (24, 32), crop=Crop(0.5), augmentations=[SceneFlip(), colours, SceneJitter()]
    )
    begun, loader = all_views(data, 8, False), all_views(data, 8, True)
    assert begun.later.numbers.shape == (8, 6)
    device = data.finished(Hardware("cpu", workers=0).place(begun), begun.later)
    assert (255 * device.inputs.image - loader.inputs.image).abs().max() <= 0.51
    assert torch.equal(device.inputs.head_bbox, loader.inputs.head_bbox)
    assert not torch.equal(begun.inputs.image, loader.inputs.image)
    assert data[0].later is None
