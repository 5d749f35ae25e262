"""Versions: too old, too new, missing, of two releases, with known holes; and what is off without an extra."""

from __future__ import annotations

import pytest

from gaze.doctor import installation
from gaze.doctor.case import Case
from tests.doctor.conftest import lines, only


@pytest.fixture
def versions(monkeypatch):
    """`versions(name="1.0", other=None)`: what is installed from now on, other than what is."""

    def pretend(**found: str | None) -> None:
        real = installation.installed
        monkeypatch.setattr(installation, "installed", lambda name: found[name] if name in found else real(name))

    return pretend


def test_what_is_installed_here_is_fine():
    assert {f.level.value for f in lines(installation.packages)} == {"ok"}
    assert lines(installation.known_flaws) == []
    assert only(installation.torch_pair)[0] == "ok"
    assert only(installation.operators) == ("ok", "torch and torchvision compute")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("0.9.0", "timm is 0.9.0, gaze needs <2,>=1.0.20: pip install 'timm<2,>=1.0.20'"),
        ("2.0.0", "timm is 2.0.0, gaze needs <2,>=1.0.20: pip install 'timm<2,>=1.0.20'"),
        (None, "timm is not installed: pip install 'timm<2,>=1.0.20'"),
    ],
)
def test_a_package_out_of_range_is_named_with_the_command(versions, version, said):
    versions(timm=version)
    found = lines(installation.packages)
    assert [(f.level.value, f.said) for f in found if f.about == "timm"] == [("problem", said)]


@pytest.mark.parametrize(
    ("torch", "torchvision", "level", "said"),
    [
        ("2.14.1", "0.29.0", "ok", "2.14.1 with torchvision 0.29.0"),
        ("2.13.0", "0.29.1", "problem", "not made for torch 2.13.0 but for 2.14; install both in one command"),
        ("2.14.1+cpu", "0.29.1+cu130", "problem", "built for cu130 and torch for cpu; install both in one command"),
    ],
)
def test_torch_and_torchvision_are_of_one_release(versions, torch, torchvision, level, said):
    versions(torch=torch, torchvision=torchvision)
    found = only(installation.torch_pair)
    assert found[0] == level
    assert said in found[1]


def test_known_holes_are_problems(versions):
    versions(torch="2.9.1", mlflow="3.10.0", lightning="2.6.2")
    found = {f.about: f for f in lines(installation.known_flaws)}
    assert set(found) == {"torch", "mlflow", "lightning"}
    assert "CVE-2026-24747" in found["torch"].said
    assert found["torch"].said.endswith("pip install -U torch")


def test_extras_say_what_is_off_without_them(versions):
    versions(simplejpeg="1.9", av=None, onnx="1.0")
    found = {f.about: (f.level.value, f.said) for f in lines(installation.extras)}
    assert found["video"] == (
        "ok",
        "not installed, so videos can't be read; folders of frames can; if you need it: pip install 'gaze[video]'",
    )
    assert found["export"][0] == "warning"
    assert "onnx is 1.0, gaze needs >=1.18" in found["export"][1]
    assert "fast" in found["extras"][1]


def test_every_extra_that_users_have_is_described():
    assert set(installation.requirements()) - {"", "dev"} == set(installation.EXTRAS)


def test_an_extra_that_the_config_needs_is_a_problem(versions):
    from omegaconf import OmegaConf

    versions(gsplat=None)
    case = Case(config=OmegaConf.create({"rasterize": {"backend": "gsplat"}}))
    assert only(installation.needed_extras, case)[0] == "problem"
    assert lines(installation.needed_extras, Case()) == []


def test_an_installed_wheel_knows_its_requirements_from_its_metadata(monkeypatch, tmp_path):
    monkeypatch.setattr(installation.gaze, "__file__", str(tmp_path / "gaze" / "__init__.py"))
    found = installation.requirements()
    assert {"torch", "timm"} <= {r.name for r in found[""]}
    assert [r.name for r in found["video"]] == ["av"]
