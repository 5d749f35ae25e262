"""Addresses in configs: found wherever they are, and never with credentials."""

from __future__ import annotations

import pytest

from gaze.loggers.masking import masked
from gaze.stores.addresses import is_remote, with_credentials


def test_credentials_are_found_anywhere_in_a_config_and_not_repeated():
    config = {
        "dataset": {"source": {"a": {"root": "s3://me:hunter2@b/x"}}, "path": "s3://b/x?region=here"},
        "val_dataset": [{"path": "s3://b/x?session_token=hunter2"}],
        "logger": {"uri": "https://me:hunter2@host"},  # what others do about theirs is their business
    }
    told = list(with_credentials(config))
    assert [sentence.split(":")[0] for sentence in told] == ["dataset.source.a.root", "val_dataset.0.path"]
    assert "hunter2" not in "".join(told)
    assert "AWS_PROFILE" in told[0]


@pytest.mark.parametrize("path", ["/a/b", "a/b.parquet", "file:///a", "s3:/a", "http://host/a", None, 3])
def test_what_is_no_address_of_a_store(path):
    assert not is_remote(path)


def test_options_that_are_secrets_are_masked_like_others():
    assert "hunter2" not in masked("dataset.path=s3://b/x?secret_key=hunter2")
