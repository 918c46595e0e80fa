#!/bin/sh
# Make metrics/h200/<run> and plots/h200/<run> again, on any machine, from the rows that are in git:
#   analyse.sh [<run in profile/> ...]
# No DVC pipeline, since DVC would miss what the GPU started from in every clone.
set -eu
here=data/runs/h200
params=$here/params.yaml
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
trap 'exit 1' HUP INT TERM

if [ $# -eq 0 ]; then
  set -- $(ls "$here/profile")
fi
for workload in qa captioning; do
  python -m stages.prepare --workload $workload --params $params --out "$made/requests/$workload"
done
# Weights are random: this says that there are no answers, and why.
python -m stages.answers --params $params --requests "$made/requests" --out "$made/answers"

for run in "$@"; do
  profile=$here/profile/$run
  for workload in qa captioning; do
    python -m stages.pareto --workload $workload --params $params \
      --requests "$made/requests/$workload/requests.json" \
      --profile "$profile" --answers "$made/answers" --scores "$made/scores/$run/$workload.parquet" \
      --out "metrics/h200/$run/e2_pareto_$workload.json" \
      --plot "plots/h200/$run/data/frontier_$workload.json"
  done
  python -m stages.contrast --params $params \
    --rows "$profile/rows.parquet" --run "$profile/run.json" \
    --scores "$made/scores/$run" --frontiers "metrics/h200/$run" \
    --out "metrics/h200/$run" --plots "plots/h200/$run/data"
  python -m stages.figures --contrast "metrics/h200/$run/m1_workload_contrast.json" \
    --cdf "plots/h200/$run/data/latency_cdf.json" --out "plots/h200/$run/figures"
done
