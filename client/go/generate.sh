#!/bin/sh
# Makes the Go stubs of the contract: generate.sh PROTO_DIR OUT_DIR writes OUT_DIR/dropoutpb.
# Needs protoc, protoc-gen-go and protoc-gen-go-grpc.
set -eu
proto=$1
out=$2
mkdir -p "$out"
options=
for file in "$proto"/dropout/v1/*.proto; do
  options="$options,Mdropout/v1/$(basename "$file")=dropoutd/dropoutpb"
done
protoc -I "$proto" \
  --go_out="$out" --go_opt="module=dropoutd$options" \
  --go-grpc_out="$out" --go-grpc_opt="module=dropoutd$options" \
  "$proto"/dropout/v1/*.proto
