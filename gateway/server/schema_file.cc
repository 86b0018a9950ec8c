#include "gateway/server/schema_file.h"

#include <fstream>
#include <string_view>
#include <utility>

#include "gateway/api/sql/sql_text.h"

namespace entente {
namespace {

constexpr size_t kLongest = 64 << 20;

Result<std::string> contents(const std::filesystem::path& path) {
  std::error_code ec;
  if (!std::filesystem::is_regular_file(path, ec)) {
    return fail(Code::kNotFound, "cannot read " + path.string() + ": there is no such file");
  }
  const auto size = std::filesystem::file_size(path, ec);
  if (ec || size > kLongest) {
    return fail(Code::kTooLarge, path.string() + " is too long for a schema: 64 MiB at most");
  }
  std::string script(size, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(script.data(), static_cast<std::streamsize>(size));
  if (!in) return fail(Code::kNotFound, "cannot read " + path.string());
  return script;
}

}  // namespace

Result<std::vector<std::string>> read_schema(const std::filesystem::path& path) {
  const auto script = contents(path);
  if (!script) return tl::unexpected(script.error());
  std::vector<std::string> out;
  for (auto statement : split_statements(*script)) {
    out.emplace_back(statement.substr(0, statement.find_last_not_of(" \t\r\n\f\v") + 1));
  }
  return out;
}

ClientTransaction run_statements(std::vector<std::string> statements) {
  return [statements = std::move(statements)](WriteSession& session) -> Result<void> {
    for (const auto& sql : statements) {
      Statement statement;
      statement.sql = sql;
      statement.want_rows = false;
      if (auto done = session.execute(statement); !done) return tl::unexpected(done.error());
    }
    return {};
  };
}

}  // namespace entente
