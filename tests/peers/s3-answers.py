"""Asks Ceph through the gateway and beside it, and compares the answers. `tests/it/s3.rs` says where, by the environment."""

import os
from datetime import datetime, timedelta, timezone

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

bucket = os.environ["BUCKET"]
config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})


def client(endpoint, **keys):
    return boto3.client("s3", endpoint_url=os.environ[endpoint], config=config, **keys)


through, generous = client("ENDPOINT"), client("GENEROUS")
keys = {name: os.environ["DIRECT_" + name.upper().removeprefix("AWS_")] for name in ["aws_access_key_id", "aws_secret_access_key"]}
beside = client("DIRECT", **keys)

# What differs from one answer to the next, or is of the connection.
volatile = {"date", "connection", "keep-alive", "x-amz-request-id", "x-request-id"}


def answer(s3, operation, how):
    try:
        answer = getattr(s3, operation)(Bucket=bucket, **how)
    except ClientError as error:
        answer = error.response
    meta = answer.pop("ResponseMetadata")
    if "Body" in answer:
        answer["Body"] = answer["Body"].read()
    if "Error" in answer:
        answer = answer["Error"]["Code"]
        meta["HTTPHeaders"].pop("content-length", None)  # the body names the request
    headers = {name: value for name, value in meta["HTTPHeaders"].items() if name not in volatile}
    return meta["HTTPStatusCode"], headers, answer


def same(status, operation, **how):
    expected = answer(beside, operation, how)
    found = answer(through, operation, how)
    assert found == expected, f"{operation} {how}:\n{found}\nis not\n{expected}"
    assert found[0] == status, f"{operation} {how}: {found}"
    return found


def refused(call, code):
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(f"not refused with {code}")


content = os.urandom(100_000)
put = through.put_object(Bucket=bucket, Key="object", Body=content, ContentType="text/x-test", Metadata={"colour": "blue"})
tag = put["ETag"]

# Ranges.
assert same(206, "get_object", Key="object", Range="bytes=5-9")[2]["Body"] == content[5:10]
assert same(206, "get_object", Key="object", Range="bytes=99990-")[2]["Body"] == content[99990:]
assert same(206, "get_object", Key="object", Range="bytes=-7")[2]["Body"] == content[-7:]
assert same(206, "get_object", Key="object", Range="bytes=0-999999")[2]["Body"] == content
same(206, "get_object", Key="object", Range="bytes=0-4,10-14")  # what a server makes of several is its own affair
same(416, "get_object", Key="object", Range="bytes=100000-")
same(206, "head_object", Key="object", Range="bytes=5-9")

# Conditions.
past, future = (datetime.now(timezone.utc) + timedelta(days=days) for days in (-1, 1))
for operation in ["get_object", "head_object"]:
    same(200, operation, Key="object", IfMatch=tag)
    same(412, operation, Key="object", IfMatch='"another"')
    same(304, operation, Key="object", IfNoneMatch=tag)
    same(200, operation, Key="object", IfNoneMatch='"another"')
    same(200, operation, Key="object", IfModifiedSince=past)
    same(304, operation, Key="object", IfModifiedSince=future)
    same(412, operation, Key="object", IfUnmodifiedSince=past)
    same(200, operation, Key="object", IfUnmodifiedSince=future)
same(412, "put_object", Key="object", Body=b"another", IfNoneMatch="*")
assert through.get_object(Bucket=bucket, Key="object")["Body"].read() == content

# Headers by the query.
overridden = same(
    200, "get_object", Key="object", ResponseContentType="text/plain; charset=utf-8", ResponseContentLanguage="de",
    ResponseCacheControl="no-store", ResponseContentDisposition='attachment; filename="a b+c.txt"',
    ResponseContentEncoding="identity", ResponseExpires=future,
)[2]
assert overridden["ContentType"] == "text/plain; charset=utf-8", overridden
assert overridden["ContentDisposition"] == 'attachment; filename="a b+c.txt"', overridden
assert overridden["CacheControl"] == "no-store" and overridden["ContentLanguage"] == "de", overridden

# Versions.
through.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
versions = [through.put_object(Bucket=bucket, Key="versioned", Body=body)["VersionId"] for body in [b"first", b"second"]]
for version, body in zip(versions, [b"first", b"second"]):
    assert same(200, "get_object", Key="versioned", VersionId=version)[2]["Body"] == body
    same(200, "head_object", Key="versioned", VersionId=version)
through.delete_object(Bucket=bucket, Key="versioned")
same(404, "get_object", Key="versioned")
assert len(same(200, "list_object_versions", Prefix="versioned")[2]["Versions"]) == 2
through.delete_object(Bucket=bucket, Key="versioned", VersionId=versions[0])
same(404, "get_object", Key="versioned", VersionId=versions[0])
assert same(200, "get_object", Key="versioned", VersionId=versions[1])[2]["Body"] == b"second"

# Lists, of both kinds, and parts.
for key in ["a/1", "a/2 ü+", "b//3", "c"]:
    through.put_object(Bucket=bucket, Key=key, Body=b"")
for operation in ["list_objects", "list_objects_v2"]:
    for how in [{}, {"Delimiter": "/"}, {"Prefix": "a/"}, {"MaxKeys": 2}, {"Prefix": "b//", "Delimiter": "/"}]:
        same(200, operation, **how)
same(200, "list_objects_v2", StartAfter="a/2 ü+")
upload = through.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
part = through.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=content)
same(200, "list_parts", Key="parts", UploadId=upload)
same(200, "list_multipart_uploads")
parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
through.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)
assert same(200, "get_object", Key="parts")[2]["Body"] == content
same(404, "list_parts", Key="parts", UploadId=upload)

# Copies, where they are allowed and where they are not.
source = {"Bucket": bucket, "Key": "object"}
refused(lambda: through.copy_object(Bucket=bucket, Key="copy", CopySource=source), "AccessDenied")
same(404, "head_object", Key="copy")
generous.copy_object(Bucket=bucket, Key="copy", CopySource=source)
copy = same(200, "get_object", Key="copy")[2]
assert copy["Body"] == content and copy["Metadata"] == {"colour": "blue"}, copy["Metadata"]
old = {"Bucket": bucket, "Key": "versioned", "VersionId": versions[1]}
generous.copy_object(Bucket=bucket, Key="a b+ü", CopySource=old, MetadataDirective="REPLACE", Metadata={"colour": "red"})
copy = same(200, "get_object", Key="a b+ü")[2]
assert copy["Body"] == b"second" and copy["Metadata"] == {"colour": "red"}, copy["Metadata"]
upload = generous.create_multipart_upload(Bucket=bucket, Key="copied")["UploadId"]
how = {"Bucket": bucket, "Key": "copied", "UploadId": upload, "PartNumber": 1, "CopySource": source, "CopySourceRange": "bytes=10-19"}
refused(lambda: through.upload_part_copy(**how), "AccessDenied")
part = generous.upload_part_copy(**how)["CopyPartResult"]
parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
generous.complete_multipart_upload(Bucket=bucket, Key="copied", UploadId=upload, MultipartUpload=parts)
assert same(200, "get_object", Key="copied")[2]["Body"] == content[10:20]

print("done")
