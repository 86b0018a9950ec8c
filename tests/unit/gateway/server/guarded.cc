#include "tests/unit/gateway/server/guarded.h"

#include <cstdlib>

#include "adapters/sqlite/sqlite_database.h"

namespace entente::test {
namespace {

std::unique_ptr<Database> sqlite_in(const std::filesystem::path& folder) {
  DatabaseOptions options;
  options.dc = "here";
  options.fresh_origin.id.fill(7);
  options.wall_ms = 1'700'000'000'000;
  auto opened = open_sqlite(folder / "here.db", options, {});
  if (!opened) std::abort();
  return std::move(*opened);
}

}  // namespace

Guarded::Guarded() {
  serve(sqlite_in(folder_.path()));
  const std::string admin = token("admin", "root");
  for (const auto* table : {"carts", "orders", "stock"}) {
    sql(admin, std::string("CREATE TABLE ") + table + " (id INTEGER PRIMARY KEY, v TEXT)");
    sql(admin, std::string("INSERT INTO ") + table + " VALUES (1, 'first of " + table + "')");
  }
}

Guarded::Guarded(std::unique_ptr<Database> database) { serve(std::move(database)); }

void Guarded::serve(std::unique_ptr<Database> database) {
  const auto keys = folder_.path() / "token.pub", revoked = folder_.path() / "revoked";
  std::ofstream(keys) << key_.pem();
  std::ofstream(revoked).flush();
  Config config = Served::one_datacenter();
  config.tokens = TokenSettings{{keys.string()}, revoked.string()};
  served_ = std::make_unique<Served>(std::move(database), std::move(config));
}

std::string Guarded::token(const std::string& role, const std::string& sub,
                           const std::string& jti) const {
  const std::string rights = role + (role.ends_with('}') ? "" : "\"");
  return key_.token(R"({"sub":")" + sub + R"(","jti":")" + jti +
                    R"(","aud":"test","exp":4000000000,"entente":{"role":")" + rights + "}}");
}

void Guarded::revoke(const std::string& jti) {
  std::ofstream(folder_.path() / "revoked", std::ios::app) << jti << "\n";
  if (!served_->server().reload_tokens()) std::abort();
}

std::string Guarded::sql(const std::string& token, const std::string& statement) {
  HttpClient client(port());
  return client
      .ask("POST", "/v2/pipeline",
           R"({"requests":[{"type":"execute","stmt":{"sql":")" + statement +
               R"("}},{"type":"close"}]})",
           header(token))
      .body;
}

}  // namespace entente::test
