// The version of this build.
#ifndef DROPOUTD_SERVER_MAIN_VERSION_H_
#define DROPOUTD_SERVER_MAIN_VERSION_H_

namespace dropoutd {

inline constexpr char kVersion[] = DROPOUTD_VERSION;  // From CMake's project().

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_VERSION_H_
