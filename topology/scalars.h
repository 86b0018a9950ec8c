#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "conflict/result.h"
#include "topology/config.h"

namespace entente {

// What one value of the file means. Errors are sentences for the person who wrote it.

Result<bool> parse_flag(std::string_view text);                           // true | false
Result<int64_t> parse_integer(std::string_view text);                     // 42, -1
Result<std::chrono::milliseconds> parse_duration(std::string_view text);  // 200ms 3s 5m 1h
Result<uint64_t> parse_size(std::string_view text);                       // 512B 64KiB 16MiB 1GiB
// [a-z0-9][a-z0-9_-]{0,62}
Result<std::string> parse_name(std::string_view text);
// host:port; the host a name, an IPv4 address or an IPv6 address in brackets. No scheme.
Result<Endpoint> parse_endpoint(std::string_view text);

bool is_loopback(std::string_view host);  // 127.0.0.0/8, ::1, localhost

// As the file would say it, in the largest unit that is exact.
std::string format_duration(std::chrono::milliseconds duration);
std::string format_size(uint64_t bytes);
std::string format_endpoint(const Endpoint& endpoint);  // host:port
// `ws` or `http` with an `s` behind it if there is TLS, and the rest.
std::string url_of(std::string_view scheme, const Endpoint& endpoint);

// `a, b, c`; "none" if there are none.
std::string listed(std::span<const std::string> items);

}  // namespace entente
