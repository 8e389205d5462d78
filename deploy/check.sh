#!/usr/bin/env bash
# Checks what Prometheus and Alertmanager will read: syntax, and a case that
# fires and one that is silent for every rule. Fetches Debian's promtool and
# amtool where they are missing.
set -euo pipefail
cd "$(dirname "$0")"

. ./need.sh
need promtool prometheus
need amtool prometheus-alertmanager

promtool check config prometheus/prometheus.yml
(cd prometheus && promtool test rules rules_test.yml rules_days_test.yml)

# Debian's amtool may be older than url_file of webhooks (Alertmanager 0.26).
checked=$(mktemp)
trap 'rm -f "$checked"' EXIT
sed 's|url_file: /run/secrets/alert_webhook_url|url: http://127.0.0.1/|' alertmanager/alertmanager.yml > "$checked"
amtool check-config "$checked"

# Who is told of what.
route() { # expected receivers, labels
  local got
  got=$(amtool config routes test --config.file "$checked" "${@:2}" 2>/dev/null)
  [ "$got" = "$1" ] || { echo "an alert with ${*:2} goes to $got, not $1" >&2; exit 1; }
}
route on-call,slack severity=critical alertname=LedgerhookDown
route slack severity=warning alertname=LedgerhookDiskLow
route slack severity=info alertname=LedgerhookAlertsDropped
