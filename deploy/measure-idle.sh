#!/usr/bin/env bash
# Starts the service on an empty inbox with nothing behind it, and prints the
# time until it is ready and the memory it holds after five idle seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'kill "${pid:-0}" 2>/dev/null || true; rm -rf "$dir"' EXIT
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$dir/server" ./cmd/server

export LEDGERHOOK_ADDR=127.0.0.1:18978 LEDGERHOOK_OPERATOR_ADDR=127.0.0.1:18979 LEDGERHOOK_DATABASE_URL="sqlite:$dir/inbox.db" \
  LEDGERHOOK_ERPNEXT_URL=http://127.0.0.1:9 LEDGERHOOK_ERPNEXT_API_KEY=none LEDGERHOOK_ERPNEXT_API_SECRET=none LEDGERHOOK_SHOPIFY_SECRETS=none
begin=$(date +%s%N)
"$dir/server" 2>"$dir/log" &
pid=$!
until curl -fs -o "$dir/ready" http://127.0.0.1:18978/readyz; do
  kill -0 "$pid" || { cat "$dir/log"; exit 1; }
done
end=$(date +%s%N)
echo "ready after $(((end - begin) / 1000000)) ms"
sleep 5
awk '/^VmRSS/ { print "idle memory", $2 / 1024, "MiB" }' "/proc/$pid/status"
