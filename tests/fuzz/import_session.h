// ImportSession and what follows it, for session_codec_fuzz.
#ifndef DROPOUTD_TESTS_FUZZ_IMPORT_SESSION_H_
#define DROPOUTD_TESTS_FUZZ_IMPORT_SESSION_H_

#include <string_view>

namespace dropoutd {

// Imports the file into a server of its own, and uses all that is in it if it is taken. Aborts if
// anything of it is left in the end.
void ImportAndUse(std::string_view file);

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_FUZZ_IMPORT_SESSION_H_
