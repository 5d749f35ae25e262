"""What a search asks of its database is remembered between tests."""

from tests.databases import read_migrations_once

read_migrations_once()
