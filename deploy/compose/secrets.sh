#!/bin/sh
# Secrets of the cluster, made once, into .env beside this file, which compose reads.
set -eu
cd "$(dirname "$0")"
if [ -e .env ]; then
    echo "There is deploy/compose/.env already: nothing is changed." >&2
    exit 1
fi
umask 077
cat > .env <<END
POSTGRES_PASSWORD=$(openssl rand -hex 16)
S3_SECRET_KEY=$(openssl rand -hex 16)
SAFELIGHT_SIGNING_KEYS=k1:$(openssl rand -hex 32)
END
echo "Written: deploy/compose/.env"
