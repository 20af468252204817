#!/usr/bin/env bash
# All that a card can be asked, in one command; tables on standard output, figures as JSON in OUT.
#
#   tests/benchmarks/gpu.sh CORPORA OUT
#
# CORPORA holds <corpus>/dev.jsonl; QUICK=1 tries the script itself in minutes, on a CPU, too. It needs vLLM and no network.
set -euo pipefail
corpora=$1 out=$2
python=${PYTHON:-python3}
here=$(dirname "${BASH_SOURCE[0]}")
mkdir -p "$out"

if [[ ${QUICK:-} ]]; then
  sentences=6 requests=1,4 methods=plain,copy shapes=(tiny) rows=4
else
  sentences=900 requests=1,32,256,1024 methods=plain,copy,ngram,ngram_gpu shapes=(4b 9b) rows=64,256,512
fi

# The local engine, by the sentences that it decodes together.
"$python" "$here/decoding.py" --data "$corpora" --sentences "$sentences" --rows "$rows" --json "$out/decoding.json"

# vLLM: the embedded model, then random weights of larger shapes. A method that fails on this card must not cost the rest.
failed=()
for shape in embedded "${shapes[@]}"; do
  for method in ${methods//,/ }; do
    for cache in on off; do
      name=$shape-$method-$cache
      options=(--requests "$requests" --methods "$method" --caches "$cache" --grammars on --json "$out/vllm-$name.json")
      [[ $shape == embedded ]] || options+=(--shape "$shape")
      "$python" "$here/vllm.py" "${options[@]}" || failed+=("$name")
    done
  done
done
if ((${#failed[@]})); then
  echo "failed: ${failed[*]}" >&2
  exit 1
fi
