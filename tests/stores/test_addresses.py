"""Addresses in configs: found wherever they are, and never with credentials."""

from __future__ import annotations

import pytest

from gaze.errors import UserError
from gaze.loggers.masking import masked
from gaze.stores.addresses import check_address, is_remote, with_credentials
from gaze.stores.places import place


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


@pytest.mark.parametrize(
    "uri",
    ["S3://AKIA:hunter2@b/x", "s3a://k:hunter2@b/x", "s3://k:hunt/er2@b/x", "s3://b/x?X-Amz-Signature=hunter2",
     "s3://b/x?endpoint_override=http://me:hunter2@host", "abfs://c@a.dfs.core.windows.net/p?sv=1&sig=hunter2"],
)  # fmt: skip
def test_credentials_however_they_are_written(uri):
    with pytest.raises(UserError, match="holds credentials") as error:
        check_address(uri)
    assert "hunt" not in str(error.value)


def test_other_kinds_of_stores_are_not_taken_for_paths(tmp_path):
    with pytest.raises(
        UserError, match=r"s3a://b/x is in no kind of store .*an address that begins with s3://"
    ) as error:
        place("s3a://k:hunter2@b/x", tmp_path)
    assert "hunter2" not in str(error.value)
    assert str(place("S3://b/x", tmp_path)) == "s3://b/x"


def test_the_root_is_what_pyarrow_takes_for_it(tmp_path):
    assert place("abfs://container@account.dfs.core.windows.net/p/", tmp_path).store.root == "container/p"
