// Writes, reads, lists and deletes with the AWS SDK for JavaScript. `tests/it/s3.rs` says where, by the environment.

import assert from "node:assert";
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, writeFileSync } from "node:fs";
import { Readable } from "node:stream";
import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";

const { BUCKET: Bucket, ENDPOINT: endpoint, SCRATCH: scratch } = process.env;
const s3 = new S3Client({ endpoint, region: process.env.AWS_DEFAULT_REGION, forcePathStyle: true, maxAttempts: 1 });
const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
const got = async (Key) => {
    const answer = await s3.send(new GetObjectCommand({ Bucket, Key }));
    return Buffer.from(await answer.Body.transformToByteArray());
};

const small = randomBytes(300_000);
await s3.send(new PutObjectCommand({ Bucket, Key: "buffer ü", Body: small }));
assert.equal(digest(await got("buffer ü")), digest(small));

writeFileSync(`${scratch}/stream`, small);
await s3.send(new PutObjectCommand({ Bucket, Key: "stream", Body: createReadStream(`${scratch}/stream`), ContentLength: small.length }));
assert.equal(digest(await got("stream")), digest(small));

for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "SHA1", "SHA256"]) {
    await s3.send(new PutObjectCommand({ Bucket, Key: "summed", Body: small, ChecksumAlgorithm }));
    assert.equal(digest(await got("summed")), digest(small));
}

const large = randomBytes(12 << 20);
const pieces = Readable.from((function* () { for (let at = 0; at < large.length; at += 100_000) yield large.subarray(at, at + 100_000); })());
await new Upload({ client: s3, params: { Bucket, Key: "large", Body: pieces }, partSize: 5 << 20, queueSize: 2 }).done();
assert.equal(digest(await got("large")), digest(large));

const listed = await s3.send(new ListObjectsV2Command({ Bucket }));
assert.deepEqual(listed.Contents.map((one) => one.Key).sort(), ["buffer ü", "large", "stream", "summed"]);

for (const Key of ["buffer ü", "large", "stream", "summed"]) {
    await s3.send(new DeleteObjectCommand({ Bucket, Key }));
    await assert.rejects(got(Key), { name: "NoSuchKey" });
}
console.log("done");
