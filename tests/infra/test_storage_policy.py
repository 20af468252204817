"""The storage policy against what a run really calls: it is enough, nothing in it is idle, it ends at the inputs."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.moto_api import recorder
from moto.server import ThreadedMotoServer

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "corpus"
POLICY = (ROOT / "infra" / "cloud" / "policy.json").read_text(encoding="utf-8").replace("${bucket}", BUCKET)
UNUSED = {"s3:AbortMultipartUpload"}  # only where an upload fails


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 and IAM server that records what is asked."""
    monkeypatch.chdir(tmp_path)  # where the recording is kept
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "root")
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    check_rights(f"http://{host}:{port}", False)
    server.stop()


def check_rights(server: str, on: bool) -> None:
    """Whether the server refuses what no policy allows."""
    headers = {"Content-Type": "text/plain"}
    body = b"0" if on else b"inf"
    urllib.request.urlopen(urllib.request.Request(f"{server}/moto-api/reset-auth", data=body, headers=headers)).close()


def action(method: str, url: str) -> str:
    """The right that a request needs."""
    parts = urlsplit(url)
    bucket, _, key = parts.path.strip("/").partition("/")
    query = parse_qs(parts.query, keep_blank_values=True)
    assert bucket == BUCKET, url
    if not key:
        assert (method, "delete" in query) in {("GET", False), ("HEAD", False), ("POST", True)}, url
        return "s3:DeleteObject" if method == "POST" else "s3:ListBucket"
    if method == "DELETE":
        return "s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject"
    return "s3:PutObject" if method in ("PUT", "POST") else "s3:GetObject"


def test_the_policy_is_what_a_run_needs(server: str, tmp_path: Path) -> None:
    options = {"endpoint_url": server, "region_name": "us-east-1"}
    iam, s3 = boto3.client("iam", **options), boto3.client("s3", **options)
    iam.create_user(UserName="run")
    iam.put_user_policy(UserName="run", PolicyName="storage", PolicyDocument=POLICY)
    key = iam.create_access_key(UserName="run")["AccessKey"]
    s3.create_bucket(Bucket=BUCKET)
    for i in range(2):
        body = "".join(json.dumps({"id": f"{i}-{n}", "text": "Aspirin against Fever."}) + "\n" for n in range(20))
        s3.put_object(Bucket=BUCKET, Key=f"input/{i}.jsonl", Body=body.encode())
    check_rights(server, True)
    recorder.reset_recording()
    recorder.start_recording()

    keys = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    environment = {**os.environ, **keys, "AWS_ENDPOINT_URL": server, "AWS_REGION": "us-east-1"}
    environment |= {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "RAY_AUTH_MODE": "disabled"}
    job = {"inputs": [f"s3://{BUCKET}/input/"], "output": f"s3://{BUCKET}/entities/pubmed", "documents_per_file": 10}
    program = [sys.executable, str(ROOT / "tests/capital_words.py"), json.dumps(job), "0"]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]

    recorder.stop_recording()
    requests = [json.loads(line) for line in recorder.download_recording().splitlines()]
    used = {action(r["method"], r["url"]) for r in requests}
    given = {a for statement in json.loads(POLICY)["Statement"] for a in statement["Action"]}
    assert used == given - UNUSED
    for r in requests:
        if action(r["method"], r["url"]) in ("s3:PutObject", "s3:DeleteObject"):
            assert re.match(
                rf"/{BUCKET}(/entities/|/?\?delete)", urlsplit(r["url"])._replace(scheme="", netloc="").geturl()
            )

    mine = boto3.client(
        "s3", **options, aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )
    mine.get_object(Bucket=BUCKET, Key="input/0.jsonl")["Body"].read()
    for forbidden in (
        lambda: mine.put_object(Bucket=BUCKET, Key="input/0.jsonl", Body=b""),
        lambda: mine.delete_object(Bucket=BUCKET, Key="input/0.jsonl"),
        lambda: mine.put_object(Bucket=BUCKET, Key="elsewhere/x", Body=b""),
        lambda: mine.create_bucket(Bucket="another"),
        lambda: mine.list_buckets(),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            forbidden()
