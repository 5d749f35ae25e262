"""Python and the packages: versions, pairs that must match, known flaws, optional extras."""

from __future__ import annotations

import configparser
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import gaze
from gaze.doctor.case import Case
from gaze.doctor.findings import Finding, ok, problem, said, warning

# Versions that must not be used, whatever setup.cfg comes to allow
FLAWS = {
    "torch": ("<2.10", "a checkpoint can run code in it in spite of weights_only (CVE-2025-32434, CVE-2026-24747)"),
    "mlflow": (
        "<3.11",
        "its server gives away files and trusts shared temporary folders (CVE-2026-2614, -2651, -4137)",
    ),
    "lightning": (">=2.6.2,<2.6.4", "these releases were malicious; change every password that this machine held"),
}
OLDEST = (3, 10)  # python_requires of setup.cfg
# What is off without an optional package; an extra that is not here is for developers.
EXTRAS = {
    "fast": "JPEGs are read by Pillow, a third slower",
    "detect": "tools can't find faces by themselves",
    "landmarks": "tools can't find eyes and face landmarks by themselves",
    "video": "videos can't be read; folders of frames can",
    "export": "no ONNX files are written or read",
    "prompts": "no texts are embedded anew; files of embeddings are read",
    "gsplat": "Gaussians are drawn by PyTorch, which is slow on CUDA",
    "coreml": "no Core ML files are written",
    "fid": "no FID is computed",
}


def python_version(case: Case) -> Iterator[Finding]:
    """Is this Python one that the package is made for?"""
    now = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST:
        yield problem("Python", f"this is {now}, gaze needs 3.10 or newer; make an environment with a newer Python")
    else:
        yield ok("Python", now)


def packages(case: Case) -> Iterator[Finding]:
    """Is every required package there, in a version of the range that setup.cfg gives?"""
    fine = 0
    for requirement in requirements()[""]:
        line = _fault(requirement)
        if line is None:
            fine += 1
        else:
            yield problem(requirement.name, line)
    yield ok("packages", f"{fine} in versions that gaze was made for")


def known_flaws(case: Case) -> Iterator[Finding]:
    """Is a package installed in a version with a known hole?"""
    from packaging.specifiers import SpecifierSet

    for name, (versions, why) in FLAWS.items():
        found = installed(name)
        if found is not None and SpecifierSet(versions).contains(found, prereleases=True):
            yield problem(name, f"{found} is not safe: {why}; pip install -U {name}")


def torch_pair(case: Case) -> Iterator[Finding]:
    """Are torch and torchvision of one release and one build? Torch 2.N goes with torchvision 0.(N+15)."""
    torch, vision = installed("torch"), installed("torchvision")
    if torch is None or vision is None:
        return
    (_, minor), (_, other) = (version.split(".")[:2] for version in (torch, vision))
    tags = [version.partition("+")[2] for version in (torch, vision)]
    remedy = "install both in one command: pip install --force-reinstall torch torchvision"
    if int(other) != int(minor) + 15:
        yield problem("torchvision", f"{vision} is not made for torch {torch} but for 2.{int(other) - 15}; {remedy}")
    elif all(tags) and tags[0] != tags[1]:
        yield problem("torchvision", f"it is built for {tags[1]} and torch for {tags[0]}; {remedy}")
    else:
        yield ok("torch", f"{torch} with torchvision {vision}")


def operators(case: Case) -> Iterator[Finding]:
    """Do the compiled parts of torch and torchvision load and compute?"""
    try:
        import torch
        from torchvision.ops import nms

        kept = nms(torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9]]), torch.tensor([0.5, 0.9]), 0.5)
        assert kept.tolist() == [1]
    except Exception as error:
        yield problem(
            "operators",
            f"torch or torchvision does not compute ({said(error)}); install both in one command: "
            "pip install --force-reinstall torch torchvision",
        )
        return
    yield ok("operators", "torch and torchvision compute")


def extras(case: Case) -> Iterator[Finding]:
    """Which optional packages are there, and what is off without the others?"""
    there = []
    for extra, wanted in requirements().items():
        if extra not in EXTRAS:
            continue
        absent = [r.name for r in wanted if installed(r.name) is None]
        faults = [fault for r in wanted if installed(r.name) is not None and (fault := _fault(r))]
        if faults:
            yield warning(extra, f"{'; '.join(faults)}: pip install -U 'gaze[{extra}]'")
        elif absent:
            yield ok(extra, f"not installed, so {EXTRAS[extra]}; if you need it: pip install 'gaze[{extra}]'")
        else:
            there.append(extra)
    yield ok("extras", f"installed: {', '.join(there) or 'none'}")


def needed_extras(case: Case) -> Iterator[Finding]:
    """Does the config need an optional package that is missing?"""
    if case.value("rasterize.backend") == "gsplat" and installed("gsplat") is None:
        yield problem("gsplat", "rasterize=gsplat needs it: pip install 'gaze[gsplat]', or choose rasterize=auto")
    if case.value("metric.fid._target_") and installed("torch-fidelity") is None:
        yield problem("fid", "the metric fid needs torch-fidelity: pip install 'gaze[fid]', or leave it out of metric=")


def requirements() -> dict[str, list]:
    """What gaze requires, by extra; "" is always required. From setup.cfg in a checkout, else from what pip installed."""
    from packaging.requirements import Requirement

    file = Path(gaze.__file__).parents[1] / "setup.cfg"
    if file.is_file():
        parser = configparser.ConfigParser()
        parser.read(file, encoding="utf-8")
        lines = {"": parser.get("options", "install_requires", fallback="")}
        lines |= dict(parser["options.extras_require"]) if parser.has_section("options.extras_require") else {}
        return {extra: [Requirement(line) for line in text.split("\n") if line] for extra, text in lines.items()}
    found: dict[str, list] = {"": []}
    names = metadata.metadata("gaze").get_all("Provides-Extra") or []
    for requirement in map(Requirement, metadata.requires("gaze") or []):
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}):
            found[""].append(requirement)
        for extra in names:
            if marker is not None and not marker.evaluate({"extra": ""}) and marker.evaluate({"extra": extra}):
                found.setdefault(extra, []).append(requirement)
    return found


def installed(name: str) -> str | None:
    """The version of a package, None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _fault(requirement) -> str | None:  # type: ignore[no-untyped-def]  # packaging is imported late
    """What is wrong with an installed package, and the remedy; None: nothing."""
    found = installed(requirement.name)
    remedy = f"pip install '{requirement.name}{requirement.specifier}'"
    if found is None:
        return f"{requirement.name} is not installed: {remedy}"
    if not requirement.specifier.contains(found, prereleases=True):
        return f"{requirement.name} is {found}, gaze needs {requirement.specifier}: {remedy}"
    return None
