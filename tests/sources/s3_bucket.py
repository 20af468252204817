"""A bucket on a real S3 API over HTTP."""

import urllib.request

import boto3


class S3:
    """A bucket on a real S3 API."""

    def __init__(self, endpoint: str, bucket: str) -> None:
        self.endpoint = endpoint
        self.bucket = bucket
        self.client = boto3.client("s3")
        self.client.create_bucket(Bucket=bucket)

    def put(self, key: str, body: bytes) -> str:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def require_permission(self, *, required: bool = True) -> None:
        """Refuse requests of unknown users, which all are."""
        self._control("reset-auth", b"0" if required else b"inf")

    def close(self) -> None:
        self.require_permission(required=False)
        self._control("reset", b"")

    def _control(self, action: str, body: bytes) -> None:
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.endpoint}/moto-api/{action}", data=body, headers=headers)
        urllib.request.urlopen(request).close()
