# For `. need.sh`: fetches a Debian package where its command is missing.
need() { # command, Debian package
  command -v "$1" >/dev/null 2>&1 && return
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "$1 is missing, and there is no apt-get to install $2 with: install it by hand" >&2
    exit 1
  fi
  # Only the tool is wanted: a daemon that cannot start here is no failure.
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "$2"; } >&2 || true
  command -v "$1" >/dev/null 2>&1 || { echo "$1 is missing and apt-get could not install $2" >&2; exit 1; }
}
