#include "gateway/http/request_parser.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

// As a connection does: what is left comes again, with more behind it.
RequestParser::State feed_by_bytes(RequestParser& parser, std::string_view bytes) {
  std::string buffer;
  for (const char byte : bytes) {
    buffer += byte;
    buffer.erase(0, parser.feed(buffer));
  }
  return parser.state();
}

TEST(RequestParser, AChunkedBodyMayComeByteByByte) {
  const std::string head = "POST /v1/transactions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const auto& [body, whole] : std::vector<std::pair<std::string, std::string>>{
           {"0\r\n\r\n", ""},
           {"0\r\nTrailer: x\r\n\r\n", ""},
           {"1\r\na\r\n0\r\n\r\n", "a"},
           {"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nTrailer: x\r\n\r\n", "abcd"}}) {
    RequestParser parser{Limits{}};
    ASSERT_EQ(feed_by_bytes(parser, head + body), RequestParser::State::kDone) << body;
    EXPECT_EQ(parser.take().body, whole);
  }
}

TEST(RequestParser, LineBreaksBeforeARequestAreSkipped) {
  RequestParser parser{Limits{}};
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(feed_by_bytes(parser, "\r\n\r\nGET /livez HTTP/1.1\r\n\r\n"),
              RequestParser::State::kDone);
    EXPECT_EQ(parser.take().path, "/livez");
    parser.reset();
  }
}

}  // namespace
}  // namespace entente
