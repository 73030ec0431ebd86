# lie.sh NAME: makes a copy of $OUT/cache that lies in one way.
set -e
cp -r "$OUT/cache" "$1"
cd "$1"
manifest=$(jq -r '.manifests[0].digest[7:]' index.json)
config=$(jq -r '.config.digest[7:]' blobs/sha256/$manifest)
layers=$(jq -r '.layers[].digest[7:]' blobs/sha256/$manifest)

# Changes the document with a jq program, or to other text, and all digests above it.
reseal() {
    if [ "$1" = text ]; then echo "$2" > new; else jq -c "$1" blobs/sha256/$config > new; fi
    digest=$(sha256sum < new | cut -c-64)
    jq --arg d "sha256:$digest" --argjson s "$(wc -c < new)" '.config.digest = $d | .config.size = $s' blobs/sha256/$manifest > above
    mv new blobs/sha256/$digest
    digest=$(sha256sum < above | cut -c-64)
    jq --arg d "sha256:$digest" --argjson s "$(wc -c < above)" '.manifests[0].digest = $d | .manifests[0].size = $s' index.json > top
    mv above blobs/sha256/$digest
    mv top index.json
}

case $1 in
    flipped)
        for layer in $layers; do
            byte=$(od -An -tu1 -j30 -N1 blobs/sha256/$layer)
            printf "\\$(printf %o $((byte ^ 1)))" | dd of=blobs/sha256/$layer bs=1 seek=30 conv=notrunc status=none
        done ;;
    truncated) for layer in $layers; do truncate -s -7 blobs/sha256/$layer; done ;;
    longer) for layer in $layers; do echo more >> blobs/sha256/$layer; done ;;
    gone) for layer in $layers; do rm blobs/sha256/$layer; done ;;
    one-gone) rm blobs/sha256/$(jq -r '.layers[] | select(.name | contains("/made > /end")) | .blob.digest[7:]' blobs/sha256/$config) ;;
    diff-id) reseal '.layers[].diffId = "sha256:" + "0" * 64' ;;
    type) reseal '.layers[].blob.mediaType = "text/html"' ;;
    # Nobody but an image may say what such a layer is.
    chain-id) reseal '.layers[].id = "0" * 64' ;;
    path) reseal '.layers[0].id = "../../../../../../tmp/layer/of/a/step"' ;;
    key) reseal '.layers[].keys = ["x"]' ;;
    # The last step's layer is found by another Dockerfile's key too.
    other-key)
        other=$(jq -r '.manifests[0].digest[7:]' "$OUT/other/index.json")
        other=$(jq -r '.config.digest[7:]' "$OUT/other/blobs/sha256/$other")
        keys=$(jq -c '[.layers[].keys[]]' "$OUT/other/blobs/sha256/$other")
        reseal "(.layers[] | select(.name | contains(\"/made > /end\")) | .keys) += $keys" ;;
    garbage) reseal text '{"layers": [' ;;
    other) reseal text '{"records": []}' ;;
    damaged) echo >> blobs/sha256/$config ;;
    no-document) rm blobs/sha256/$config ;;
    index) echo '[' > index.json ;;
esac
