"""The loss that tells factors apart inside a renderer."""

import pytest
import torch

from gaze.heads.factors import Factors
from gaze.losses.orthogonality import Orthogonality
from gaze.types import Batch, FacePrediction, FaceTargets, Progress
from tests.groups import build, node
from tests.stubs.drawing import face_inputs

START = Progress(0, 10, 5)


def asked(loss, **figures):
    image = torch.zeros(1, 3, 2, 2)
    prediction = FacePrediction(image, **{f"factor_{name}": figure for name, figure in figures.items()})
    return loss(prediction, Batch(face_inputs(1), FaceTargets(image), torch.zeros(1).long()), START)


def test_is_the_weighted_sum_of_what_the_renderer_says():
    figures = {"cosine": torch.tensor(1.0), "overlap": torch.tensor(10.0), "collapse": torch.tensor(100.0)}
    loss = build(node("loss", "orthogonality"))
    assert asked(loss, **figures) == 1 + 10 + 10
    assert loss.weight == 0.01
    assert asked(Orthogonality(cosine=2, overlap=0, collapse=0), **figures) == 2


def test_descent_makes_embeddings_orthogonal_without_collapse():
    torch.manual_seed(0)
    factors, loss = Factors(5, 3, 16, 16).train(), Orthogonality()
    optimizer = torch.optim.Adam(factors.parameters(), lr=0.01)
    inputs = face_inputs(32)
    found = []
    for _ in range(60):
        factored = factors(inputs)
        figures = {name: getattr(factored, name) for name in ("cosine", "overlap", "collapse")}
        optimizer.zero_grad()
        asked(loss, **figures).backward()
        optimizer.step()
        found.append({name: figure.item() for name, figure in figures.items()})
    assert found[-1]["cosine"] < 0.3 * found[1]["cosine"]
    assert found[-1]["overlap"] < 0.3 * found[0]["overlap"]
    assert found[-1]["collapse"] < found[0]["collapse"]


@pytest.mark.parametrize("missing", ["cosine", "overlap", "collapse"])
def test_a_renderer_without_factors_is_named(missing):
    figures = {name: torch.tensor(0.0) for name in ("cosine", "overlap", "collapse") if name != missing}
    with pytest.raises(ValueError, match=f"nothing of factor_{missing};.*head=renderer_dit.*take the loss out"):
        asked(Orthogonality(), **figures)
