// Text from outside, made fit for an error message.
#ifndef DROPOUTD_SERVER_BASE_QUOTE_H_
#define DROPOUTD_SERVER_BASE_QUOTE_H_

#include <string>
#include <string_view>

namespace dropoutd {

// `text` in quotes, with control characters and quotes escaped, and cut after 64 bytes: a
// client's text may be long, and trailers are not.
std::string Quote(std::string_view text);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_BASE_QUOTE_H_
