#include "gateway/commands/token.h"

#include <pwd.h>
#include <termios.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <istream>
#include <ostream>
#include <sstream>

#include "gateway/access/token_signer.h"
#include "gateway/commands/http_call.h"
#include "gateway/commands/token_file.h"
#include "gateway/commands/topology_file.h"
#include "gateway/encoding/base64.h"
#include "gateway/encoding/json.h"

namespace entente {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr int64_t kLongest = int64_t{10} * 365 * 86'400;
constexpr auto kTimeout = 10s;

int complain(std::ostream& err, const std::string& why, int code = kDegraded) {
  err << "entente: " << printable(why) << "\n";
  return code;
}

int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string time_text(int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm parts{};
  char text[32];
  if (::gmtime_r(&time, &parts) == nullptr) return "the end of time";
  const size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, length};
}

// The cluster of a topology file; nothing, after saying why.
std::optional<std::string> cluster_of(const fs::path& path, std::ostream& err) {
  const auto file = read_topology_file(path);
  if (file.loaded.config) return file.loaded.config->cluster;
  err << render_problems(file, file.loaded.problems);
  return std::nullopt;
}

fs::path folder_of(const std::string& cluster) { return cluster + "-ca"; }

Result<std::string> text_of_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in.is_open() || !in) {
    return fail(Code::kNotFound,
                "cannot read the key " + path.string() + ": `entente token init` makes one");
  }
  return std::move(text).str();
}

// "30d", "12h", "90m", "45s", in seconds.
std::optional<int64_t> duration_of(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const char unit = text.back();
  const int64_t seconds = unit == 'd'   ? 86'400
                          : unit == 'h' ? 3'600
                          : unit == 'm' ? 60
                          : unit == 's' ? 1
                                        : 0;
  int64_t n = 0;
  const char* const last = text.data() + text.size() - 1;
  const auto [end, error] = std::from_chars(text.data(), last, n);
  const bool good = error == std::errc{} && end == last && seconds > 0 && n > 0;
  if (!good || n > kLongest / seconds) return std::nullopt;
  return n * seconds;
}

std::optional<Right> role_of(std::string_view word) {
  for (const Right right :
       {Right::kRead, Right::kWrite, Right::kSchema, Right::kOperate, Right::kAdmin}) {
    if (to_string(right) == word) return right;
  }
  return std::nullopt;
}

std::string user_name() {
  const passwd* user = ::getpwuid(::getuid());
  return user != nullptr ? user->pw_name : "";
}

// The claims that the options ask for; or what is wrong with them.
Result<TokenClaims> claims_of(const TokenNewOptions& options, const std::string& cluster) {
  TokenClaims claims;
  const auto role = role_of(options.role);
  if (!role) {
    return fail(Code::kInvalid, "the role is read, write, schema, operate or admin");
  }
  const auto lasts = duration_of(options.lasts);
  if (!lasts) return fail(Code::kInvalid, "--for is like 30d, 12h, 90m or 45s, 10 years at most");
  if (!options.tables.empty() && *role > Right::kWrite) {
    return fail(Code::kInvalid, "--tables goes with the roles read and write only");
  }
  auto id = random_token_id();
  if (!id) return tl::unexpected(id.error());
  claims.role = *role;
  claims.cluster = cluster;
  claims.jti = std::move(*id);
  claims.sub = options.sub.empty() ? user_name() : options.sub;
  claims.issued = now_seconds();
  claims.expires = claims.issued + *lasts;
  for (const auto& table : options.tables) {
    claims.tables[table] = *role == Right::kRead ? std::vector<std::string>{"read"}
                                                 : std::vector<std::string>{"read", "write"};
  }
  return claims;
}

// What it says; the signature is not looked at.
std::optional<Json> claims_in(const std::string& token) {
  const size_t first = token.find('.'), second = token.find('.', first + 1);
  if (first == token.npos || second == token.npos) return std::nullopt;
  auto bytes = parse_base64url(std::string_view(token).substr(first + 1, second - first - 1));
  if (!bytes) return std::nullopt;
  auto json = parse_json(*bytes);
  if (!json || json->object() == nullptr) return std::nullopt;
  return std::move(*json);
}

std::string rights_text(const Json& claims) {
  const Json* own = claims.find("entente");
  if (own == nullptr) return "libSQL's " + text_of(claims, "a");
  std::string text = text_of(*own, "role");
  const Json* tables = own->find("tables");
  if (tables == nullptr || tables->object() == nullptr) return text + " of all tables";
  text += " of";
  for (const auto& [name, rights] : *tables->object()) {
    text += " " + name + " (";
    if (rights.array() == nullptr) continue;
    for (const auto& right : *rights.array()) {
      if (right.string() != nullptr) text += (text.ends_with('(') ? "" : ", ") + *right.string();
    }
    text += ")";
  }
  return text;
}

std::string end_text(const Json& claims) {
  const Json* end = claims.find("exp");
  if (end == nullptr || end->integer() == nullptr) return "no end: no gateway takes it";
  return time_text(*end->integer()) + (*end->integer() <= now_seconds() ? " (over)" : "");
}

// A terminal shows nothing of it.
std::string token_from(std::istream& in, std::ostream& err) {
  termios before{};
  const bool terminal = ::tcgetattr(STDIN_FILENO, &before) == 0;
  if (terminal) {
    err << "the token: " << std::flush;
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  std::string token;
  in >> token;
  if (terminal) {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    err << "\n";
  }
  return token;
}

}  // namespace

int init_tokens(const TokenInitOptions& options, std::ostream& out, std::ostream& err) {
  const auto cluster = cluster_of(options.file, err);
  if (!cluster) return kUsage;
  const fs::path folder = options.folder.empty() ? folder_of(*cluster) : options.folder;
  const fs::path secret = folder / "token.key", open = folder / "token.pub";
  std::error_code error;
  if (fs::exists(secret, error) || fs::exists(open, error)) {
    return complain(err, "there is a key in " + folder.string() +
                             " already: for another one, give another --folder, and gateways both "
                             "public keys while tokens of both are in use");
  }
  const bool made = fs::create_directories(folder, error);
  if (made) fs::permissions(folder, fs::perms::owner_all, error);
  const auto pair = make_token_key();
  if (!pair) return complain(err, pair.error().text);
  auto done =
      write_secret(secret, pair->secret).and_then([&] { return write_secret(open, pair->open); });
  if (!done) return complain(err, done.error().text);
  fs::permissions(open, fs::perms(0644), error);  // no secret
  out << secret.string() << " signs tokens: it stays here.\n"
      << open.string() << " is for every gateway:\n  security: {tokens: {keys: ["
      << open.filename().string() << "]}}\n";
  return kFine;
}

int new_token(const TokenNewOptions& options, OutputFormat format, std::ostream& out,
              std::ostream& err) {
  const auto cluster = cluster_of(options.file, err);
  if (!cluster) return kUsage;
  const auto claims = claims_of(options, *cluster);
  if (!claims) return complain(err, claims.error().text, kUsage);
  const auto key =
      text_of_file(options.key.empty() ? folder_of(*cluster) / "token.key" : options.key);
  if (!key) return complain(err, key.error().text);
  const auto token = sign_token(*claims, *key);
  if (!token) return complain(err, token.error().text);
  if (!options.to.empty()) {
    const auto done = write_secret(options.to, *token + "\n");
    if (!done) return complain(err, done.error().text);
  }
  if (format == OutputFormat::kJson) {
    JsonWriter json;
    json.begin_object().member("jti", claims->jti).member("sub", claims->sub);
    json.member("expires", time_text(claims->expires));
    if (options.to.empty()) json.member("token", *token);
    out << json.end_object().take() << "\n";
    return kFine;
  }
  err << "token " << claims->jti << " of " << printable(claims->sub) << ", "
      << to_string(claims->role) << ", until " << time_text(claims->expires) << "\n";
  if (options.to.empty()) out << *token << "\n";
  return kFine;
}

int show_token(const fs::path& file, OutputFormat format, std::ostream& out, std::ostream& err) {
  const char* named = std::getenv(kTokenFileVariable);
  const fs::path path = !file.empty() ? file : fs::path(named != nullptr ? named : "");
  if (path.empty()) {
    return complain(err, "which token? Give its file, or name it in ENTENTE_TOKEN_FILE", kUsage);
  }
  const auto token = read_token_file(path);
  if (!token) return complain(err, token.error().text);
  const auto claims = claims_in(*token);
  if (!claims) return complain(err, path.string() + " holds no token");
  const std::vector<std::pair<std::string, std::string>> said = {
      {"of", text_of(*claims, "sub")},
      {"id (jti)", text_of(*claims, "jti")},
      {"cluster", text_of(*claims, "aud")},
      {"may", rights_text(*claims)},
      {"until", end_text(*claims)}};
  if (format == OutputFormat::kJson) {
    JsonWriter json;
    json.begin_object();
    for (const auto& [name, value] : said) json.member(name, value);
    out << json.end_object().take() << "\n";
    return kFine;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : said) rows.push_back({name, printable(value)});
  out << aligned(rows) << "Who signed it was not checked.\n";
  return kFine;
}

int login(const std::string& url, std::istream& in, std::ostream& out, std::ostream& err) {
  const auto endpoint = parse_url(url);
  if (!endpoint) return complain(err, url + ": " + endpoint.error().text, kUsage);
  const char* named = std::getenv(kTokenFileVariable);
  const bool in_file = named != nullptr && *named != '\0';
  const auto token = in_file ? read_token_file(named) : Result<std::string>(token_from(in, err));
  if (!token) return complain(err, token.error().text);
  const auto claims = claims_in(*token);
  if (!claims) return complain(err, "that is no token");
  auto answer = http_get_as(*token, *endpoint, "/v1/status", kTimeout);
  if (!answer) return complain(err, "cannot reach " + url + ": " + answer.error().text);
  if (answer->status != 200) {
    const auto problem = parse_json(answer->body);
    return complain(err,
                    url + " does not take it: " + (problem ? text_of(*problem, "detail") : ""));
  }
  const fs::path kept = login_file(*endpoint);
  std::error_code error;
  if (kept.empty()) return complain(err, "there is no home folder to keep it in (HOME)");
  fs::create_directories(kept.parent_path(), error);
  fs::permissions(kept.parent_path(), fs::perms::owner_all, error);
  const auto done = write_secret(kept, *token + "\n");
  if (!done) return complain(err, done.error().text);
  out << "Commands ask " << url << " as " << printable(text_of(*claims, "sub")) << " ("
      << printable(rights_text(*claims)) << ") until " << end_text(*claims) << ".\n";
  return kFine;
}

}  // namespace entente
