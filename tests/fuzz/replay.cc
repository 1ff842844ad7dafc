// Runs a fuzz target without libFuzzer: once on each file of a folder, that what was found before
// stays mended, and then for some seconds on files that were changed at random.
//
//   NAME_replay FOLDER [SECONDS [SEED]]
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t kMostBytes = 4096;

void Run(const std::string& bytes) {
  // In memory of its own size, so that a sanitizer sees a byte too far.
  const std::vector<std::uint8_t> data(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(data.data(), data.size());
}

std::vector<std::string> ReadFolder(const char* path) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(path)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> files;
  for (const auto& each : paths) {
    std::ifstream file(each, std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return files;
}

class Mutator {
 public:
  Mutator(const std::vector<std::string>& seeds, std::uint64_t seed)
      : seeds_(seeds), random_(seed) {}

  // One of the seeds with a few changes: bytes set, removed, repeated, or spliced in from another.
  std::string Next() {
    std::string bytes = Any();
    for (std::size_t changes = 1 + Below(6); changes != 0; --changes) Change(bytes);
    if (bytes.size() > kMostBytes) bytes.resize(kMostBytes);
    return bytes;
  }

 private:
  std::size_t Below(std::size_t n) { return n == 0 ? 0 : random_() % n; }
  const std::string& Any() { return seeds_[Below(seeds_.size())]; }

  void Change(std::string& bytes) {
    static constexpr char kTelling[] = {'\0', '\1', '\x7f', '\x80', '\xff', '\n', '"', '='};
    const std::size_t at = Below(bytes.size() + 1);
    const std::size_t n = Below(std::min<std::size_t>(bytes.size() - at, 16) + 1);
    const std::string& other = Any();
    const std::size_t from = Below(other.size());
    switch (Below(5)) {
      case 0:
        if (at < bytes.size()) bytes[at] = static_cast<char>(random_());
        return;
      case 1:
        if (at < bytes.size()) bytes[at] = kTelling[Below(std::size(kTelling))];
        return;
      case 2:
        bytes.erase(at, n);
        return;
      case 3:
        bytes.insert(at, bytes.substr(at, n));
        return;
      default:
        bytes.insert(at, other.substr(from, Below(64)));
    }
  }

  const std::vector<std::string>& seeds_;
  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const std::vector<std::string> seeds = ReadFolder(argv[1]);
  if (seeds.empty()) return 1;
  for (const std::string& each : seeds) Run(each);
  std::uint64_t count = 0;
  if (argc > 2) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(argv[2]));
    const std::uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 0) : 1;
    Mutator mutator(seeds, seed);
    for (; std::chrono::steady_clock::now() < end; ++count) Run(mutator.Next());
  }
  std::printf("%zu seeds, %ju changed inputs\n", seeds.size(), static_cast<std::uintmax_t>(count));
  return 0;
}
