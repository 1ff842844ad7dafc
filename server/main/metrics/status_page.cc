#include "server/main/metrics/status_page.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"

namespace dropoutd {
namespace {

std::string Escape(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

void AppendRow(std::string& page, const char* cell, const StatusReport::Row& row) {
  page += "<tr>";
  for (const std::string& text : row) {
    absl::StrAppend(&page, "<", cell, ">", Escape(text), "</", cell, ">");
  }
  page += "</tr>\n";
}

void AppendTable(std::string& page, const std::string& title, const StatusReport::Row& head,
                 const std::vector<StatusReport::Row>& rows) {
  absl::StrAppend(&page, "<h2>", Escape(title), "</h2>\n");
  if (rows.empty()) {
    page += "<p>none</p>\n";
    return;
  }
  page += "<table>\n";
  AppendRow(page, "th", head);
  for (const StatusReport::Row& row : rows) AppendRow(page, "td", row);
  page += "</table>\n";
}

void AppendFacts(std::string& page, const std::string& title, const StatusReport::Facts& facts) {
  std::vector<StatusReport::Row> rows;
  for (const auto& [name, value] : facts) rows.push_back({name, value});
  AppendTable(page, title, {"", ""}, rows);
}

}  // namespace

std::string StatusPage(const StatusReport& report) {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>dropoutd</title>\n"
      "<style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}"
      "td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}</style></head><body>\n"
      "<h1>dropoutd</h1>\n";
  AppendFacts(page, "Server", report.server);
  AppendFacts(page, "Sessions", report.sessions);
  std::vector<StatusReport::Row> errors;
  for (const RecentErrors::Entry& error : report.errors) {
    errors.push_back({absl::FormatTime("%Y-%m-%d %H:%M:%SZ", error.time, absl::UTCTimeZone()),
                      error.method, error.code, error.reason, error.request_id});
  }
  AppendTable(page, "Recent errors", {"time", "method", "code", "reason", "request id"}, errors);
  page += "</body></html>\n";
  return page;
}

}  // namespace dropoutd
