"""Settings shared by all tests."""

import atexit
import gc
import os
import pickle
import shutil
import tempfile
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from importlib.machinery import SourceFileLoader
from types import FunctionType
from unittest.mock import patch

import jaxtyping
import torch
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from jaxtyping import _decorator, _import_hook

# Checkpoints and databases wait for the disk, some ms each: half the time of a search. Memory has nothing to wait for, but
# must be given back: with PYTEST_DEBUG_TEMPROOT=/tmp the files stay to be looked at.
MEMORY, ROOT = Path("/dev/shm"), "PYTEST_DEBUG_TEMPROOT"
if ROOT not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 6 << 30:
    os.environ[ROOT] = tempfile.mkdtemp(prefix="gaze-tests-", dir=MEMORY)  # which workers of pytest-xdist take over
    atexit.register(shutil.rmtree, os.environ[ROOT], ignore_errors=True)

gc.set_threshold(20_000, 50, 50)  # looking through all that torch and MLflow hold took a tenth of the time
torch.set_num_threads(1)  # small tensors: a second thread only adds noise and contention


class CheckedLoader(_import_hook._JaxtypingLoader):
    """Loads a module with its checks of shapes, and what the module imports as everybody else does.

    The original keeps its own name of cached bytecode while the module runs. What the module imports, as torchvision by
    way of timm, is not cached under that name and was compiled anew by every worker: 10 s of each.
    """

    def get_code(self, fullname):
        def checked(path, debug_override=None):
            return _import_hook._optimized_cache_from_source(self._typechecker.get_hash(), path, debug_override)

        with patch("importlib._bootstrap_external.cache_from_source", checked):
            return super().get_code(fullname)

    def exec_module(self, module):
        SourceFileLoader.exec_module(self, module)


_import_hook._JaxtypingLoader = CheckedLoader


def at_first_call(jaxtyped):
    """The making of a function's checks, put off: most functions are called by no test of a worker that imports them."""

    def decorate(fn=_decorator._sentinel, *, typechecker=_decorator._sentinel):
        if not isinstance(fn, FunctionType) or typechecker is _decorator._sentinel:
            return (
                partial(decorate, typechecker=typechecker)
                if fn is _decorator._sentinel
                else jaxtyped(fn, typechecker=typechecker)
            )
        checked = None

        @wraps(fn)
        def call(*args, **kwargs):
            nonlocal checked
            if checked is None:
                checked = jaxtyped(fn, typechecker=typechecker)
            return checked(*args, **kwargs)

        return call

    return decorate


jaxtyping.jaxtyped = _decorator.jaxtyped = at_first_call(jaxtyping.jaxtyped)


def read_once(read):
    """Hydra's reading of a file of the config, remembered: hundreds of tests compose the same fifty files, half of their time."""
    kept = {}

    def reading(source, resource):
        key = (source.path, str(resource), os.stat(resource).st_mtime_ns)
        if key not in kept:
            result = read(source, resource)
            kept[key] = result, pickle.dumps(result.config)
        result, config = kept[key]
        return replace(result, config=pickle.loads(config))  # a fifth of what a deep copy takes

    return reading


ImportlibResourcesConfigSource._read_config = read_once(ImportlibResourcesConfigSource._read_config)


def compose_once(load):
    """Hydra's composition for the same words, remembered: tests of one model compose it again and again."""
    kept = {}

    def loading(loader, config_name, overrides, run_mode, from_shell=True, **options):
        places = [(place.provider, place.path) for place in loader.config_search_path.get_path()]
        if any(not path.startswith(("pkg://", "structured://")) for _, path in places):  # a folder may change
            return load(loader, config_name, overrides, run_mode, from_shell, **options)
        key = repr((places, config_name, overrides, run_mode, from_shell, options, os.getcwd()))
        if key not in kept:
            kept[key] = pickle.dumps(load(loader, config_name, overrides, run_mode, from_shell, **options))
        return pickle.loads(kept[key])

    return loading


ConfigLoaderImpl.load_configuration = compose_once(ConfigLoaderImpl.load_configuration)


def pytest_collection_modifyitems(items):
    """Slow tests come first, so that no worker waits at the end for another that has just begun one."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
