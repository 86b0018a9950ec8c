#include "gateway/commands/log_format.h"

#include <gtest/gtest.h>
#include <spdlog/details/log_msg.h>

#include <string>

namespace entente {
namespace {

TEST(LogFormat, WhatStrangersSayStaysOnItsLineAndOffTheTerminal) {
  const std::string said = "reason=\"x\n[error] gateway_failed\x1b[31m\xff\xc2\x9b\"";
  spdlog::memory_buf_t out;
  log_format()->format({"", spdlog::level::warn, said}, out);
  const std::string line(out.data(), out.size());
  EXPECT_TRUE(line.find("reason=\"x?[error] gateway_failed?[31m??\"\n") != std::string::npos)
      << line;
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace entente
