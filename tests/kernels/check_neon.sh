#!/usr/bin/env bash
# Builds the kernels, the generators and their tests for 64-bit Arm, proves that every kernel has
# a NEON copy, and runs the tests under an emulator.
#   check_neon.sh [BUILD_DIR]
# Debian packages: g++-aarch64-linux-gnu qemu-user-static libhwy-dev googletest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly GOOGLETEST=/usr/src/googletest/googletest
readonly CXX=aarch64-linux-gnu-g++
# As the CMakeLists.txt of the kernels and of the project have them.
readonly FLAGS=(-std=c++20 -O3 -ffp-contract=off -I. -I"$GOOGLETEST/include"
  '-DHWY_DISABLED_TARGETS=(HWY_SVE|HWY_SVE_256|HWY_SVE2|HWY_SVE2_128)')
readonly WARNINGS=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror)

build=${1:-}
if [[ -z $build ]]; then
  build=$(mktemp -d)
  trap 'rm -rf "$build"' EXIT
fi
mkdir -p "$build"

compile() {
  local source=$1 object
  shift
  object=$build/$(tr / _ <<<"$source").o
  "$CXX" "${FLAGS[@]}" "$@" -c "$source" -o "$object"
  objects+=("$object")
}

objects=()
for source in server/kernels/*.cc; do
  compile "$source" "${WARNINGS[@]}"
done
symbols=$(aarch64-linux-gnu-nm --demangle --defined-only "${objects[@]}")
for kernel in BernoulliBits ConcreteDrop {Normal,Uniform}Deviates \
  {AffineMask,ConcreteGradient,MaskedScale,Multiply}{F32,F64,F16,BF16}; do
  grep -q "dropoutd::kernels::N_NEON::$kernel(" <<<"$symbols" || {
    echo "no $kernel for NEON" >&2
    exit 1
  }
done

for source in server/random/philox.cc server/random/mask_key.cc tests/kernels/*.cc; do
  compile "$source"
done
compile "$GOOGLETEST/src/gtest-all.cc" -I"$GOOGLETEST"
compile "$GOOGLETEST/src/gtest_main.cc"
"$CXX" -static -pthread "${objects[@]}" -o "$build/kernels_test"
qemu-aarch64-static "$build/kernels_test" --gtest_brief=1
