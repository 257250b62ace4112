#!/usr/bin/env bash
# The shared libraries that OpenCV's wheel takes from the system: there already, or installed where that is
# allowed, or named with the line that installs them.
#
#   system-libraries.sh [PYTHON]
set -euo pipefail
python=${1:-python3}

missing() {
  "$python" - <<'PY'
import ctypes
import sys

if sys.platform == "linux":
    for library in ("libGL.so.1", "libgthread-2.0.so.0", "libglib-2.0.so.0"):
        try:
            ctypes.CDLL(library)
        except OSError:
            print(library, end=" ")
PY
}

lacking=$(missing)
[ -z "$lacking" ] && exit 0

# Where libglib2.0-0 has become libglib2.0-0t64, the old name still leads to it.
packages="libgl1 libglib2.0-0"
if ! command -v apt-get >/dev/null; then
  echo "missing system libraries: ${lacking}- install them with the system's package manager (Fedora: dnf install libglvnd-glx glib2)" >&2
  exit 1
fi
root=()
if [ "$(id -u)" != 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    echo "missing system libraries: ${lacking}- install them with: sudo apt-get update && sudo apt-get install -y --no-install-recommends $packages" >&2
    exit 1
  fi
  root=(sudo -n)
fi
echo "installing missing system libraries: $packages"
"${root[@]}" apt-get update -qq
# shellcheck disable=SC2086 # two packages, two words
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
lacking=$(missing)
if [ -n "$lacking" ]; then
  echo "still missing after installing $packages: $lacking" >&2
  exit 1
fi
