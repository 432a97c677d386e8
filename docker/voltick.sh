#!/usr/bin/env bash
# Voltick in containers, by Compose or on a local cluster.
#
#   docker/voltick.sh [--cluster] [--full] [--overlay NAME] [--yes] COMMAND [SERVICE ...]
#
#   up              build the image, start what is missing, wait until it answers
#   update SERVICE  build the image anew and replace this service alone
#   pause, resume   hold services still, and let them go on where they were
#   stop            end all processes; data stay, and `up` goes on with them
#   delete          end all of it and delete its data; asks first, unless --yes
#   status          what runs, and how well
#   logs            the newest lines, and those to come
#   repair          start anew what is unhealthy or has ended
#   port-forward    the addresses on this machine
#
#   --cluster   the cluster of kubectl's context instead of Compose
#   --full      up, repair: not the core alone (Compose)
#   --overlay   of docker/kubernetes/overlays: local unless another is named
#
# Needs docker with its compose plugin, or kubectl.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
namespace=voltick
forwarded=(api:8000 grafana:3000 prometheus:9090 mlflow:5001 kafka-ui:8080)
cluster=false full=false yes=false overlay=local context=""

usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
fail() { echo "voltick: $*" >&2; exit 2; }

compose() { docker compose -f "$here/compose.yaml" "$@"; }
# All profiles: what was started by another one is meant, too.
compose_all() { compose --profile full --profile alerts "$@"; }
on_cluster() { kubectl --namespace "$namespace" "$@"; }
built() { docker build -f "$here/Dockerfile" -t voltick:local "$here/.."; }

confirmed() {
  "$yes" && return
  read -r -p "Delete Voltick with its log, models and archive${context:+ from $context}? Type yes: " answer
  [ "$answer" = yes ] || fail "nothing was deleted"
}

# A local cluster does not see the images of this machine's engine.
load_image() {
  case "$context" in
    kind-*) kind load docker-image voltick:local --name "${context#kind-}" ;;
    minikube) minikube image load voltick:local ;;
    k3d-*) k3d image import voltick:local --cluster "${context#k3d-}" ;;
  esac
}

# Names of Deployments: those that were asked for, or all.
deployments() {
  if [ $# -gt 0 ]; then printf 'deployment/%s\n' "$@"; else on_cluster get deployments --output name; fi
}

# As many pods as before a pause are remembered where they are asked for.
scale_down() {
  local each count
  for each in "$@"; do
    count="$(on_cluster get "$each" --output 'jsonpath={.spec.replicas}')"
    [ "$count" = 0 ] && continue
    on_cluster annotate "$each" --overwrite "voltick.io/replicas=$count"
    on_cluster scale "$each" --replicas 0
  done
}

scale_up() {
  local each count
  for each in "$@"; do
    count="$(on_cluster get "$each" --output 'jsonpath={.metadata.annotations.voltick\.io/replicas}')"
    [ -z "$count" ] || on_cluster scale "$each" --replicas "$count"
  done
}

suspend_trainings() {
  local each
  for each in $(on_cluster get cronjobs --output name); do
    on_cluster patch "$each" --patch "{\"spec\":{\"suspend\":$1}}"
  done
}

compose_up() {
  if "$full"; then compose --profile full up --build --detach --wait "$@"
  else compose up --build --detach --wait "$@"; fi
}
compose_update() {
  [ $# -eq 1 ] || fail "update takes one service"
  compose_all build "$1"
  compose_all up --detach --wait --no-deps "$1"
}
compose_pause() { compose_all pause "$@"; }
compose_resume() { compose_all unpause "$@"; }
compose_stop() { compose_all stop "$@"; }
compose_delete() { confirmed; compose_all down --volumes --remove-orphans; }
compose_status() { compose_all ps --all "$@"; }
compose_logs() { compose_all logs --tail 200 --follow "$@"; }
compose_repair() {
  local ill
  ill="$(docker ps --filter health=unhealthy --filter label=com.docker.compose.project=voltick --quiet)"
  # shellcheck disable=SC2086 # ids without blanks, one or several
  [ -z "$ill" ] || docker restart $ill
  if "$full"; then compose --profile full up --detach --wait --no-build
  else compose up --detach --wait --no-build; fi
}
compose_port_forward() {
  echo "published on the loopback interface, as far as they run:"
  printf 'http://127.0.0.1:%s\n' "${forwarded[@]#*:}"
}

# shellcheck disable=SC2046 # names without blanks, one or several
cluster_up() {
  if [ "$overlay" = local ]; then built; load_image; fi
  kubectl apply --kustomize "$here/kubernetes/overlays/$overlay"
  scale_up $(deployments) $(on_cluster get statefulsets --output name)
  suspend_trainings false
  on_cluster wait --for condition=Available --timeout 10m $(deployments)
}
cluster_update() {
  [ $# -eq 1 ] || fail "update takes one service"
  if [ "$overlay" = local ]; then built; load_image; fi
  on_cluster rollout restart "deployment/$1"
  on_cluster rollout status "deployment/$1" --timeout 10m
}
# shellcheck disable=SC2046
cluster_pause() { scale_down $(deployments "$@"); }
# shellcheck disable=SC2046
cluster_resume() { scale_up $(deployments "$@"); }
# shellcheck disable=SC2046
cluster_stop() {
  if [ $# -gt 0 ]; then cluster_pause "$@"; return; fi
  suspend_trainings true
  scale_down $(deployments) $(on_cluster get statefulsets --output name)
}
cluster_delete() { confirmed; kubectl delete --kustomize "$here/kubernetes/overlays/$overlay"; }
cluster_status() { on_cluster get deployments,statefulsets,cronjobs,horizontalpodautoscalers,pods; }
cluster_logs() {
  local which="app.kubernetes.io/part-of=voltick"
  [ $# -eq 0 ] || which="app.kubernetes.io/name=$1"
  on_cluster logs --selector "$which" --all-containers --prefix --tail 200 --follow --max-log-requests 50
}
cluster_repair() {
  on_cluster delete pods --field-selector status.phase=Failed
  local each ready
  for each in $(deployments); do
    ready="$(on_cluster get "$each" --output 'jsonpath={.status.unavailableReplicas}')"
    [ -z "$ready" ] || on_cluster rollout restart "$each"
  done
}
cluster_port_forward() {
  local each
  trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
  for each in "${forwarded[@]}"; do
    on_cluster get service "${each%%:*}" --output name >/dev/null 2>&1 || continue
    on_cluster port-forward --address 127.0.0.1 "service/${each%%:*}" "${each#*:}" &
    echo "${each%%:*}: http://127.0.0.1:${each#*:}"
  done
  wait
}

while [ $# -gt 0 ]; do
  case "$1" in
    --cluster) cluster=true ;;
    --full) full=true ;;
    --yes) yes=true ;;
    --overlay) shift; overlay="${1:?--overlay needs a name}" ;;
    -h | --help) usage; exit 0 ;;
    -*) fail "unknown option $1; --help lists them" ;;
    *) break ;;
  esac
  shift
done
[ $# -gt 0 ] || { usage >&2; exit 2; }
command="$1"
shift
case "$command" in
  up | update | pause | resume | stop | delete | status | logs | repair | port-forward) ;;
  *) fail "unknown command $command; --help lists them" ;;
esac
[ -d "$here/kubernetes/overlays/$overlay" ] || fail "there is no overlay $overlay"
if "$cluster"; then
  command -v kubectl >/dev/null || fail "kubectl is not installed"
  context="$(kubectl config current-context 2>/dev/null)" ||
    fail "kubectl has no context: start a cluster, such as by kind create cluster, or kubectl config use-context"
  echo "voltick: on the cluster of kubectl's context $context" >&2
  "cluster_${command//-/_}" "$@"
else
  command -v docker >/dev/null || fail "docker is not installed"
  docker compose version >/dev/null 2>&1 || fail "docker has no compose plugin: https://docs.docker.com/compose/install/"
  "compose_${command//-/_}" "$@"
fi
