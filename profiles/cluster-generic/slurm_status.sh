#!/usr/bin/env bash
# State of a Slurm job for the executor plugin cluster-generic: prints running, success or failed. Works without
# accounting: a job is known to the controller for MinJobAge seconds (300 by default) after its end.
set -uo pipefail
if ! said=$(timeout 30 squeue --noheader --states=all --format=%T --jobs="$1" 2>&1); then
  case $said in
    *"Invalid job id"*) said=GONE ;;
    *) said=UNANSWERED ;;
  esac
fi
case $said in
  COMPLETED) echo success ;;
  PENDING | RUNNING | COMPLETING | CONFIGURING | SUSPENDED | REQUEUED | STAGE_OUT | UNANSWERED) echo running ;;
  *) echo failed ;;
esac
