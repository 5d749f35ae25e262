"""What is run comes from packages that are pinned and declared, and weights from addresses with a checksum."""

from __future__ import annotations

import ast
import re
import sys
from configparser import ConfigParser
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gaze.tensor_files import HASHED

ROOT = Path(__file__).parents[2]
# What a package is called, where that is not what is imported
PACKAGES = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "google": "protobuf",
    "hydra": "hydra-core",
    "hydra_plugins": "hydra-optuna-sweeper",
    "open_clip": "open-clip-torch",
    "sklearn": "scikit-learn",
    "torch_fidelity": "torch-fidelity",
    "yaml": "pyyaml",
}
# MLflow, Optuna and timm bring the others; without pynvml the load of a GPU is not sampled
ELSEWHERE = {"huggingface_hub", "packaging", "pynvml", "sqlalchemy"}
# Files whose authors publish no checksum: the first download names it, to be added as #sha256= (gaze/downloads.py)
UNKNOWN = {"PPHGNetV2_B0_stage1.pth", "vitt_distill.pt", "vittplus_distill.pt", "vgg.pth", "model.safetensors",
           "face_landmarker.task"}  # fmt: skip


def declared():
    """Requirements of setup.cfg by canonical name, those of extras among them."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"] + "".join(setup["options.extras_require"].values())
    found = [Requirement(line) for line in lines.splitlines() if line.strip()]
    return {canonicalize_name(r.name): r for r in found}


def pins():
    """Requirements of requirements.txt."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    return [Requirement(line) for line in lines if line]


@cache
def trees():
    return {path: ast.parse(path.read_text()) for path in sorted((ROOT / "gaze").rglob("*.py"))}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


@pytest.mark.fault("X6")
def test_every_package_that_is_imported_is_declared():
    ours = set(declared())
    missing = {}
    for path, tree in trees().items():
        names = {module.partition(".")[0] for module in imported(tree)}
        for name in names - {"gaze", *ELSEWHERE, *sys.stdlib_module_names}:
            package = canonicalize_name(PACKAGES.get(name, name))
            if package not in ours:
                missing.setdefault(package, str(path.relative_to(ROOT)))
    assert missing == {}, "add them to setup.cfg"


@pytest.mark.fault("X6")
def test_pins_are_exact_and_within_the_declared_ranges():
    ranges = declared()
    for pin in pins():
        (exact,) = pin.specifier
        assert (exact.operator, "*" in exact.version) == ("==", False), f"{pin} is no pin"
        range_ = ranges[canonicalize_name(pin.name)].specifier
        assert range_.contains(exact.version, prereleases=True), f"{pin} is outside of {range_} in setup.cfg"


@pytest.mark.fault("X6")
def test_what_everybody_installs_is_pinned():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    needed = [Requirement(line).name for line in setup["options"]["install_requires"].splitlines() if line.strip()]
    assert {canonicalize_name(n) for n in needed} - {canonicalize_name(pin.name) for pin in pins()} == set()


@pytest.mark.fault("X4")
def test_no_code_is_fetched():
    """torch.hub is where downloads lie, and nothing else of it is used; nobody trusts a remote repository's code."""
    used = set()
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "hub":
                used.add(node.attr)
            if isinstance(node, ast.keyword):
                assert node.arg not in ("trust_remote_code", "trust_repo"), path
    assert used <= {"get_dir"}


@pytest.mark.fault("X4")
def test_every_address_of_weights_that_we_name_has_a_checksum():
    """In its name, as torch.hub's, or behind it as #sha256=."""
    address = re.compile(r"https?://[^\s\"'<>)]+\.(?:pth|pt|bin|safetensors|onnx|task|npz)\b[^\s\"'<>)]*")
    texts = {
        **{path: path.read_text() for path in sorted((ROOT / "conf").rglob("*.yaml"))},
        **{path: path.read_text() for path in trees()},
    }
    bare = {
        found
        for text in texts.values()
        for found in (match.rstrip(",;.") for match in address.findall(text))
        if "example.org" not in found and not HASHED.search(found) and "#sha256=" not in found
    }
    assert {found.rpartition("/")[2] for found in bare} == UNKNOWN
