"""Rotations as vectors, quaternions and matrices, at zero and at half a turn too."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.rotations import (
    quaternion_product,
    quaternion_to_matrix,
    quaternion_to_vector,
    vector_to_matrix,
    vector_to_quaternion,
)

numbers = st.floats(-1, 1)
vectors = st.tuples(numbers, numbers, numbers)


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


@settings(max_examples=30, deadline=None)
@given(vectors, st.sampled_from([0.0, 1e-9, 1e-5, 1e-3, 0.5, 3.0, math.pi]))
def test_there_and_back(axis, angle):
    axis = torch.nn.functional.normalize(double(*axis) + double(1e-3, 0, 0), dim=0)
    vector = angle * axis
    quaternion = vector_to_quaternion(vector)
    assert quaternion.norm() == pytest.approx(1.0, abs=1e-9)
    back = quaternion_to_vector(quaternion)
    assert back.norm() == pytest.approx(angle, abs=1e-7)
    assert torch.allclose(vector_to_matrix(back), vector_to_matrix(vector), atol=1e-7)
    # The exponential of the cross product's matrix is what a rotation vector means.
    x, y, z = vector.tolist()
    cross = double(0, -z, y, z, 0, -x, -y, x, 0).reshape(3, 3)
    assert torch.allclose(vector_to_matrix(vector), torch.linalg.matrix_exp(cross), atol=1e-8)


@settings(max_examples=15, deadline=None)
@given(vectors, vectors)
def test_products_are_products_of_matrices(a, b):
    first, second = vector_to_quaternion(3 * double(*a)), vector_to_quaternion(3 * double(*b))
    both = quaternion_to_matrix(quaternion_product(first, second))
    assert torch.allclose(both, quaternion_to_matrix(first) @ quaternion_to_matrix(second), atol=1e-10)


def test_known_turns():
    quarter = vector_to_matrix(torch.tensor([0.0, 0.0, math.pi / 2]))
    assert torch.allclose(quarter @ torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]), atol=1e-6)
    assert torch.allclose(quaternion_to_matrix(torch.tensor([2.0, 0.0, 0.0, 0.0])), torch.eye(3))


@pytest.mark.parametrize("vector", [[0.0, 0.0, 0.0], [1e-12, 0.0, 0.0], [0.0, math.pi, 0.0]])
def test_gradients_are_finite_everywhere(vector):
    vector = torch.tensor(vector, requires_grad=True)
    vector_to_matrix(vector)[0, 1].backward()
    assert vector.grad.isfinite().all()
    quaternion = vector_to_quaternion(vector).detach().requires_grad_()
    quaternion_to_vector(quaternion).sum().backward()
    assert quaternion.grad.isfinite().all()


def test_the_gradient_at_zero_is_that_of_the_cross_product():
    vector = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(vector_to_matrix, vector)
    vector_to_matrix(vector)[1, 0].backward()
    assert torch.allclose(vector.grad, double(0, 0, 1))
