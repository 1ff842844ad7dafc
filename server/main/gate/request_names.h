// What a call is called: by its client, and in a trace.
#ifndef DROPOUTD_SERVER_MAIN_GATE_REQUEST_NAMES_H_
#define DROPOUTD_SERVER_MAIN_GATE_REQUEST_NAMES_H_

#include <string_view>

namespace dropoutd {

// Metadata with a call's name: sent by the client, or made here, and returned.
inline constexpr char kRequestIdMetadata[] = "x-request-id";
inline constexpr char kTraceMetadata[] = "traceparent";

// 1 to 64 characters of [A-Za-z0-9._-].
bool IsRequestId(std::string_view text);

// The trace-id of a W3C Trace Context header (version 00 and later), or empty if it is not one.
std::string_view TraceIdOf(std::string_view traceparent);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_GATE_REQUEST_NAMES_H_
