#!/bin/sh
# Builds the Go client with Debian's Go packages and runs a command of the go tool on it:
#   go_debian.sh PROTO_DIR WORK_DIR test -v dropoutd/dropout
# Debian's packages are sources for GOPATH mode; go.mod is for module mode.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
proto=$1
work=$2
shift 2
root=$work/src/dropoutd
mkdir -p "$root"
"$here/generate.sh" "$proto" "$root"
for folder in dropout examples outage; do
  ln -sfn "$here/$folder" "$root/$folder"
done
GO111MODULE=off GOPATH=$work:/usr/share/gocode GOCACHE=$work/cache GOFLAGS= exec go "$@"
