// Bytes that lie in several places, as gRPC receives a message: in slices.
#ifndef DROPOUTD_SERVER_SERVICE_FRAGMENTS_H_
#define DROPOUTD_SERVER_SERVICE_FRAGMENTS_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

namespace dropoutd {

// The pieces of a message, in order. Any of them may be empty.
using Fragments = std::span<const std::string_view>;

// A run of bytes of a message: a view, which neither the fragments nor their bytes may be
// outlived by.
class ByteRange {
 public:
  ByteRange() = default;

  // `size` bytes from byte `offset` of `first` on; that many follow.
  ByteRange(const std::string_view* first, std::size_t offset, std::size_t size)
      : first_(first), offset_(offset), size_(size) {}

  std::size_t size() const { return size_; }

  // Calls visit(std::string_view) with each piece that is not empty, in order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    const std::string_view* fragment = first_;
    std::size_t offset = offset_;
    for (std::size_t left = size_; left != 0; ++fragment, offset = 0) {
      const std::string_view piece = fragment->substr(offset, left);
      if (piece.empty()) continue;
      left -= piece.size();
      visit(piece);
    }
  }

  // `size` of its bytes, from byte `begin` on.
  ByteRange Part(std::size_t begin, std::size_t size) const {
    const std::string_view* fragment = first_;
    std::size_t offset = offset_ + begin;
    if (size == 0) return {};
    while (offset >= fragment->size()) offset -= fragment++->size();
    return {fragment, offset, size};
  }

  // Copies all of it to `to`.
  void CopyTo(void* to) const {
    char* place = static_cast<char*>(to);
    ForEach([&](std::string_view piece) {
      std::memcpy(place, piece.data(), piece.size());
      place += piece.size();
    });
  }

 private:
  const std::string_view* first_ = nullptr;
  std::size_t offset_ = 0;
  std::size_t size_ = 0;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_FRAGMENTS_H_
