#!/usr/bin/env bash
# Builds the image as the Dockerfile says, looks into it, and runs it as
# compose.yaml does beside Prometheus with its own settings: the service as
# process 1, user 65532, read-only root, its own network of loopback alone.
# Needs root and Linux, but no Docker: buildah builds, namespaces run. All that
# is made lies in one temporary folder; of mounts and processes nothing stays.
#
#   check-image.sh              # base images from their registries
#   check-image.sh --stand-ins  # base images made of this machine's Go and busybox
#   check-image.sh --firing     # waits until an alert fires, not only pends: minutes more
#
# STORAGE=DIR keeps images there, so that a second run need not build again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/need.sh"
fail() { echo "check-image: $*" >&2; exit 1; }
step() { printf '\n== %s\n' "$1"; }

# The base images, as the Dockerfile names them: docker.io's stands there by its short name.
mapfile -t bases < <(sed -nE 's/^FROM ([^ ]+).*/\1/p' "$here/../Dockerfile")
go_image=docker.io/library/${bases[0]} base_image=${bases[1]}
image=localhost/ledgerhook:check

# b is buildah with storage of our own: none of the machine's images is touched.
b() { buildah --root "$storage/images" --runroot "$storage/run" --storage-driver vfs "$@"; }

# stand_in NAME FILL commits an image of what FILL puts into an empty folder.
stand_in() {
  local made root
  made=$(b from scratch)
  root=$(b mount "$made")
  mkdir -p "$root"/{bin,etc/ssl/certs,tmp,root,home/nonroot,usr/local,go}
  chmod 1777 "$root/tmp"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  printf '%s\n' root:x:0:0::/root: nonroot:x:65532:65532::/home/nonroot: >"$root/etc/passwd"
  "$2" "$root" "$made"
  b umount "$made" >/dev/null
  b commit -q --rm "$made" "$1" >/dev/null
}
fill_go() { # root, container
  cp "$(command -v busybox)" "$1/bin/busybox"
  ln -s busybox "$1/bin/sh"
  ln -s busybox "$1/bin/mkdir"
  cp -R "$(go env GOROOT)" "$1/usr/local/go"
  b config --env PATH=/usr/local/go/bin:/bin --env GOPATH=/go --env GOTOOLCHAIN=local --workingdir /go "$2"
}
fill_base() {
  rmdir "$1/bin" "$1/usr/local" "$1/usr" "$1/go"
  b config --env PATH=/usr/bin:/bin --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt --user 65532 --workingdir /home/nonroot "$2"
}

build() {
  local pull=--pull
  if [ "$stand_ins" = yes ]; then
    need busybox busybox-static
    command -v go >/dev/null 2>&1 || fail "go is missing: its toolchain is what the stand-in is made of"
    pull=--pull-never
    b inspect --type image "$go_image" >/dev/null 2>&1 || stand_in "$go_image" fill_go
    b inspect --type image "$base_image" >/dev/null 2>&1 || stand_in "$base_image" fill_base
  fi
  # What is committed, not what lies about: a clone has no file that git ignores.
  git clone -q "$here/.." "$work/source"
  b build --isolation chroot --layers --format docker "$pull" --build-arg VERSION=check -t "$image" "$work/source"
}

# wants NAME WANT GOT
wants() { [ "$2" = "$3" ] || fail "$1: $3, not $2"; echo "$1: $3"; }

look() {
  local form='{{with .Docker.Config}}user {{.User}}|entry {{.Entrypoint}}|command {{.Cmd}}|ports {{.ExposedPorts}}|volumes {{.Volumes}}|health {{.Healthcheck.Test}} {{.Healthcheck.Interval}} {{.Healthcheck.Timeout}}{{end}}'
  wants "settings" "user 65532:65532|entry [/server]|command [serve]|ports map[8080/tcp:{} 9090/tcp:{}]|volumes map[/data:{}]|health [CMD /server healthcheck] 30s 5s" \
    "$(b inspect --type image --format "$form" "$image")"
  wants "owner of the volume" "65532:65532 755" "$(stat -c '%u:%g %a' "$root/data")"
  wants "what the volume holds" "" "$(ls -A "$root/data")"
  wants "owner of the program" "0:0 755" "$(stat -c '%u:%g %a' "$root/server")"
  # The program is all that can be run, and what it was made of is not there.
  wants "programs" "/server" "$(cd "$root" && find . -type f -perm /111 -not -path './usr/share/*' | sed 's/^\.//')"
  wants "sources" "" "$(find "$root" -name '*.go' -o -name go.mod -o -name '*.db' -o -path "$root/src" -o -path "$root/go")"
  wants "what it is linked with" "" "$(readelf -d "$root/server" | grep NEEDED || true)"
  wants "version" "ledgerhook check" "$("$root/server" version | sed -n 1p)"
  local size
  size=$(stat -c %s "$root/server")
  echo "the program has $((size / 1000)) kB"
}

# From here on inside namespaces of our own for mounts, processes and network.

# container COMMAND… becomes the program as compose.yaml runs it: process 1, the
# user, no privileges to gain, a read-only root, the inbox, the secret.
container() {
  exec env -i "${environment[@]}" PATH="$PATH" unshare --mount --pid --fork --kill-child bash -ec '
    root=$1 work=$2
    shift 2
    mount --bind "$root" "$root"
    mount --bind "$work/inbox" "$root/data"
    mount --bind "$work/secrets" "$root/run/secrets"
    mount -t proc none "$root/proc"
    mount -o remount,bind,ro "$root/run/secrets"
    mount -o remount,bind,ro "$root"
    exec setpriv --no-new-privs chroot --userspec=65532:65532 --groups=65532 "$root" /server "$@"
  ' - "$root" "$work" "$@"
}
run() { (container "$@"); }
unhealthy() { ! run healthcheck; }

# in_time SECONDS COMMAND… repeats it until it succeeds.
in_time() {
  local left=$1
  shift
  until "$@" >"$work/last" 2>&1; do
    [ "$left" -gt 0 ] || { cat "$work/last" >&2; fail "not in time: $*"; }
    left=$((left - 1))
    sleep 1
  done
}

# query EXPRESSION asks Prometheus for the value; nothing when there is none.
query() { promtool query instant http://127.0.0.1:9091 "$1" | sed -n 's/.*=> \([^ ]*\) @.*/\1/p'; }
holds() { [ -n "$(query "$1")" ]; }

# settings: env.example filled in as little as can be, what compose.yaml adds,
# and what the image brings.
settings() {
  grep -E '^[A-Z]' "$here/env.example" | sed -E -e 's|^(LEDGERHOOK_ERPNEXT_URL)=.*|\1=http://127.0.0.1:8800|' \
    -e 's/^LEDGERHOOK_(ERPNEXT_API_KEY|ERPNEXT_API_SECRET|SHOPIFY_SECRETS)=$/&check/'
  sed -nE 's/^ +(LEDGERHOOK_[A-Z_]+): ([^ ]+).*/\1=\2/p' "$here/compose.yaml"
  echo "$image_environment"
}

start() {
  container serve 2>>"$work/service.log" &
  service=$!
  in_time 30 run healthcheck
  pid=$(pgrep -P "$service")
}

inside() {
  mapfile -t environment < <(settings)
  busybox ip link set lo up
  # The names of compose's network lead here.
  printf '127.0.0.1 localhost ledgerhook alertmanager\n' >"$work/hosts"
  mount --bind "$work/hosts" /etc/hosts
  # A disk for the inbox that can be filled, made as a new volume is: with the
  # owner and mode that the image has there.
  mkdir -p "$root/proc" "$root/run/secrets" "$work/inbox" "$work/secrets"
  mount -t tmpfs -o size=256m none "$work/inbox"
  chown --reference="$root/data" "$work/inbox"
  chmod --reference="$root/data" "$work/inbox"
  echo a-token-for-the-check >"$work/secrets/operator_token"
  chmod 644 "$work/secrets/operator_token"

  step "starts as user 65532 on a read-only root"
  run healthcheck 2>/dev/null && fail "healthy without a service"
  run check | sed -n 1p
  "$root/server" sandbox --key check --secret check --data "$work/site" >"$work/sandbox.log" 2>&1 &
  start
  wants "user, capabilities, new privileges" "65532 0000000000000000 1" \
    "$(awk '/^(Uid|CapEff|NoNewPrivs)/ { printf "%s%s", sep, $2; sep = " " }' "/proc/$pid/status" | awk '{ print $1, $2, $3 }')"
  wants "its process number" "1" "$(awk '/^NSpid/ { print $NF }' "/proc/$pid/status")"
  wants "owner of the inbox" "65532" "$(stat -c %u "$work/inbox/ledgerhook.db")"

  step "Prometheus with deploy's settings"
  prometheus --config.file="$here/prometheus/prometheus.yml" --storage.tsdb.path="$work/prometheus" --web.listen-address=127.0.0.1:9091 2>"$work/prometheus.log" &
  in_time 60 holds 'up{job="ledgerhook",instance="ledgerhook:9090"} == 1'
  wants "rules" "$(grep -c 'alert:' "$here/prometheus/rules.yml")" "$(busybox wget -qO- http://127.0.0.1:9091/api/v1/rules | grep -o '"name":"Ledgerhook' | wc -l)"

  step "a signed webhook becomes a document"
  run send shopify --topic orders/create
  in_time 60 grep -q '"Sales Order"' "$work/site"
  in_time 60 holds 'ledgerhook_events{state="done"} == 1'

  step "a full disk: not healthy, and an alert"
  dd if=/dev/zero of="$work/inbox/filler" bs=1M status=none 2>/dev/null || true
  in_time 60 unhealthy
  in_time 60 holds 'ALERTS{alertname="LedgerhookNotReady",alertstate="pending"}'
  [ "$firing" = no ] || in_time 240 holds 'ALERTS{alertname="LedgerhookNotReady",alertstate="firing"}'
  rm "$work/inbox/filler"
  in_time 60 run healthcheck

  step "a stop"
  local grace begin
  grace=$(sed -nE 's/^ +stop_grace_period: ([0-9]+)s.*/\1/p' "$here/compose.yaml")
  begin=$(date +%s)
  kill "$pid"
  wait "$service" || fail "ended with $?"
  [ $(($(date +%s) - begin)) -lt "$grace" ] || fail "took longer than the $grace s that it is given"
  in_time 5 unhealthy
  in_time 60 holds 'ALERTS{alertname="LedgerhookDown",alertstate="pending"}'
  [ "$firing" = no ] || in_time 240 holds 'ALERTS{alertname="LedgerhookDown",alertstate="firing"}'

  step "starts again on what is there"
  start
  wants "events" "1" "$(run events list --json | grep -o '"state":' | wc -l)"
}

if [ "${1:-}" = inside ]; then
  trap 'code=$?; [ "$code" = 0 ] || tail -n 20 "$work"/*.log >&2 || true; exit "$code"' EXIT
  inside
  exit
fi
export stand_ins=no firing=no # of builds, and of what runs inside
for option in "$@"; do
  case $option in
    --stand-ins) stand_ins=yes ;;
    --firing) firing=yes ;;
    *) fail "no such option: $option" ;;
  esac
done
[ "$(id -u)" = 0 ] || fail "needs root: it mounts, and becomes another user"
need buildah buildah
need busybox busybox-static
need prometheus prometheus
need readelf binutils
need pgrep procps

work=$(mktemp -d)
storage=${STORAGE:-$work/storage}
made=
trap '[ -z "$made" ] || b rm "$made" >/dev/null; rm -rf "$work"' EXIT
step "builds"
build
made=$(b from --pull-never "$image")
root=$(b mount "$made")
step "looks"
look
image_environment=$(b inspect --type image --format '{{range .Docker.Config.Env}}{{println .}}{{end}}' "$image" | grep -v '^PATH=')
export work root image_environment
unshare --mount --net --pid --fork --kill-child --mount-proc bash "$0" inside
printf '\nthe image is as it should be\n'
