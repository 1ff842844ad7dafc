#!/usr/bin/env bash
# Tries the Debian package on the system that this runs on, which should be a bare one and is
# changed: installs DEB, checks what it brings, runs it as its own user, purges it.
set -euo pipefail

deb=$1
apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@"; }
say() { printf 'package: %s\n' "$*"; }
die() {
  say "$*" >&2
  exit 1
}

# Every path, and every user and group; but for what apt itself writes.
snapshot() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /run \
    -o -path /var/cache -o -path /var/log -o -path /var/lib/apt -o -path /var/lib/dpkg \) \
    -prune -o -print | sort
  cut -d: -f1 /etc/passwd /etc/group
}

# The process of a user that runs a program; a bare Debian has no pgrep.
process_of() {
  local folder
  for folder in /proc/[0-9]*; do
    if [[ $(cat "$folder/comm" 2>/dev/null) == "$2" && $(stat -c %U "$folder") == "$1" ]]; then
      echo "${folder#/proc/}"
      return
    fi
  done
  return 1
}

apt_get update >/dev/null
apt_get install --no-install-recommends systemd >/dev/null
snapshot >/tmp/before

apt_get install --no-install-recommends "$deb" >/tmp/install.log 2>&1 || {
  cat /tmp/install.log >&2
  die "does not install"
}
dropoutd --version
systemd-analyze verify /usr/lib/systemd/system/dropoutd.service || die "systemd refuses the unit"
say "systemd-analyze verify accepts the unit"
systemctl is-enabled dropoutd.service
getent passwd dropoutd >/dev/null || die "there is no user dropoutd"

# As systemd would start it.
install -d -o dropoutd -g dropoutd -m 0750 /run/dropoutd /var/lib/dropoutd
mkfifo /tmp/stdout
runuser -u dropoutd -- dropoutd --config=/etc/dropoutd/dropoutd.toml >/tmp/stdout 2>/tmp/stderr &
runner=$!
trap 'kill "$runner" 2>/dev/null || true' EXIT
exec 3</tmp/stdout
lines=0
while ((lines < 3)) && IFS= read -r -t 60 line <&3; do
  say "$line"
  lines=$((lines + 1))
done
((lines == 3)) || die "the server does not start: $(cat /tmp/stderr)"
server=$(process_of dropoutd dropoutd) || die "the server does not run as its own user"
[[ $(awk '/^CapEff:/ {print $2}' "/proc/$server/status") == 0000000000000000 ]] ||
  die "the server has capabilities"
dropoutctl --address=unix:/run/dropoutd/dropoutd.sock health
dropoutctl demo >/tmp/demo.log || die "the demo fails: $(tail -5 /tmp/demo.log)"
say "the server runs as its own user, and the demo passes"
kill -TERM "$server"
wait "$runner" || die "the server's exit status is $?"

apt_get purge dropoutd >/dev/null
apt_get autoremove --purge >/dev/null
rm -rf /run/dropoutd
snapshot >/tmp/after
diff /tmp/before /tmp/after || die "purge leaves something"
say "purge leaves nothing"
