// An auction's row: the highest bid wins. Of equal bids the first one made. In C++:
//
//   c++ -shared -fPIC -O2 -std=c++20 -Iconflict -o libhighest_bid.so conf/handlers/highest_bid.cc
//
//   handlers: {highest_bid: {plugin: libhighest_bid.so, config: {column: bid}}}
//   tables:   {auctions: {policy: handler, handler: highest_bid, granularity: row}}
//
// `column` in its config says where the bid is; it holds integers. A deleted auction stays deleted.
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "entente_handler.h"

namespace {

std::string_view view(entente_text text) { return {text.bytes, text.size}; }
entente_text text(std::string_view words) { return {words.data(), words.size()}; }

class HighestBid {
 public:
  explicit HighestBid(std::string column) : column_(std::move(column)) {}

  void decide(const entente_conflict& conflict, const entente_host& host) const {
    std::optional<int64_t> best;
    size_t winner = 0;
    for (size_t i = 0; i < conflict.count; ++i) {
      if (!conflict.siblings[i]->row) return host.erase(host.call);
      const auto bid = bid_of(*conflict.siblings[i]->row);
      if (bid && (!best || *bid > *best)) best = bid, winner = i;
    }
    if (!best) return host.keep(host.call);  // no bid is a number: somebody must look
    host.pick(host.call, winner);
  }

 private:
  std::optional<int64_t> bid_of(const entente_row& row) const {
    for (size_t i = 0; i < row.count; ++i) {
      if (view(row.names[i]) != column_) continue;
      if (row.values[i].type != ENTENTE_INTEGER) return std::nullopt;
      return row.values[i].integer;
    }
    throw std::invalid_argument("the table has no column " + column_);
  }

  std::string column_;
};

// {"column": "bid"} and nothing else; a real plug-in has a JSON library for this.
std::string column_of(std::string_view config) {
  constexpr std::string_view kMember = "\"column\":";
  const size_t at = config.find(kMember);
  if (at == std::string_view::npos) return "bid";
  const size_t begin = config.find('"', at + kMember.size());
  const size_t end = begin == std::string_view::npos ? begin : config.find('"', begin + 1);
  if (end == std::string_view::npos) throw std::invalid_argument("config: column is not text");
  return std::string(config.substr(begin + 1, end - begin - 1));
}

int open(const entente_opening* opening, void** self) {
  try {
    *self = new HighestBid(column_of(view(opening->config)));
    return 0;
  } catch (const std::exception& e) {
    opening->fail(opening->call, text(e.what()));
    return 1;
  }
}

void close(void* self) { delete static_cast<HighestBid*>(self); }

int decide(void* self, const entente_conflict* conflict, const entente_host* host) {
  try {
    static_cast<const HighestBid*>(self)->decide(*conflict, *host);
    return 0;
  } catch (const std::exception& e) {
    host->fail(host->call, text(e.what()));
    return 1;
  }
}

constexpr entente_handler kHandler{
    sizeof(entente_handler), ENTENTE_HANDLER_ABI, 0, open, close, decide};

}  // namespace

const entente_handler* entente_handler_v1() { return &kHandler; }
