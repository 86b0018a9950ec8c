#pragma once

#include <gtest/gtest.h>

#include "conflict/lua/lua_handler.h"

namespace entente {

// A conflict between two rows with the same columns; owns what its view points to.
class TwoRows {
 public:
  TwoRows(Row base, Row older, Row newer)
      : base_(std::move(base)), older_(std::move(older)), newer_(std::move(newer)) {
    view_.kind = "update-update";
    view_.table = "items";
    view_.key = {{"id", int64_t{7}}};
    view_.base = &base_;
    view_.siblings = {{"frankfurt", Hlc::at(1000, 1), &older_},
                      {"virginia", Hlc::at(1001), &newer_}};
  }
  TwoRows(const TwoRows&) = delete;
  Conflict& view() { return view_; }

 private:
  Row base_, older_, newer_;
  Conflict view_;
};

constexpr uint64_t kInstructions = 1'000'000, kMemory = 8 << 20;

inline std::shared_ptr<Handler> script(std::string_view text, uint64_t instructions = kInstructions,
                                       uint64_t memory = kMemory) {
  auto handler = load_lua("test.lua", text, instructions, memory);
  EXPECT_TRUE(handler) << handler.error().text;
  return handler ? *handler : nullptr;
}

// What resolve() says to two rows with one column, `v`.
inline Result<Decision> decided(std::string_view text, Value older = int64_t{1},
                                Value newer = int64_t{2}) {
  TwoRows rows({{"v", Null()}}, {{"v", std::move(older)}}, {{"v", std::move(newer)}});
  const auto handler = script(text);
  if (!handler) return fail(Code::kInvalid, "it does not load", "load");
  return handler->decide(rows.view());
}

// The value that a body of resolve(conflict) computes; it sees the older value as `a`, the newer as
// `b`, and returns one.
inline Value computed(const std::string& body, Value a = int64_t{1}, Value b = int64_t{2}) {
  const auto decision =
      decided("local function compute(a, b) " + body +
                  " end function resolve(c) return {row = {v = compute(c.siblings[1].row.v, "
                  "c.siblings[2].row.v)}} end",
              std::move(a), std::move(b));
  EXPECT_TRUE(decision) << body << ": " << decision.error().text;
  if (!decision) return Null();
  return decision->row.at("v");
}

inline std::string failure(const Result<Decision>& decision) {
  return decision ? "it answered" : decision.error().tag + " " + decision.error().text;
}

}  // namespace entente
