#!/bin/sh
# Measure one published architecture at full size on the GPU of this machine:
#   measure.sh <folder in data/models/published> <eager|compiled>
# Needs no DVC. Where outputs are 2 and 12 tokens long, decoder blocks and experts are what the
# compiled steps depend on; each state of them compiles for a minute or two.
set -eu
model=$1
runtime=$2
shift 2
case $model in
  llava-1.5-7b)
    set -- --set knobs.vision_tokens=[576,144] --set knobs.top_k=null \
      --set knobs.active_blocks=null --set model.autotune=true \
      --set profile.e1_requests.qa=150 "$@" ;;
  llava-olmoe-1b-7b)
    set -- --set knobs.vision_tokens=[576,144] --set knobs.top_k=[8,2] \
      --set knobs.active_blocks=[16,8] "$@" ;;
  qwen3-vl-30b-a3b)
    set -- --set knobs.vision_tokens=[256,64] --set knobs.top_k=[8,2] \
      --set knobs.active_blocks=null --set profile.observer_requests.qa=10 \
      --set profile.observer_requests.captioning=10 "$@" ;;
esac
exec python3 -m stages.profiling --params data/runs/h200/params.yaml \
  --requests data/runs/h200/prepared --out "data/runs/h200/profile/$model-$runtime" \
  --set "model.source=data/models/published/$model" --set "model.runtime=$runtime" "$@"
