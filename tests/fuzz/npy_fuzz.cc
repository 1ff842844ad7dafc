// Fuzz target: .npy files, whatever their bytes. What is read is written, and read again.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "client/cli/npy.h"

namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File Open(void* data, std::size_t size) { return {fmemopen(data, size, "r"), std::fclose}; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  dropout::cli::NpyOptions options;
  options.integers_are_bfloat16 = data[0] % 2 == 1;
  const File file = Open(const_cast<std::uint8_t*>(data) + 1, size - 1);
  const auto tensor = dropout::cli::ReadNpy(file.get(), options);
  if (!tensor.ok()) return 0;
  if (tensor->data.size() > size) std::abort();

  char* written = nullptr;
  std::size_t written_size = 0;
  std::FILE* const out = open_memstream(&written, &written_size);
  const bool ok = dropout::cli::WriteNpy(*tensor, out).ok();
  std::fclose(out);
  const std::unique_ptr<char, decltype(&std::free)> owner(written, std::free);
  if (!ok) std::abort();
  const File again = Open(written, written_size);
  const auto same = dropout::cli::ReadNpy(again.get());
  if (!same.ok() || same->data != tensor->data || same->shape != tensor->shape) std::abort();
  return 0;
}
