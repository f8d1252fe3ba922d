#!/usr/bin/env bash
# Copies, checks and deletes with rclone. `tests/it/s3.rs` says where, by the environment.
set -euo pipefail
export RCLONE_CONFIG=$SCRATCH/rclone.conf RCLONE_CONFIG_AT_TYPE=s3 RCLONE_CONFIG_AT_PROVIDER=Other
export RCLONE_CONFIG_AT_ENDPOINT=$ENDPOINT RCLONE_CONFIG_AT_REGION=$AWS_DEFAULT_REGION
export RCLONE_CONFIG_AT_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID RCLONE_CONFIG_AT_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY
export RCLONE_S3_CHUNK_SIZE=5M RCLONE_S3_UPLOAD_CUTOFF=8M RCLONE_S3_NO_CHECK_BUCKET=true
export RCLONE_RETRIES=1 RCLONE_LOW_LEVEL_RETRIES=1 RCLONE_CA_CERT=${AWS_CA_BUNDLE:-}
unset AWS_CA_BUNDLE # not for its transport
: >"$RCLONE_CONFIG"

name=small+1
[ "$STORAGE" = ceph ] || name=small-1 # the other's lists are not what they say

mkdir -p "$SCRATCH/out/deep er"
head -c 12000000 /dev/urandom >"$SCRATCH/out/large"
head -c 1000 /dev/urandom >"$SCRATCH/out/deep er/$name"
rclone copy "$SCRATCH/out" "at:$BUCKET/tree"
rclone check --download "$SCRATCH/out" "at:$BUCKET/tree" 2>/dev/null
rclone copy "at:$BUCKET/tree" "$SCRATCH/in"
diff -r "$SCRATCH/out" "$SCRATCH/in"
[ "$STORAGE" != ceph ] || [ "$(rclone lsf -R --files-only "at:$BUCKET" | wc -l)" = 2 ]
rclone delete "at:$BUCKET/tree"
[ "$STORAGE" != ceph ] || [ -z "$(rclone lsf -R --files-only "at:$BUCKET")" ]
echo done
