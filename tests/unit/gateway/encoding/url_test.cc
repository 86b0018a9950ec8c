#include "gateway/encoding/url.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

TEST(Url, PercentEncodingIsStrict) {
  EXPECT_EQ(*percent_decode("a%20b%C3%A9"), "a bé");
  for (const auto text : {"%", "%4", "%zz", "a%4", "%ff", "%ED%A0%80"}) {
    EXPECT_FALSE(percent_decode(text)) << text;
  }
}

TEST(Url, CompositeKeyIsSplitBeforeItIsDecoded) {
  EXPECT_EQ(*key_segment_parts("a%2Cb,c,"), (std::vector<std::string>{"a,b", "c", ""}));
  EXPECT_EQ(*key_segment_parts("a%2Fb"), (std::vector<std::string>{"a/b"}));
}

TEST(Url, QueryParametersAreFoundByTheirWholeName) {
  EXPECT_EQ(*query_parameter("table=a%26b&state=open", "table"), "a&b");
  EXPECT_EQ(*query_parameter("tables=x&t=1+2", "table"), std::nullopt);
  EXPECT_EQ(*query_parameter("t=1+2", "t"), "1 2");
  EXPECT_FALSE(query_parameter("t=%", "t"));
}

}  // namespace
}  // namespace entente
