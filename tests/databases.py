"""What the databases of Optuna and MLflow ask of their migrations, remembered: a test opens one again and again."""

from __future__ import annotations

from functools import cache
from types import MethodType

from alembic.config import Config
from alembic.script import ScriptDirectory


def read_migrations_once() -> None:
    """Import the scripts of one folder of migrations once per process, not with every database that is opened."""
    read = ScriptDirectory.from_config
    if not isinstance(read, MethodType):
        return  # done before

    @cache
    def of(location: str) -> ScriptDirectory:
        config = Config()
        config.set_main_option("script_location", location)
        return read(config)

    def from_config(config: Config) -> ScriptDirectory:
        location = config.get_main_option("script_location")
        return read(config) if location is None else of(location.replace("%", "%%"))

    ScriptDirectory.from_config = staticmethod(from_config)  # type: ignore[method-assign,assignment]
