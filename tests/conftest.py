"""What tests in several folders share; helper modules lie beside it."""

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import tiny_models
from hypothesis import settings
from moto.server import ThreadedMotoServer
from transformers import PreTrainedTokenizerFast

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

S3_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-tester",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "2",
}


@pytest.fixture(scope="session", autouse=True)
def _trainings_pause() -> Iterator[None]:
    """Trainings in the background pause while the whole suite runs."""
    if os.environ.get("LLMNER_ALONE"):
        from llmner.training.background import busy

        with busy():
            yield
    else:
        yield


@pytest.fixture(scope="session")
def s3_environment() -> Iterator[dict[str, str]]:
    """The environment that reaches an S3 server."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {**S3_ENVIRONMENT, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    server.stop()


@pytest.fixture(scope="session")
def cluster(s3_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Ray on this machine, started once; its workers reach the S3 server and find the tests' engines."""
    import ray

    before = dict(os.environ)
    os.environ.update(s3_environment, PYTHONPATH=str(Path(__file__).parent))  # workers inherit it
    ray.init(address="local", num_cpus=4, object_store_memory=300 << 20, include_dashboard=False, log_to_driver=False)
    os.environ.clear()
    os.environ.update(before)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer for the tiny models."""
    return tiny_models.byte_tokenizer()


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
