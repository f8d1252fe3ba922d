"""Writes, reads, lists and deletes with boto3. `tests/it/s3.rs` says where, by the environment."""

import hashlib
import os
import socket
import ssl
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

bucket = os.environ["BUCKET"]
complete = os.environ["STORAGE"] == "ceph"  # files have neither conditions nor all keys
style = os.environ.get("STYLE", "path")
config = Config(signature_version="s3v4", s3={"addressing_style": style}, retries={"total_max_attempts": 1})
s3 = boto3.client("s3", endpoint_url=os.environ["ENDPOINT"], config=config)

if style == "virtual":  # not every resolver knows what is below `localhost`
    known = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *more, **how: known("localhost" if host == f"{bucket}.localhost" else host, *more, **how)
    sent = []
    s3.meta.events.register("before-send.s3", lambda request, **_: sent.append(request.url))


def digest(content):
    return hashlib.sha256(content).hexdigest()


def got(key, **how):
    return s3.get_object(Bucket=bucket, Key=key, **how)["Body"].read()


def refused(call, code):
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(f"not refused with {code}")


small = os.urandom(100_000)
s3.put_object(Bucket=bucket, Key="small", Body=small, ContentType="text/x-test", Metadata={"colour": "deep blue"})
answer = s3.get_object(Bucket=bucket, Key="small")
assert answer["Body"].read() == small
assert answer["ContentType"] == "text/x-test" and answer["Metadata"] == {"colour": "deep blue"}, answer

s3.put_object(Bucket=bucket, Key="empty", Body=b"")
assert got("empty") == b""

for algorithm in ["CRC32", "SHA1", "SHA256"]:
    s3.put_object(Bucket=bucket, Key="summed", Body=small, ChecksumAlgorithm=algorithm)
    assert got("summed") == small

large = os.urandom(20 << 20)
with open(os.environ["SCRATCH"] + "/large", "wb") as file:
    file.write(large)
transfer = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=3)
s3.upload_file(os.environ["SCRATCH"] + "/large", bucket, "large", Config=transfer)
s3.download_file(bucket, "large", os.environ["SCRATCH"] + "/back", Config=transfer)
with open(os.environ["SCRATCH"] + "/back", "rb") as file:
    assert digest(file.read()) == digest(large)

assert got("large", Range="bytes=5-9") == large[5:10]
assert got("large", Range="bytes=20971500-") == large[20971500:]
assert got("large", Range="bytes=-7") == large[-7:]
refused(lambda: got("large", Range="bytes=99999999-"), "InvalidRange")

head = s3.head_object(Bucket=bucket, Key="large")
assert head["ContentLength"] == len(large), head
if complete:
    refused(lambda: got("large", IfMatch='"another"'), "PreconditionFailed")
    refused(lambda: got("large", IfNoneMatch=head["ETag"]), "304")
refused(lambda: got("none"), "NoSuchKey")
assert got("large", ResponseContentType="text/plain") == large

keys = ["a b", "a+b", "a%2Fb", "ü/é", "~tilde*", "quote'\"<&>", "x=1&y=2?z#w"]
if complete:
    keys += ["a//b", "./dot", "trailing/", "k" * 1024, "new\nline", "//"]
for key in keys:
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert got(key) == key.encode(), key

listed = [one["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 3})
          for one in page.get("Contents", [])]
missing = set(keys) - set(listed)
assert not missing or not complete, (missing, listed)  # the other says that it encodes keys, and does not
assert s3.list_objects(Bucket=bucket, Prefix="a ")["Contents"][0]["Key"] == "a b"

for key in keys:
    s3.delete_object(Bucket=bucket, Key=key)
    refused(lambda: got(key), "NoSuchKey")

trusted = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "small"}, ExpiresIn=60)
with urllib.request.urlopen(url, context=trusted if url.startswith("https") else None) as answer:
    assert answer.read() == small

s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "small"}, {"Key": "large"}, {"Key": "empty"}, {"Key": "summed"}]})
refused(lambda: got("large"), "NoSuchKey")
if style == "virtual":
    assert all(f"//{bucket}.localhost:" in url for url in sent), sent
print("done")
