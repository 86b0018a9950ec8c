// What a token costs a request: the first time, when its signature is verified, and every time
// after that. Among as many clients as verdicts are kept for. In CPU time.
//
//   access_bench [ROUNDS]

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

#include "gateway/access/access.h"
#include "gateway/access/token_signer.h"
#include "tests/bench/must.h"
#include "tests/support/process.h"

namespace {

using entente::Access;
using entente::bench::die;

constexpr int64_t kFarAway = 4'000'000'000;

std::vector<std::string> headers_of(size_t clients, const std::string& secret) {
  std::vector<std::string> headers;
  for (size_t i = 0; i < clients; ++i) {
    entente::TokenClaims claims;
    claims.sub = "client" + std::to_string(i);
    claims.jti = std::to_string(i);
    claims.cluster = "bench";
    claims.expires = kFarAway;
    claims.tables = {{"carts", {"read"}}};
    const auto token = entente::sign_token(claims, secret);
    if (!token) die(token.error().text);
    headers.push_back("Bearer " + *token);
  }
  return headers;
}

double cpu_microseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// Microseconds for each.
double admit_all(Access& access, const std::vector<std::string>& headers, size_t rounds) {
  const double begin = cpu_microseconds();
  for (size_t round = 0; round < rounds; ++round) {
    for (const auto& header : headers) {
      if (!access.admit(header, "127.0.0.1", "bench")) die("a good token was refused");
    }
  }
  return (cpu_microseconds() - begin) / static_cast<double>(rounds * headers.size());
}

}  // namespace

int main(int argc, char** argv) {
  const size_t rounds = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 100;
  const entente::testing::TemporaryFolder folder;
  const auto pair = entente::make_token_key();
  if (!pair) die(pair.error().text);
  const auto file = folder.path() / "token.pub";
  std::ofstream(file) << pair->open;
  entente::Config config;
  config.cluster = "bench";
  config.tokens = entente::TokenSettings{{file.string()}, ""};
  for (const size_t clients : {size_t{1}, size_t{1'000}, Access::kVerdicts}) {
    Access access(config);
    if (auto ok = access.reload(); !ok) die(ok.error().text);
    const auto headers = headers_of(clients, pair->secret);
    const double first = admit_all(access, headers, 1);
    const double again = admit_all(access, headers, std::max<size_t>(1, rounds * 1'000 / clients));
    std::printf("token, %5zu clients   first %6.1f us   again %6.3f us\n", clients, first, again);
  }
}
