#!/usr/bin/env bash
# Copies and syncs with awscli. `tests/it/s3.rs` says where, by the environment.
set -euo pipefail
aws() { "$PEERS/python/bin/aws" --endpoint-url "$ENDPOINT" "$@"; }
export AWS_MAX_ATTEMPTS=1 AWS_CONFIG_FILE=$SCRATCH/config

name=small+1
[ "$STORAGE" = ceph ] || name=small-1 # the other says that it encodes keys in lists, and does not

mkdir -p "$SCRATCH/out/deep er"
head -c 12000000 /dev/urandom >"$SCRATCH/out/large"
head -c 1000 /dev/urandom >"$SCRATCH/out/deep er/$name"
: >"$SCRATCH/out/empty"

aws s3 cp --quiet "$SCRATCH/out/large" "s3://$BUCKET/one"
aws s3 cp --quiet "s3://$BUCKET/one" "$SCRATCH/one"
cmp "$SCRATCH/out/large" "$SCRATCH/one"
head -c 3000000 "$SCRATCH/one" | aws s3 cp --quiet - "s3://$BUCKET/piped"
aws s3 cp --quiet "s3://$BUCKET/piped" - | cmp - <(head -c 3000000 "$SCRATCH/one")

aws s3 sync --quiet "$SCRATCH/out" "s3://$BUCKET/tree"
aws s3 sync --quiet "s3://$BUCKET/tree" "$SCRATCH/in"
diff -r "$SCRATCH/out" "$SCRATCH/in"
aws s3 ls --recursive "s3://$BUCKET/tree/" | grep -F "deep er/$name" >/dev/null
[ -z "$(aws s3 sync "$SCRATCH/out" "s3://$BUCKET/tree")" ]

aws s3 rm --quiet --recursive "s3://$BUCKET/"
[ -z "$(aws s3 ls --recursive "s3://$BUCKET/")" ]
echo done
