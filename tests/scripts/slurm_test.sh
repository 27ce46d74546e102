#!/usr/bin/env bash
# Tests scripts/slurm.sbatch with a stand-in for srun, which starts the tasks of one host with Slurm's variables.
set -euo pipefail
batch=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/scripts/slurm.sbatch
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "FAILED: $1"; exit 1; }

# Like srun with --kill-on-bad-exit=1: the exit code is that of the first task that fails.
cat > srun << 'STANDIN'
#!/usr/bin/env bash
while [[ $1 == --* ]]; do echo "$1" >> options; shift; done
for ((task = 0; task < 2; ++task)); do
  SLURM_PROCID=$task SLURM_LOCALID=$task SLURM_STEP_NUM_TASKS=2 SLURM_STEP_TASKS_PER_NODE=2 \
    SLURM_STEP_NODELIST=localhost SLURM_JOB_ID=7 "$@" &
  tasks+=($!)
done
code=0
for task in "${tasks[@]}"; do wait "$task" || code=$?; done
exit $code
STANDIN
cat > trainer << 'STANDIN'
#!/usr/bin/env bash
printf '%s of %s on %s:' "$SLURM_PROCID" "$SLURM_STEP_NUM_TASKS" "$SLURM_STEP_NODELIST" > "task$SLURM_PROCID"
printf ' <%s>' "$@" >> "task$SLURM_PROCID"
[[ $* != *fail* || $SLURM_PROCID == 0 ]] || exit 3
STANDIN
chmod +x srun trainer

PATH=$work:$PATH TRAINYARD=$work/trainer bash "$batch" --config "a b.toml" --train.epochs 2
for task in 0 1; do
  expected="$task of 2 on localhost: <train> <--config> <a b.toml> <--train.epochs> <2>"
  [[ $(cat "task$task") == "$expected" ]] || fail "task $task got: $(cat "task$task")"
done
grep -qx -- --kill-on-bad-exit=1 options || fail "the tasks would wait for one that failed"

status=0
PATH=$work:$PATH TRAINYARD=$work/trainer bash "$batch" fail || status=$?
[[ $status == 3 ]] || fail "exit code $status, not that of the task"
echo passed
