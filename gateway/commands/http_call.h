#pragma once

#include <chrono>
#include <string>

#include "gateway/http/http_caller.h"

namespace entente {

// From here on `https://` servers must show a certificate that a CA in this file vouches for; "":
// one that the system trusts.
void trust_ca(std::string file);

// `http://host:port` or `https://host:port`, with or without a slash behind it.
Result<Endpoint> parse_url(std::string_view url);

// One request over a connection of its own, done within `timeout`. The answer's body is at most 16
// MiB.
Result<HttpAnswer> http_get(const Endpoint& endpoint, const std::string& path,
                            std::chrono::milliseconds timeout);
// `session`: what the answer must contain at least, as an earlier one said; "": anything.
Result<HttpAnswer> http_post(const Endpoint& endpoint, const std::string& path, std::string json,
                             std::chrono::milliseconds timeout, const std::string& session = "");

}  // namespace entente
