#!/bin/sh
# Installs Tidewaiter into a folder of its own: what the Dockerfile runs, and what tests/image tries without Docker.
#
#   image/install.sh PYTHON SOURCE TARGET
#
# Every package is checked against the hashes in requirements*.txt, and none is built from source but ours.
set -eu

python=$1
source=$(cd "$2" && pwd)
target=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore

# Tools live apart, so that the target holds only what runs: no pip, no build backend.
"$python" -m venv "$work/tools"
tools=$work/tools/bin/python
"$tools" -m pip install --quiet --require-hashes --only-binary :all: -r "$source/requirements-build.txt"
"$tools" -m pip wheel --quiet --no-build-isolation --no-deps --no-index --wheel-dir "$work/wheel" "$source"

"$python" -m venv --without-pip "$target"
"$tools" -m pip --python "$target/bin/python" install --quiet --no-compile \
  --require-hashes --only-binary :all: -r "$source/requirements.txt"
"$tools" -m pip --python "$target/bin/python" install --quiet --no-compile --no-deps --no-index "$work"/wheel/*.whl

# Files never change in an image: nothing has to compare their times, which copying may lose.
"$target/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$target/lib"
"$tools" "$source/image/sbom.py" "$target"
