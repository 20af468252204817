"""Buckets of the S3 server, and folders for inputs."""

from pathlib import Path

import boto3
import pytest


@pytest.fixture
def bucket(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """An empty bucket."""
    for key, value in s3_environment.items():
        monkeypatch.setenv(key, value)
    name = f"bucket-{abs(hash(request.node.nodeid)):x}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder for inputs."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    return folder
