#!/bin/sh
# Make an image with curl, and save it.
#
#   export GETIMG_AI_BASE_URL=http://127.0.0.1:8484 GETIMG_API_KEY=sk_...
#   sh image.sh
set -eu

answer=$(
    curl --silent --show-error --fail-with-body "$GETIMG_AI_BASE_URL/v2/images/generations" \
        --header "Authorization: Bearer $GETIMG_API_KEY" \
        --header "Content-Type: application/json" \
        --data '{"model": "seedream-5-lite", "prompt": "a lighthouse in a storm, ink", "resolution": "1K", "output_format": "webp"}'
) || {
    echo "$answer" >&2
    exit 1
}
echo "$answer"

# Without jq: what follows "url" in the answer. The link is signed and needs no key.
url=$(echo "$answer" | sed 's/.*"url": *"\([^"]*\)".*/\1/')
curl --silent --show-error --fail --output image.webp "$url"
