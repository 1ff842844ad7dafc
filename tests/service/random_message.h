// Random bytes in protobuf's wire format: well-formed, nearly so, and spoiled.
#ifndef DROPOUTD_TESTS_SERVICE_RANDOM_MESSAGE_H_
#define DROPOUTD_TESTS_SERVICE_RANDOM_MESSAGE_H_

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/service/step_message_check.h"

namespace dropoutd {

// The same seed makes the same messages. Not thread-safe.
class RandomMessages {
 public:
  explicit RandomMessages(std::uint64_t seed) : random_(seed) {}

  // Fields of the type, repeated and in any order, with unknown ones, values of the wrong
  // wire type, groups, and lengthy varints among them; in a part of them bytes are
  // changed, cut off or put in.
  std::string Next(MessageType type);

  // `bytes` in 1 to 12 pieces, some of them empty.
  std::vector<std::string_view> Cut(std::string_view bytes);

 private:
  // A number in 0 .. n-1.
  std::uint64_t Below(std::uint64_t n) { return random_() % n; }
  bool OneIn(std::uint64_t n) { return Below(n) == 0; }

  std::string Varint(std::uint64_t value);
  std::string AnyVarint();
  std::string Tag(std::uint32_t number, std::uint32_t type);
  std::string Delimited(const std::string& bytes);
  std::string Text();
  std::string Bytes();
  std::string Unknown(int depth);
  std::string Place();
  std::string Tensor();
  std::string Step(bool backward);
  std::string Exchange();
  std::string Spoiled(std::string bytes);

  template <typename Field>
  std::string Fields(int most, Field field);

  std::mt19937_64 random_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SERVICE_RANDOM_MESSAGE_H_
