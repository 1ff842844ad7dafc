// Holds the hand-written parsers against the generated ones.
#ifndef DROPOUTD_TESTS_SERVICE_STEP_MESSAGE_CHECK_H_
#define DROPOUTD_TESTS_SERVICE_STEP_MESSAGE_CHECK_H_

#include <string>
#include <string_view>
#include <vector>

namespace dropoutd {

enum class MessageType { kForward, kBackward, kExchange };

// Parses `bytes`, cut into `fragments`, by hand, and in one piece by the generated parser
// of the type. Returns what differs in the verdict or in a field; empty if nothing does.
// `parsed` says what the generated parser made of it.
std::string CompareParsers(MessageType type, const std::string& bytes,
                           const std::vector<std::string_view>& fragments, bool& parsed);

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SERVICE_STEP_MESSAGE_CHECK_H_
