#!/bin/sh
# Builds the Java client with Debian's packages:
#   build_debian.sh PROTO_DIR OUT_DIR
# makes OUT_DIR/dropout-client.jar with the client and the contract's classes; OUT_DIR/examples.jar
# and, where JUnit is installed, OUT_DIR/tests.jar. OUT_DIR/run.sh runs a class of theirs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
proto=$1
out=$2
java=/usr/share/java

libraries=
for jar in grpc-api grpc-context grpc-core grpc-netty grpc-protobuf grpc-protobuf-lite grpc-stub \
  protobuf guava netty-all netty-buffer netty-codec netty-codec-http netty-codec-http2 \
  netty-common netty-handler netty-handler-proxy netty-codec-socks netty-resolver netty-transport \
  opencensus-api opencensus-contrib-grpc-metrics gson jsr305 perfmark-api perfmark-impl geronimo-annotation-1.3-spec; do
  if [ -e "$java/$jar.jar" ]; then libraries=$libraries:$java/$jar.jar; fi
done
libraries=${libraries#:}

rm -rf "$out"
mkdir -p "$out/generated" "$out/classes"
protoc -I "$proto" --java_out="$out/generated" --grpc-java_out="$out/generated" \
  --plugin=protoc-gen-grpc-java=/usr/bin/grpc_java_plugin "$proto"/dropout/v1/*.proto

# compile NAME CLASSPATH FOLDER...: all sources in the folders, as OUT_DIR/NAME.jar.
compile() {
  name=$1
  classpath=$2
  shift 2
  mkdir "$out/classes/$name"
  find "$@" -name '*.java' >"$out/$name.sources"
  javac --release 17 -Xlint:all,-processing,-rawtypes,-cast,-deprecation,-classfile,-path,-dep-ann \
    -cp "$classpath" -d "$out/classes/$name" "@$out/$name.sources"
  jar --create --file "$out/$name.jar" -C "$out/classes/$name" .
}

compile dropout-client "$libraries" "$out/generated" "$here/src/main/java"
libraries=$out/dropout-client.jar:$libraries
compile examples "$libraries" "$here/src/examples/java"
libraries=$out/examples.jar:$libraries
if [ -e "$java/junit4.jar" ]; then
  libraries=$libraries:$java/junit4.jar:$java/hamcrest.jar:$java/protobuf-util.jar
  compile tests "$libraries" "$here/src/test/java"
  libraries=$out/tests.jar:$libraries
fi
printf '#!/bin/sh\nexec java -cp %s "$@"\n' "$libraries" >"$out/run.sh"
chmod +x "$out/run.sh"
rm -rf "$out/generated" "$out/classes" "$out"/*.sources
