#!/usr/bin/env bash
# One task of a Slurm array for each shard, without Ray:
#
#   sbatch --array=1-$(($(wc -l <shards.jsonl) - 1)) slurm.sh shards.jsonl /nfs/parts
#
# Given again it makes what is missing; whole parts end at once. Then: salamander merge PROJECT /nfs/parts
#SBATCH --job-name=salamander
#SBATCH --array=1-1
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --requeue
set -euo pipefail
shards=${1:?usage: sbatch --array=1-N slurm.sh SHARDS OUT}
out=${2:?usage: sbatch --array=1-N slurm.sh SHARDS OUT}
exec salamander work --shard "$shards:$SLURM_ARRAY_TASK_ID" --out "$out" --threads "$SLURM_CPUS_PER_TASK"
