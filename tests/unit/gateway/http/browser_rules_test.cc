#include "gateway/http/browser_rules.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

using Text = std::optional<std::string>;

struct Ask {
  const char* name;
  Text host, origin, fetch_site;
  int status;  // 0: it goes on
  Method method = Method::kPost;
};

class BrowserRulesTest : public testing::TestWithParam<Ask> {};

TEST_P(BrowserRulesTest, AnswersOnlyPagesThatMayAsk) {
  const BrowserRules rules({"https://app.example.com"}, Endpoint{"127.0.0.1", 8080, false});
  const Ask& ask = GetParam();
  Request request;
  request.method = ask.method;
  request.host = ask.host;
  request.origin = ask.origin;
  request.fetch_site = ask.fetch_site;
  const auto answer = rules.answer(request);
  EXPECT_EQ(answer ? answer->status : 0, ask.status);
}

const Text kNone, kHere = "127.0.0.1:8081", kApp = "https://app.example.com";

INSTANTIATE_TEST_SUITE_P(
    , BrowserRulesTest,
    testing::Values(Ask{"NoBrowser", kHere, kNone, kNone, 0}, Ask{"NoHost", kNone, kNone, kNone, 0},
                    Ask{"Localhost", "localhost:8081", kNone, kNone, 0},
                    Ask{"LocalhostInCapitals", "LOCALHOST", kNone, kNone, 0},
                    Ask{"ALocalhostOfItsOwn", "demo.localhost:1", kNone, kNone, 0},
                    Ask{"Ipv6", "[::1]:8081", kNone, kNone, 0},
                    Ask{"OtherLoopback", "127.8.9.10:8081", kNone, kNone, 0},
                    Ask{"ReboundName", "evil.example", kNone, kNone, 421},
                    Ask{"ReboundNameWithPort", "evil.example:8081", kNone, kNone, 421},
                    Ask{"NameThatBeginsLikeLoopback", "127.0.0.1.evil.example", kNone, kNone, 421},
                    Ask{"NameThatEndsLikeLocalhost", "evillocalhost", kNone, kNone, 421},
                    Ask{"EmptyHost", "", kNone, kNone, 421},
                    Ask{"Ipv6Elsewhere", "[2001:db8::1]", kNone, kNone, 421},
                    Ask{"OwnPage", kHere, "http://127.0.0.1:8081", "same-origin", 0},
                    Ask{"OwnPageAtAnotherPort", kHere, "http://127.0.0.1:9000", "same-site", 403},
                    Ask{"OwnNameByHttps", kHere, "https://127.0.0.1:8081", kNone, 403},
                    Ask{"ListedPage", kHere, kApp, "cross-site", 0},
                    Ask{"ForeignPage", kHere, "https://evil.example", "cross-site", 403},
                    Ask{"ListedNameByHttp", kHere, "http://app.example.com", kNone, 403},
                    Ask{"ListedNameLonger", kHere, "https://app.example.com.evil", kNone, 403},
                    Ask{"FileOrSandbox", kHere, "null", "cross-site", 403},
                    Ask{"FormThatSaysNoOrigin", kHere, kNone, "cross-site", 403},
                    Ask{"AddressTyped", kHere, kNone, "none", 0, Method::kGet},
                    Ask{"ForeignWebSocket", kHere, "https://evil.example", kNone, 403,
                        Method::kWebSocket},
                    Ask{"ForeignRead", kHere, "https://evil.example", kNone, 403, Method::kGet},
                    Ask{"PreflightOfAListedPage", kHere, kApp, kNone, 204, Method::kOptions},
                    Ask{"PreflightOfAForeignPage", kHere, "https://evil.example", kNone, 403,
                        Method::kOptions}),
    [](const auto& ask) { return ask.param.name; });

TEST(BrowserRules, OnlyAListedPageMayReadTheAnswer) {
  const BrowserRules rules({"https://app.example.com"}, Endpoint{"127.0.0.1", 8080, false});
  for (const auto& [origin, readable] :
       {std::pair<Text, bool>{kApp, true}, {"https://evil.example", false}, {kNone, false}}) {
    Response response;
    rules.permit(origin, response);
    const bool allowed =
        std::any_of(response.headers.begin(), response.headers.end(), [&](const auto& header) {
          return header.first == "Access-Control-Allow-Origin" && header.second == *kApp;
        });
    EXPECT_EQ(allowed, readable) << origin.value_or("none");
  }
}

}  // namespace
}  // namespace entente
