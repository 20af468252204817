#!/usr/bin/env bash
# Start the nightly RayJob, made from the baseline's, and wait for its end: as long as this runs, the CronJob's Forbid
# keeps the next night from starting beside it, and its success is the night's.
set -euo pipefail
: "${BASELINE:?name of the RayJob to copy}" "${PATCH:?file with what differs at night}"

job=$(kubectl get rayjob "$BASELINE" --output json |
    kubectl patch --local --filename - --type merge --patch-file "$PATCH" --output json |
    kubectl create --filename - --output name)
echo "started $job"
while true; do
    # A question that the server does not answer is asked again; the CronJob's deadline ends it.
    state=$(kubectl get "$job" --output 'jsonpath={.status.jobDeploymentStatus} {.status.jobStatus}' || true)
    case $state in
        'Complete SUCCEEDED') echo "$job is done"; exit 0 ;;
        Complete\ * | Failed*) echo "$job has failed: $state" >&2; exit 1 ;;
    esac
    sleep "${POLL_SECONDS:-30}"
done
