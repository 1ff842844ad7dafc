// What an HTTP endpoint answers.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_HTTP_PAGE_H_
#define DROPOUTD_SERVER_MAIN_METRICS_HTTP_PAGE_H_

#include <functional>
#include <string>

namespace dropoutd {

struct HttpAnswer {
  int code = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

struct HttpPage {
  std::function<HttpAnswer()> make;
  // Whether `make` returns at once, without a lock that others hold for long. Such a page is never
  // behind one that takes time.
  bool is_instant = false;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_HTTP_PAGE_H_
