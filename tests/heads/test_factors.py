"""The condition of renderers, and how far apart its factors are."""

from dataclasses import replace

import pytest
import torch

from gaze.heads.factors import MEMORY, MOMENTUM, Factors
from gaze.losses.head_regularizers import Orthogonality
from gaze.types import Batch, FacePrediction, FaceTargets, Progress
from tests.stubs.drawing import face_inputs


def factors(width=12, embedding=8):
    torch.manual_seed(0)
    return Factors(5, 3, width, embedding)


def fixed(module, embeddings):
    """The module, whose four embeddings are now these [4 e] whatever it is given."""
    for embedder, value in zip(module.embedders, embeddings, strict=True):
        torch.nn.init.zeros_(embedder[2].weight)
        embedder[2].bias.data.copy_(value)
    return module


def test_each_factor_sees_its_own_inputs_alone():
    module, inputs = factors().eval(), face_inputs(2)
    before = module(inputs).embedding
    changed = {"identity": 0, "expression": 1, "pose": 2, "gaze": 3}
    for name, place in changed.items():
        after = module(replace(inputs, **{name: getattr(inputs, name) + 0.3})).embedding
        moved = (after - before).abs().amax((0, 2)) > 1e-6
        assert moved.tolist() == [i == place for i in range(4)]


def test_orthogonal_embeddings_have_a_cosine_of_zero_and_parallel_ones_of_one():
    assert fixed(factors(), torch.eye(8)[:4]).eval()(face_inputs(3)).cosine == 0
    parallel = torch.tensor([1.0, -2.0, 3.0, 0.5])[:, None] * torch.ones(8)
    assert fixed(factors(), parallel).eval()(face_inputs(3)).cosine.item() == pytest.approx(1, abs=1e-5)


def test_subspaces_that_share_nothing_do_not_overlap_and_equal_lines_do():
    module = factors(width=8, embedding=2).eval()
    weight = module.mixer[0].weight.data
    weight.copy_(torch.eye(8))
    assert module(face_inputs(1)).overlap == 0
    weight.copy_(torch.ones(8, 8))
    assert module(face_inputs(1)).overlap.item() == pytest.approx(1)
    weight.normal_()
    columns = weight.unflatten(1, (4, 2)).double()
    pairs = [(k, m) for k in range(4) for m in range(k)]
    norms = [(columns[:, k].T @ columns[:, m]).norm() / (columns[:, k].norm() * columns[:, m].norm()) for k, m in pairs]
    expected = sum(norm**2 for norm in norms) / 6
    assert module(face_inputs(1)).overlap.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_cosine_is_that_of_embeddings_without_their_mean():
    module, inputs = factors().eval(), face_inputs(3)
    module.mean.normal_()
    found = module(inputs)
    centred = found.embedding - module.mean
    pairs = [(k, m) for k in range(4) for m in range(k)]
    cosines = torch.stack([torch.cosine_similarity(centred[:, k], centred[:, m]) for k, m in pairs])
    torch.testing.assert_close(found.cosine, cosines.square().mean())


def test_embeddings_that_are_the_same_for_all_have_collapsed_and_wide_ones_have_not():
    module = fixed(factors(), torch.eye(8)[:4]).eval()
    assert module(face_inputs(40)).collapse.item() == pytest.approx(0.99, abs=1e-4)
    module = factors().eval()
    for embedder in module.embedders:
        embedder[2].weight.data.mul_(300)
    assert module(face_inputs(40)).collapse == 0


def test_a_batch_of_one_has_finite_figures_and_moves_every_embedder():
    module = factors().train()
    for seed in range(3):
        module.zero_grad()
        found = module(face_inputs(1, seed=seed))
        (found.cosine + found.overlap + 0.1 * found.collapse).backward()
    assert torch.isfinite(torch.stack(found[2:])).all()
    for parameter in [*module.embedders.parameters(), module.mixer[0].weight]:
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().max() > 0


def test_small_batches_are_seen_beside_those_before_them():
    module = factors().train()
    batches = [face_inputs(8, seed=seed) for seed in range(5)]
    for batch in batches[:4]:
        module(batch)
    seen = torch.cat([module.eval()(batch).embedding for batch in batches])
    deviation = (seen.var(0, correction=0) + 1e-4).sqrt()
    torch.testing.assert_close(module(batches[4]).collapse, (1 - deviation).clamp(min=0).mean())
    assert module.kept == 32


def test_the_memory_goes_round_and_the_mean_follows():
    module = factors().train()
    for seed in range(3):
        found = module(face_inputs(100, seed=seed)).embedding
    assert module.kept == 300
    torch.testing.assert_close(module.memory[:44], found[56:])
    torch.testing.assert_close(module.memory[200:], found[:56])
    before = module.mean.clone()
    found = module(face_inputs(MEMORY + 10, seed=4)).embedding  # more than it holds
    torch.testing.assert_close(module.mean, MOMENTUM * before + (1 - MOMENTUM) * found.mean(0))
    torch.testing.assert_close(module.memory.sum(0), found[10:].sum(0), atol=1e-3, rtol=1e-4)


def test_further_views_of_a_head_are_conditioned_but_not_counted():
    one, views = factors().train(), factors().train()
    for seed in range(3):
        batch = face_inputs(2, seed=seed)
        again = batch.map(lambda t: torch.cat([t, t]))
        alone, found = one(batch), views(again, samples=2)
        assert torch.allclose(found.condition, alone.condition.repeat(2, 1), atol=1e-6)
        torch.testing.assert_close(found[2:], alone[2:])
    assert views.kept == 6
    torch.testing.assert_close(dict(views.named_buffers()), dict(one.named_buffers()))


def test_a_resumed_run_goes_on_alike_and_evaluation_changes_nothing():
    one, other = factors().train(), factors().train()
    for seed in range(3):
        one(face_inputs(2, seed=seed))
    other.load_state_dict(one.state_dict())
    other.eval()(face_inputs(2, seed=9))
    other.train()
    for seed in range(3, 6):
        found = [module(face_inputs(2, seed=seed)) for module in (one, other)]
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), other.buffers(), strict=True))


def test_the_loss_makes_embeddings_orthogonal_without_collapse():
    module, loss = factors(16, 16).train(), Orthogonality()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    inputs, image, found = face_inputs(32), torch.zeros(32, 3, 2, 2), []
    batch = Batch(inputs, FaceTargets(image), torch.arange(32))
    for _ in range(60):
        figures = dict(zip(("factor_cosine", "factor_overlap", "factor_collapse"), module(inputs)[2:], strict=True))
        optimizer.zero_grad()
        loss(FacePrediction(image, **figures), batch, Progress(0, 10, 5)).backward()
        optimizer.step()
        found.append({name: figure.item() for name, figure in figures.items()})
    assert found[-1]["factor_cosine"] < 0.3 * found[1]["factor_cosine"]
    assert found[-1]["factor_overlap"] < 0.3 * found[0]["factor_overlap"]
    assert found[-1]["factor_collapse"] < found[0]["factor_collapse"]
