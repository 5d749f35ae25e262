"""Speed is never tested; that both sides of each comparison compute the same is."""

import math
from functools import partial

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention as attend

from gaze.backbones.conv_vit import ConvViT
from gaze.benchmark import moe_speed, raster_speed, screen_latency_speed, screen_speed
from gaze.benchmark.clock import Timing, interleaved, timing
from gaze.benchmark.exports_speed import exports
from gaze.benchmark.frame_loader_speed import usual
from gaze.benchmark.head_loader_speed import head_loader
from gaze.benchmark.head_step_speed import made, our_gradients, published_gradients
from gaze.benchmark.itracker_speed import itracker, itracker_training
from gaze.benchmark.metric_speed import gazefollow_auc, vat_auc
from gaze.benchmark.moe_speed import Shape, moe_training
from gaze.benchmark.prompt_speed import TextTower, faces_cached, prompts
from gaze.benchmark.raster_speed import Shape as Cloud
from gaze.benchmark.raster_speed import raster_training, raster_views
from gaze.benchmark.redirector_speed import Shape as Head
from gaze.benchmark.redirector_speed import redirector
from gaze.benchmark.renderer_speed import renderer
from gaze.benchmark.result import Cost, Result
from gaze.benchmark.screen_latency_speed import compiled_screen, screen_latency
from gaze.benchmark.screen_speed import first_version, screen_training, shared
from gaze.benchmark.stream_speed import stream
from gaze.benchmark.suite import Workload, chosen, workloads
from gaze.benchmark.trainer_speed import Shape as Steps
from gaze.benchmark.trainer_speed import distance, overhead
from gaze.clip.tiny_random import TinyRandom
from gaze.errors import UserError
from gaze.export import verification
from gaze.fusions.pooled_gaze import PooledGaze
from gaze.hardware import Hardware
from gaze.heads.heatmap_decoder import HeatmapDecoder
from gaze.heads.point import PointHead
from gaze.models.gazelle import GazeLLE
from gaze.models.screen import ScreenModel
from gaze.shapes_only import shapes_only
from tests.groups import build, node
from tests.stubs.screen import Trunk


def tiny():
    head = partial(HeatmapDecoder, width=16, heads=2, size=(16, 16), head_mask="reference", antialias=True)
    return GazeLLE(ConvViT([8, 8, 8], width=16, heads=2), head)


@pytest.fixture
def suite():
    return workloads(tiny, (64, 64), {"train": [1, 3], "frame": [1, 3]}, Hardware("cpu"), rounds=1, small=True)


@pytest.mark.parametrize("name", ["train", "latency", "cached", "head", "loader", "screen_loader", "faces_loader"])
def test_both_sides_of_a_comparison_give_the_same_answer(suite, name):
    results = list(suite[name].measure())
    rows = [row for result in results for row in result.rows()]
    assert len(results) == {"train": 2, "latency": 3}.get(name, 1)
    assert all(row["same"] and row["ratio"] > 0 for row in rows), rows


def test_streaming_takes_every_sample_once_and_gives_the_same_bytes():
    assert all(row["same"] for result in stream(rounds=1, samples=4096) for row in result.rows())


@pytest.mark.parametrize("measure", [gazefollow_auc, vat_auc])
def test_both_ways_to_an_auc_give_the_same(measure):
    assert all(row["same"] for row in measure(rounds=1, heads=2).rows())


def test_both_models_of_the_point_of_gaze_take_their_step_and_are_those_of_the_configs(monkeypatch):
    with shapes_only():
        sizes = [sum(p.numel() for p in model.parameters()) for model in (shared(), first_version())]
    assert sizes == [50_586_690, 88_155_074]

    def small(*sizes):  # the two together take 2 GB
        return ScreenModel({n: Trunk(8, (2, 2)) for n in ("face", "eyes")}, partial(PooledGaze, width=16), PointHead)

    monkeypatch.setattr(screen_speed, "shared", small)
    monkeypatch.setattr(screen_speed, "first_version", small)
    rows = screen_training(rounds=1, samples=1, hardware=Hardware("cpu"), face_size=64, eye_size=32).rows()
    assert [row["ours"] for row in rows] == ["fp32", "bf16"]
    assert all(row["same"] and row["ratio"] > 0 for row in rows)


def test_the_published_itracker_and_ours_have_the_same_loss():
    with shapes_only():
        count = sum(p.numel() for p in itracker().parameters())
    assert count == 6_286_274
    (result,) = itracker_training(1, Hardware("cpu"), small=True)
    assert [row["ours"] for row in result.rows()] == ["fp32", "bf16"]
    assert all(row["same"] and row["limit_share"] > 0 for row in result.rows()), result


def test_a_frame_of_the_published_itracker_and_of_ours_are_the_same_point():
    (result,) = screen_latency(1, Hardware("cpu"), small=True)
    assert [row["ours"] for row in result.rows()] == ["fp32", "bf16"]
    assert all(row["same"] and row["limit_share"] > 0 for row in result.rows()), result


def test_attention_of_the_recommended_frame_is_counted(monkeypatch):
    monkeypatch.setattr(screen_latency_speed, "rates", lambda *given: {"fp32": 1e9, "bf16": 1e9})
    query = torch.rand(1, 2, 8, 4)
    calls = {name: partial(attend, query, query, query) for name in ("published", "fp32", "bf16")}
    result = screen_latency_speed._result("attention", 1, 1, Hardware("cpu"), calls, attend(query, query, query))
    assert all(row["limit_share"] > 0 for row in result.rows())


def test_a_small_run_compiles_no_frames():
    assert not list(compiled_screen(1, Hardware("cpu"), small=True))


def test_a_file_says_what_its_model_says(monkeypatch):
    monkeypatch.setattr(verification, "SECONDS", 0.0)
    (result,) = exports(1, Hardware("cpu"), small=True)
    assert [row["ours"] for row in result.rows()] == ["pt2"]
    assert all(row["same"] for row in result.rows()), result


def test_kept_texts_and_faces_say_what_new_ones_do():
    small = partial(TextTower, width=32, depth=1, heads=2, words=1000)
    results = prompts(1, Hardware("cpu"), faces=2, tower=TinyRandom, texts=small)
    results.append(faces_cached(1, Hardware("cpu"), faces=4, batch=2, tower=TinyRandom))
    rows = [row for result in results for row in result.rows()]
    assert len(rows) == 3
    assert all(row["same"] and row["ratio"] > 0 for row in rows), rows


def test_loops_over_experts_and_we_give_the_same_answers():
    (result,) = moe_training(1, Hardware("cpu"), (Shape(9, 4, 2, 8, goal=1.0, width=8),))
    assert [row["ours"] for row in result.rows()] == ["auto", "grouped_mm", "padded_bmm"]
    assert all(row["same"] and row["fair_ratio"] > 0 for row in result.rows())


def test_loops_over_gaussians_and_tiles_and_we_draw_the_same():
    shapes = tuple(Cloud(40, 20, 1.0, loop, channels=3) for loop in ("gaussians", "tiles"))
    results = [*raster_training(1, Hardware("cpu"), shapes=shapes)]
    results += raster_views(1, Hardware("cpu"), shape=Cloud(20, 12, 1.0, "views", channels=3), views=2)
    assert len(results) == 3
    assert all(row["same"] for result in results for row in result.rows()), results


def test_an_answer_that_is_no_number_is_not_the_same(monkeypatch):
    monkeypatch.setattr(moe_speed.NaiveExperts, "forward", lambda self, tokens: tokens * math.nan)
    monkeypatch.setattr(
        raster_speed,
        "_ours",
        lambda cloud, cameras, size: raster_speed.loop_over_gaussians(cloud, cameras, size) * math.nan,
    )
    results = [*moe_training(1, Hardware("cpu"), (Shape(9, 4, 2, 8, goal=1.0, width=8),))]
    results += raster_training(1, Hardware("cpu"), shapes=(Cloud(20, 12, 1.0, "gaussians", channels=3),))
    assert len(results) == 2
    assert not any(row["same"] for result in results for row in result.rows()), results


def test_the_text_tower_is_as_large_as_clips():
    with shapes_only():
        count = sum(p.numel() for p in TextTower().parameters())
    assert round(count / 1e6) == 63


def test_frames_are_augmented_as_they_are_by_default():
    theirs = [build(change) for change in node("dataset", "pog_parquet").augmentations]
    assert [(type(a), vars(a)) for a in usual()] == [(type(a), vars(a)) for a in theirs]


def test_workloads_are_chosen_by_name_by_system_and_by_what_stands_before_a_dot(suite):
    systems = {"train": "gazelle", "screens": "pog", "moe": "gazeformer", "steps.a": "pog", "steps.b": "gazelle"}
    few = {name: Workload(system, list) for name, system in systems.items()}
    assert chosen(few, ["moe", "pog"]) == ["screens", "moe", "steps.a"]
    assert chosen(few, ["steps"]) == ["steps.a", "steps.b"]
    with pytest.raises(UserError, match=r"no such workload; expected some of train, latency.*all of a system: gazelle"):
        chosen(suite, ["trian"])


def test_candidates_take_turns_and_the_first_turn_is_not_counted():
    calls = []
    timings = interleaved({n: partial(calls.append, n) for n in "ab"}, 3, torch.device("cpu"))
    assert "".join(calls) == "abababab"
    assert all(timing.best <= timing.median for timing in timings.values())


def test_the_spread_is_the_distance_of_the_quartiles_in_medians():
    found = timing([4.0, 1.0, 2.0, 3.0, 5.0], memory=7)
    assert found == Timing(1.0, 3.0, 2 / 3, 7)
    assert timing([2.0]) == Timing(2.0, 2.0)


def test_ratios_are_of_the_peer_over_ours_and_a_difference_that_is_too_large_shows():
    timings = {"published": Timing(6.0, 8.0), "fair": Timing(3.0, 3.0), "fast": Timing(2.0, 4.0)}
    (row,) = Result("work", "people", 4, timings, {"fast": 2.5}, 1e-3, 1e-5, {}).rows()
    assert (row["ratio"], row["ratio_of_medians"], row["fair_ratio"], row["per_second"]) == (3.0, 2.0, 1.5, 2.0)
    assert row["goal"] == 2.5
    assert not row["same"]


def test_heads_together_are_those_one_by_one():
    shape = Head(image=16, drawn=8, face_points=60, eye_points=8, width=8, samples=2)
    rows = [row for result in redirector(1, Hardware("cpu"), shape=shape) for row in result.rows()]
    assert [row["unit"] for row in rows] == ["heads", "pictures"]
    assert all(row["same"] for row in rows), rows


def test_the_published_step_of_a_head_and_ours_have_the_same_loss_and_gradients():
    shape = Head(image=32, drawn=8, face_points=60, eye_points=8, width=8, samples=2)
    parts = made(shape, Hardware("cpu"), rows=4)
    theirs = published_gradients(parts.peer, parts.batch, samples=2)
    ours = our_gradients(parts.model, parts.objective, parts.batch, Hardware("cpu"), amp=False)
    assert len(theirs) == len(ours) == 5
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))


def test_heads_are_read_as_published_from_files():
    (result,) = head_loader(1, Hardware("cpu"), small=True)
    assert [(row["ours"], row["goal"] is None) for row in result.rows()] == [("ours", True), ("placed", False)]
    assert all(row["same"] for row in result.rows()), result


def test_a_renderer_with_keys_of_every_pixel_and_ours_draw_the_same():
    rows = [row for result in renderer(1, Hardware("cpu"), size=8, image_size=32) for row in result.rows()]
    assert [row["workload"].split(", ")[1] for row in rows] == ["training", "inference"]
    assert all(row["same"] and row["fair_ratio"] > 0 for row in rows), rows


def test_the_trainer_and_a_bare_loop_end_with_the_same_weights():
    for width in (0, 8):
        shape = Steps(width, 16, 2, steps=2, calls=1)
        cost = overhead("a toy", shape, rounds=2, hardware=Hardware("cpu", workers=0), mlflow=False)
        alone, logged = cost.rows()
        assert (alone["same"], logged["same"], cost.difference) == (True, True, 0.0)
        assert alone["most_ms"] == pytest.approx(alone["bare_ms"] + 0.04)
        assert logged["most_ms"] == pytest.approx(logged["bare_ms"] + 0.1)


def test_two_models_are_as_far_apart_as_their_weights_and_nowhere_near_if_one_is_no_number():
    one, other = torch.nn.Linear(2, 1, bias=False), torch.nn.Linear(2, 1, bias=False)
    one.weight.data, other.weight.data = torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 4.5]])
    assert distance(one, one) == 0.0
    assert distance(one, other) == pytest.approx(0.1)
    other.weight.data[0, 0] = math.nan
    assert math.isnan(distance(one, other))


def test_what_is_more_than_allowed_shows():
    seconds = {"bare": Timing(2.0, 2.0), "quick": Timing(2.2, 3.0), "slow": Timing(4.0, 4.0)}
    quick, slow = Cost("work", "step", 2, seconds, {"quick": 1.15, "slow": 1.15}).rows()
    assert (quick["within"], slow["within"]) == (True, False)
    assert (slow["ms"], slow["bare_ms"], slow["more_ms"], slow["more_share"]) == (2000.0, 1000.0, 1000.0, 1.0)
    assert quick["more_share"] == pytest.approx(0.1)
