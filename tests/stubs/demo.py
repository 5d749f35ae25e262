"""tools/demo.py, whose commands begin with what it has imported: five seconds of each."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

from tests.processes import forked

if __name__ == "__main__":
    spec = spec_from_file_location("demo", Path(__file__).parents[2] / "tools" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    demo = module_from_spec(spec)
    spec.loader.exec_module(demo)
    demo.subprocess = SimpleNamespace(run=forked)  # type: ignore[attr-defined]
    demo.main()
