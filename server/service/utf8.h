// Whether text is UTF-8.
#ifndef DROPOUTD_SERVER_SERVICE_UTF8_H_
#define DROPOUTD_SERVER_SERVICE_UTF8_H_

#include <string_view>

namespace dropoutd {

// As the Unicode Standard's table of well-formed byte sequences (table 3-7) has it: no
// surrogates, nothing overlong, nothing past U+10FFFF.
bool IsUtf8(std::string_view text);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_UTF8_H_
