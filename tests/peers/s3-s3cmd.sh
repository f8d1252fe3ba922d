#!/usr/bin/env bash
# Puts, gets, lists and deletes with s3cmd. `tests/it/s3.rs` says where, by the environment.
set -euo pipefail
host=${ENDPOINT#*://}
secure=--no-ssl
[ "${ENDPOINT%%:*}" = http ] || secure="--ssl --ca-certs=$AWS_CA_BUNDLE"
: >"$SCRATCH/s3cfg"
# shellcheck disable=SC2086 # one or two words
s3() {
    s3cmd --config "$SCRATCH/s3cfg" --host "$host" --host-bucket "$host" $secure --no-progress \
        --region "$AWS_DEFAULT_REGION" --access_key "$AWS_ACCESS_KEY_ID" --secret_key "$AWS_SECRET_ACCESS_KEY" "$@"
}

head -c 12000000 /dev/urandom >"$SCRATCH/large"
head -c 1000 /dev/urandom >"$SCRATCH/small"
s3 --quiet put "$SCRATCH/small" "s3://$BUCKET/a b+c"
s3 --quiet get "s3://$BUCKET/a b+c" "$SCRATCH/small.back"
cmp "$SCRATCH/small" "$SCRATCH/small.back"
s3 --quiet --multipart-chunk-size-mb 5 put "$SCRATCH/large" "s3://$BUCKET/large"
s3 --quiet get "s3://$BUCKET/large" "$SCRATCH/large.back"
cmp "$SCRATCH/large" "$SCRATCH/large.back"
[ "$(s3 ls "s3://$BUCKET" | wc -l)" = 2 ]
s3 --quiet del "s3://$BUCKET/a b+c" "s3://$BUCKET/large"
[ -z "$(s3 ls "s3://$BUCKET")" ]
echo done
