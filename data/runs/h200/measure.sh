#!/bin/sh
# Measure one published architecture at full size on the GPU of this machine:
#   measure.sh <folder in data/models/published> <eager|compiled>
# Needs no DVC. Each state of blocks and experts compiles for about a minute; eager launches are
# slow, so fewer requests are made of them.
set -eu
model=$1
runtime=$2
shift 2
sizes() {
  for workload in qa captioning; do
    echo "--set profile.e1_requests.$workload=$1 --set profile.e2_requests.$workload=$2" \
      "--set profile.observer_requests.$workload=$3"
  done
}
case $model in
  llava-1.5-7b)
    set -- --set knobs.vision_tokens=[576,144] --set knobs.top_k=null \
      --set knobs.active_blocks=[32,16] --set model.autotune=true "$@" ;;
  llava-olmoe-1b-7b)
    set -- --set knobs.vision_tokens=[576,144] --set knobs.top_k=[8,2] \
      --set knobs.active_blocks=[16,8] "$@" ;;
  qwen3-vl-30b-a3b)
    set -- --set knobs.vision_tokens=[256,64] --set knobs.top_k=[8,2] \
      --set knobs.active_blocks=[48,24] $(sizes 100 30 30) "$@" ;;
esac
if [ "$runtime" = eager ]; then
  set -- "$@" $(sizes 60 20 20)
fi
exec python3 -m stages.profiling --params data/runs/h200/params.yaml \
  --requests data/runs/h200/prepared --out "data/runs/h200/profile/$model-$runtime" \
  --set "model.source=data/models/published/$model" --set "model.runtime=$runtime" "$@"
