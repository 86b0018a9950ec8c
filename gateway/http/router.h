#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "gateway/access/client.h"
#include "gateway/async/task.h"
#include "gateway/http/http_message.h"

namespace entente {

// A request on its way to a handler: `parts` are what the route's `*` stand for, still encoded.
struct RoutedRequest {
  Request request;
  std::vector<std::string> parts;
  ClientPtr client;  // who asks; he has the route's right. A stranger on a route that is open
};

using RouteHandler = std::function<Task<Response>(RoutedRequest)>;

// Which handler answers what. Filled before the server starts, read-only afterwards.
class Router {
 public:
  // `pattern`: segments, `*` stands for any one. `family` is what metrics call the route. `right`:
  // what it needs; which tables a client may read and write is the handler's to look at.
  void add(Method method, std::string_view pattern, std::string_view family, Right right,
           RouteHandler handler);

  struct Match {
    const RouteHandler* handler = nullptr;  // absent: `refusal` says why
    std::string_view family = "other";
    Right right = Right::kRead;  // where there is nothing, a stranger is not told so
    std::vector<std::string> parts;
    Response refusal;  // 404, or 405 with Allow
  };
  // HEAD is answered by the handler of GET.
  Match find(Method method, std::string_view path) const;

  struct Route {
    Method method;
    std::vector<std::string_view> pattern;
    std::string_view family;
    Right right;
    RouteHandler handler;
  };
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

std::string_view to_string(Method method);

}  // namespace entente
