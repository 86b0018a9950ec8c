// How many conflicts a second each kind of handler decides, one after the other, all different.
// Prints the rate of each, and of asking again about the same ones.
//
//   handler_bench ENTENTE SOURCE_FOLDER [CONFLICTS]

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "gateway/handlers/load_handlers.h"
#include "gateway/handlers/owned_conflict.h"
#include "tests/bench/must.h"
#include "tests/support/process.h"

namespace {

using entente::Handler;
using entente::HandlerSource;
using entente::OwnedConflict;
using entente::Result;
using entente::bench::die;

OwnedConflict nth_conflict(int64_t n) {
  OwnedConflict out;
  out.kind = "update-update";
  out.table = "auctions";
  out.key = {{"id", n}};
  const std::string note(60, 'x');
  out.base = entente::Row{{"bid", int64_t{1}}, {"bidder", "nobody"}, {"note", note}};
  out.siblings = {{"frankfurt", entente::Hlc::at(1000),
                   entente::Row{{"bid", n % 7}, {"bidder", "ann"}, {"note", note}}},
                  {"virginia", entente::Hlc::at(1001),
                   entente::Row{{"bid", n % 5}, {"bidder", "bob"}, {"note", note}}}};
  return out;
}

double rate(const Handler& handler, const std::vector<OwnedConflict>& conflicts) {
  const auto begin = std::chrono::steady_clock::now();
  for (const auto& conflict : conflicts) {
    const auto decision = handler.decide(conflict.view());
    if (!decision) die(decision.error().text);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  return static_cast<double>(conflicts.size()) / took.count();
}

HandlerSource plugin(const std::string& path, bool trusted) {
  HandlerSource out;
  out.kind = HandlerSource::Kind::kPlugin;
  out.path = path;
  out.memory = 256ull << 20;
  out.trusted = trusted;
  return out;
}

HandlerSource script(const std::string& path) {
  HandlerSource out;
  out.path = path;
  return out;
}

void measure(const char* name, const HandlerSource& source, const std::string& host,
             const std::vector<OwnedConflict>& conflicts) {
  const auto handler = entente::make_handler(source, host);
  if (!handler) die(handler.error().text);
  const double first = rate(**handler, conflicts);
  const std::vector<OwnedConflict> same(conflicts.size(), conflicts.back());
  std::printf("  %-28s %8.0f conflicts/s, asked again %8.0f/s\n", name, first,
              rate(**handler, same));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) die("usage: handler_bench ENTENTE SOURCE_FOLDER [CONFLICTS]");
  const std::string host = argv[1], examples = std::string(argv[2]) + "/conf/handlers/";
  const long count = argc > 3 ? std::atol(argv[3]) : 50000;
  const entente::testing::TemporaryFolder folder;
  const std::string library = (folder.path() / "libhighest_bid.so").string();
  const std::string compile = "cc -shared -fPIC -O2 -I" + std::string(argv[2]) + "/conflict -o " +
                              library + " " + examples + "highest_bid.c";
  if (std::system(compile.c_str()) != 0) die("highest_bid.c does not compile");

  std::vector<OwnedConflict> conflicts;
  for (long n = 0; n < count; ++n) conflicts.push_back(nth_conflict(n));
  measure("Lua script", script(examples + "highest_bid.lua"), host, conflicts);
  measure("plug-in, isolated", plugin(library, false), host, conflicts);
  measure("plug-in, trusted", plugin(library, true), host, conflicts);
}
