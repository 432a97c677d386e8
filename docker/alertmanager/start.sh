#!/bin/sh
# Start Alertmanager with the address that alerts go to, which stands in no file of the repository:
#   ALERTMANAGER_WEBHOOK_URL   any service that takes Alertmanager's own JSON
#   ALERTMANAGER_SLACK_URL     an incoming webhook of Slack, or of what speaks like it
# or, for each, ..._FILE, which names a file that holds it. Without one, alerts are seen at
# Alertmanager's page alone, and the log says so. Arguments are handed on to Alertmanager.
set -eu

own="$(dirname "$0")/alertmanager.yml"
made="$(mktemp -d)/alertmanager.yml" # readable by its owner alone
cp "$own" "$made"

# Prints the address that is given by the variable NAME or the file that NAME_FILE names.
address() {
  name="$1" value="$2" file="$3"
  if [ -z "$value" ] && [ -n "$file" ] && [ -r "$file" ]; then value="$(cat "$file")"; fi
  case "$value" in
    "") return 0 ;;
    *[[:space:]\']* | *[![:print:]]*) fault=1 ;;
    http://?* | https://?*) fault=0 ;;
    *) fault=1 ;;
  esac
  if [ "$fault" = 1 ]; then
    echo "alertmanager: $name is no http:// or https:// address" >&2
    return 2
  fi
  echo "$value"
}

webhook="$(address ALERTMANAGER_WEBHOOK_URL "${ALERTMANAGER_WEBHOOK_URL:-}" \
  "${ALERTMANAGER_WEBHOOK_URL_FILE:-}")"
slack="$(address ALERTMANAGER_SLACK_URL "${ALERTMANAGER_SLACK_URL:-}" \
  "${ALERTMANAGER_SLACK_URL_FILE:-}")"

# The receiver is the last part of the file: what follows belongs to it.
if [ -n "$webhook" ]; then
  cat >> "$made" << EOF
    webhook_configs:
      - url: '$webhook'
        send_resolved: true
EOF
fi
if [ -n "$slack" ]; then
  cat >> "$made" << EOF
    slack_configs:
      - api_url: '$slack'
        send_resolved: true
        title: '{{ .Status | toUpper }}: {{ .CommonLabels.alertname }}'
        text: '{{ range .Alerts }}{{ .Annotations.summary }} ({{ .Annotations.runbook }}) {{ end }}'
EOF
fi
if [ -z "$webhook$slack" ]; then
  echo "alertmanager: no receiver is set: alerts are seen at its page alone" >&2
fi

exec alertmanager --config.file="$made" "$@"
