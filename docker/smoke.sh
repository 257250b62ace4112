#!/usr/bin/env bash
# Builds the CPU image, brings it up as compose.yaml says, posts a landmark file and a video to it, stops it.
# Exits 1 where anything is not as it should be; leaves nothing but the image and the build cache.
#
#   docker/smoke.sh [VIDEO]     default: a clip of ../shared/data/clips
set -euo pipefail
cd "$(dirname "$0")/.."
clip=${1:-../shared/data/clips/asl_book.mkv}
[ -f "$clip" ] || { echo "no $clip: say which video of a person to post: docker/smoke.sh VIDEO" >&2; exit 1; }
docker compose version >/dev/null || { echo "this needs a running Docker engine with compose" >&2; exit 1; }

export HOST=127.0.0.1 PORT=${PORT:-0}
compose() { timeout 1200 docker compose -p signstream-smoke -f docker/compose.yaml "$@"; }
scratch=$(mktemp -d)
finish() {
  status=$?
  [ $status = 0 ] || compose logs --tail 40 serve >&2 || true
  compose down --volumes --timeout 15 >/dev/null 2>&1 || true
  rm -rf "$scratch"
  exit $status
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
inside() { compose exec -T serve "$@"; }

compose build --quiet serve
echo "image: $(docker image inspect -f '{{.Size}}' signstream:cpu | awk '{printf "%.0f MB", $1 / 1e6}')"

started=$SECONDS
compose up --detach --wait --wait-timeout 120 serve
at=$(compose port serve 8000)
echo "healthy after $((SECONDS - started)) s at $at"
echo "ready: $(curl -sS --fail --max-time 5 "http://$at/readyz")"

user=$(inside id -u)
[ "$user" != 0 ] || fail "the service runs as root"
echo "user: $user"
inside python -c 'import importlib.util, sys; sys.exit(any(map(importlib.util.find_spec, ("torch", "jax"))))' || fail "the image has torch or jax"
if inside sh -c 'awk "\$2 == \"/\" {print \$4}" /proc/mounts' | grep -qw rw; then fail "the root filesystem can be written"; fi

# What the image's own extraction makes of the clip is the landmark file.
inside sh -c 'cat >/tmp/clip && python -m landmarks extract /tmp/clip --out /tmp >/dev/null 2>&1 && cat /tmp/clip.npz && rm /tmp/clip /tmp/clip.npz' \
  <"$clip" >"$scratch/landmarks.npz" || fail "no landmarks could be extracted in the image"
files=("$scratch/landmarks.npz" "$clip")
pose=../shared/data/pose/mediapipe.pose # another library reads it
[ ! -f "$pose" ] || files+=("$pose")
for file in "${files[@]}"; do
  status=$(curl -sS --max-time 120 -o "$scratch/answer.json" -w '%{http_code}' --data-binary "@$file" \
    -H 'Content-Type: application/octet-stream' "http://$at/v1/clips")
  [ "$status" = 200 ] || fail "$(basename "$file") was answered with $status: $(cat "$scratch/answer.json")"
  python3 - "$(basename "$file")" "$scratch/answer.json" <<'PY' || fail "the answer to $(basename "$file") is not what docs/protocol.md says"
import json
import sys

name, path = sys.argv[1:]
with open(path) as file:
    answer = json.load(file)
assert answer["media"]["frames"] > 0 and answer["models"]
for model, found in answer["models"].items():
    assert found["windows"], model
    print(f"{name}: {model}: {len(found['windows'])} windows, {len(found['segments'])} segments")
PY
done
curl -sS --fail --max-time 5 -o "$scratch/page.html" "http://$at/" || fail "the page is not in the image"

container=$(compose ps --quiet serve)
started=$SECONDS
compose stop serve 2>/dev/null
code=$(docker inspect -f '{{.State.ExitCode}}' "$container")
[ "$code" = 0 ] || [ "$code" = 143 ] || fail "stopped with exit code $code (137: killed, because it did not stop in time)"
echo "stopped in $((SECONDS - started)) s, exit code $code"
