#include "topology/scalars.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "topology/problems.h"

namespace entente {
namespace {

constexpr size_t kLongestHost = 253;

struct Unit {
  std::string_view name;
  uint64_t factor;
};
constexpr std::array<Unit, 4> kTimes{{{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 4> kSizes{
    {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_character(char c) { return (c >= 'a' && c <= 'z') || is_digit(c); }

template <class T>
std::optional<T> number(std::string_view digits) {
  T value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  return whole ? std::optional<T>(value) : std::nullopt;
}

// A whole number and its unit; `examples` shows the units that fit.
Result<uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units,
                                 std::string_view what, std::string_view examples) {
  const auto wrong = [&](std::string_view why) {
    return fail(Code::kInvalid, in_quotes(text) + " is not " + std::string(what) + ": " +
                                    std::string(why) + " " + std::string(examples));
  };
  const auto letter = std::find_if_not(text.begin(), text.end(), is_digit);
  const size_t digits = letter - text.begin();
  if (digits == 0) return wrong("write a whole number and a unit, as in");
  if (digits == text.size()) return wrong("it has no unit, as in");
  const auto unit = std::find_if(units.begin(), units.end(),
                                 [&](const Unit& u) { return u.name == text.substr(digits); });
  if (unit == units.end()) return wrong("write a whole number and a unit, as in");
  const auto value = number<uint64_t>(text.substr(0, digits));
  const auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / unit->factor;
  if (!value || *value > most) return wrong("the number is too large; it looks like");
  return *value * unit->factor;
}

std::string format_with_unit(uint64_t value, std::span<const Unit> units) {
  const auto unit = std::find_if(units.begin(), units.end() - 1, [&](const Unit& u) {
    return value >= u.factor && value % u.factor == 0;
  });
  return std::to_string(value / unit->factor) + std::string(unit->name);
}

bool is_ipv4(const std::string& host) {
  in_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1;
}

bool is_ipv6(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

bool is_host_name(std::string_view host) {
  const auto fits = [](char c) {
    return is_name_character(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '.';
  };
  return !host.empty() && host.size() <= kLongestHost && host.front() != '-' &&
         host.front() != '.' && std::all_of(host.begin(), host.end(), fits);
}

// Only digits and dots: an address, or a slip of the pen in one.
bool looks_like_ipv4(std::string_view host) {
  return std::all_of(host.begin(), host.end(), [](char c) { return is_digit(c) || c == '.'; });
}

bool is_host(const std::string& host, bool in_brackets) {
  if (in_brackets) return is_ipv6(host);
  return looks_like_ipv4(host) ? is_ipv4(host) : is_host_name(host);
}

}  // namespace

Result<bool> parse_flag(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return fail(Code::kInvalid, in_quotes(text) + " is neither true nor false");
}

Result<int64_t> parse_integer(std::string_view text) {
  const auto value = number<int64_t>(text);
  if (value) return *value;
  return fail(Code::kInvalid, in_quotes(text) + " is not a whole number");
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  return parse_with_unit(text, kTimes, "a duration", "200ms, 3s, 5m or 1h").map([](uint64_t ms) {
    return std::chrono::milliseconds(ms);
  });
}

Result<uint64_t> parse_size(std::string_view text) {
  return parse_with_unit(text, kSizes, "a size", "512B, 64KiB, 16MiB or 1GiB");
}

Result<std::string> parse_name(std::string_view text) {
  const auto fits = [](char c) { return is_name_character(c) || c == '_' || c == '-'; };
  const bool good = !text.empty() && text.size() <= 63 && is_name_character(text[0]) &&
                    std::all_of(text.begin(), text.end(), fits);
  if (good) return std::string(text);
  return fail(Code::kInvalid, in_quotes(text) +
                                  " cannot be a name: use up to 63 lower-case letters, digits, - "
                                  "and _, beginning with a letter or a digit");
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.back() == ']') {
    return fail(Code::kInvalid, in_quotes(text) + " has no port: write host:port");
  }
  std::string_view host = text.substr(0, colon);
  const bool in_brackets = host.starts_with('[') && host.ends_with(']');
  if (in_brackets) host = host.substr(1, host.size() - 2);
  const auto port_text = text.substr(colon + 1);
  const auto port = number<uint16_t>(port_text);
  if (!port) {
    return fail(Code::kInvalid,
                in_quotes(port_text) + " is not a port: it is a number up to 65535");
  }
  if (!is_host(std::string(host), in_brackets)) {
    return fail(Code::kInvalid,
                in_quotes(host) + " is not a host: write a name, 127.0.0.1 or [::1]");
  }
  return Endpoint{std::string(host), *port, false};
}

bool is_loopback(std::string_view host) {
  const std::string text(host);
  if (text == "localhost") return true;
  if (is_ipv4(text)) return text.starts_with("127.");
  in6_addr address;
  return inet_pton(AF_INET6, text.c_str(), &address) == 1 && IN6_IS_ADDR_LOOPBACK(&address);
}

std::string listed(std::span<const std::string> items) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + item;
  return out.empty() ? "none" : out;
}

std::string format_duration(std::chrono::milliseconds duration) {
  return format_with_unit(static_cast<uint64_t>(duration.count()), kTimes);
}

std::string format_size(uint64_t bytes) { return format_with_unit(bytes, kSizes); }

std::string format_endpoint(const Endpoint& endpoint) {
  const bool ipv6 = endpoint.host.find(':') != std::string::npos;
  return (ipv6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

std::string url_of(std::string_view scheme, const Endpoint& endpoint) {
  return std::string(scheme) + (endpoint.tls ? "s" : "") + "://" + format_endpoint(endpoint);
}

}  // namespace entente
