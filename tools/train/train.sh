#!/bin/sh
# Makes models/tern-stories.gguf and its greedy reference from scratch:
#   TERN_CORPUS=DIRECTORY tools/train/train.sh [MINUTES]
# Intermediate files go to ${TERN_WORK:-/tmp/tern-train}; run it again to resume an interrupted training.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
models=$here/../../models
work=${TERN_WORK:-/tmp/tern-train}
python=${PYTHON:-/usr/bin/python3}

# Keep freed memory in the process: by default every large tensor is mapped, page-faulted and unmapped anew.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 MALLOC_TOP_PAD_=1000000000
export OMP_WAIT_POLICY=passive

nice -n 19 "$python" "$here/train.py" --work "$work" --minutes "${1:-98}"
"$python" "$here/export.py" --work "$work" "$models/tern-stories.gguf"
"$python" "$here/generate.py" "$models/tern-stories.gguf" >"$models/tern-stories.greedy.jsonl"
"$python" "$here/evaluate.py" "$models/tern-stories.gguf" --work "$work"
