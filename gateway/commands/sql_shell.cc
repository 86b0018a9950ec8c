#include "gateway/commands/sql_shell.h"

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <ostream>
#include <sstream>

#include "conflict/hex.h"
#include "gateway/api/sql/sql_text.h"
#include "gateway/commands/sql_connection.h"
#include "gateway/encoding/base64.h"
#include "topology/scalars.h"

namespace entente {
namespace {

using Clock = std::chrono::steady_clock;
using Answer = SqlConnection::Answer;

constexpr const char* kHelp =
    ".dc [NAME]      list the datacenters, or go on at another: it waits for what was seen here\n"
    ".help           this\n"
    ".mode [MODE]    how rows are shown: table, line, csv or json\n"
    ".quit           end (so does the end of the input)\n"
    ".schema [TABLE] the CREATE statements\n"
    ".tables         the tables\n"
    ".timing on|off  how long each statement took, there and back\n"
    "Everything else is SQL, up to a semicolon.\n";

enum class Mode { kTable, kLine, kCsv, kJson };
constexpr std::pair<std::string_view, Mode> kModes[] = {
    {"table", Mode::kTable}, {"line", Mode::kLine}, {"csv", Mode::kCsv}, {"json", Mode::kJson}};

// ---- Values: as Hrana has them, `{"type": "integer", "value": "1"}` -----------------------------

struct Cell {
  std::string_view type;  // null, integer, float, text or blob
  std::string text;       // what a person reads; a blob's bytes
};

Cell cell_of(const Json& value) {
  const Json* type = value.find("type");
  if (type == nullptr || type->string() == nullptr) return {"null", ""};
  const std::string_view name = *type->string();
  const Json* held = value.find(name == "blob" ? "base64" : "value");
  if (held == nullptr || name == "null") return {"null", ""};
  if (name == "blob") {
    return {name, held->string() != nullptr ? parse_base64(*held->string()).value_or("") : ""};
  }
  if (held->string() != nullptr) return {name, *held->string()};
  JsonWriter number;
  if (held->integer() != nullptr) number.integer(*held->integer());
  if (held->real() != nullptr) number.real(*held->real());
  return {name, number.take()};
}

std::string shown(const Cell& cell) {
  if (cell.type == "null") return "NULL";
  return cell.type == "blob" ? "x'" + to_hex(cell.text) + "'" : printable(cell.text);
}

std::string csv(const Cell& cell) {
  std::string text = cell.type == "blob" ? to_hex(cell.text) : cell.text;
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

void write_json(JsonWriter& out, const Cell& cell) {
  if (cell.type == "null") {
    out.null();
  } else if (cell.type == "integer" || cell.type == "float") {
    out.raw(cell.text);
  } else if (cell.type == "blob") {
    std::string encoded;
    append_base64(encoded, cell.text, true);
    out.begin_object().member("base64", encoded).end_object();
  } else {
    out.string(cell.text);
  }
}

std::string in_json(const Answer& answer) {
  JsonWriter out;
  out.begin_array();
  for (const auto& row : answer.rows) {
    out.begin_object();
    for (size_t i = 0; i < row.size() && i < answer.columns.size(); ++i) {
      out.key(answer.columns[i]);
      write_json(out, cell_of(row[i]));
    }
    out.end_object();
  }
  return out.end_array().take() + "\n";
}

std::string in_table(const Answer& answer) {
  std::vector<std::vector<std::string>> cells{answer.columns};
  for (auto& name : cells.front()) name = printable(name);
  for (const auto& row : answer.rows) {
    auto& line = cells.emplace_back();
    for (const auto& value : row) line.push_back(shown(cell_of(value)));
  }
  return aligned(cells);
}

std::string in_lines(const Answer& answer) {
  std::string out;
  for (const auto& row : answer.rows) {
    if (!out.empty()) out += "\n";
    for (size_t i = 0; i < row.size() && i < answer.columns.size(); ++i) {
      out += printable(answer.columns[i]) + " = " + shown(cell_of(row[i])) + "\n";
    }
  }
  return out;
}

std::string in_csv(const Answer& answer) {
  std::string out;
  const auto add = [&](size_t i, const Cell& cell) { out += (i == 0 ? "" : ",") + csv(cell); };
  for (size_t i = 0; i < answer.columns.size(); ++i) add(i, {"text", answer.columns[i]});
  out += "\r\n";
  for (const auto& row : answer.rows) {
    for (size_t i = 0; i < row.size(); ++i) add(i, cell_of(row[i]));
    out += "\r\n";
  }
  return out;
}

std::string counted(int64_t n, const char* what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

// ---- The shell ---------------------------------------------------------------------------------

class Shell {
 public:
  Shell(SqlConnection connection, const LineSource& source, Mode mode, std::ostream& out,
        std::ostream& err)
      : connection_(std::move(connection)), source_(source), mode_(mode), out_(out), err_(err) {}

  int run() {
    if (source_.interactive && !greet()) return kDegraded;
    std::string sql;
    while (auto line = source_.line(sql.empty() ? prompt() : "   ...> ")) {
      const bool fresh = sql.find_first_not_of(" \t\n") == std::string::npos;
      if (fresh && line->starts_with('.')) {
        const bool fine = command(*line);
        if (quit_) return kFine;
        if (!fine && !source_.interactive) return kDegraded;
        continue;
      }
      sql += (fresh ? "" : "\n") + *line;
      if (sqlite3_complete(sql.c_str()) == 0) continue;
      if (!statements(std::exchange(sql, "")) && !source_.interactive) return kDegraded;
    }
    if (source_.interactive) out_ << "\n";
    return statements(sql) ? kFine : kDegraded;
  }

  // One after another, up to the first that fails.
  bool statements(const std::string& sql) {
    for (const auto statement : split_statements(sql)) {
      if (!execute(std::string(statement))) return false;
    }
    return true;
  }

 private:
  std::string prompt() const { return dc_ + (connection_.in_transaction() ? "*> " : "> "); }

  bool complain(const Error& error) {
    const std::string code = error.tag.empty() ? "" : " (" + error.tag + ")";
    err_ << "entente: " << printable(error.text) << code << "\n";
    return false;
  }

  bool greet() {
    const auto all = connection_.datacenters();
    if (!all) return complain(all.error());
    dc_ = all->front().first;
    out_ << "Connected to " << printable(dc_) << ". SQL ends with a semicolon; .help lists more.\n";
    return true;
  }

  bool execute(const std::string& sql) {
    const auto began = Clock::now();
    const auto answer = connection_.execute(sql);
    if (!answer) return complain(answer.error());
    show(*answer);
    if (timing_) {
      const std::chrono::duration<double, std::milli> took = Clock::now() - began;
      std::ostringstream text;
      text.precision(3);
      text << std::fixed << took.count();
      out_ << text.str() << " ms\n";
    }
    return true;
  }

  void show(const Answer& answer) {
    if (answer.columns.empty()) {
      if (mode_ == Mode::kTable && answer.changed > 0) {
        out_ << counted(answer.changed, "row") << " changed\n";
      }
      return;
    }
    switch (mode_) {
      case Mode::kTable:
        out_ << in_table(answer) << "(" << counted(static_cast<int64_t>(answer.rows.size()), "row")
             << ")\n";
        return;
      case Mode::kLine:
        out_ << in_lines(answer);
        return;
      case Mode::kCsv:
        out_ << in_csv(answer);
        return;
      case Mode::kJson:
        out_ << in_json(answer);
    }
  }

  bool command(const std::string& line) {
    std::istringstream words(line);
    std::string name, argument;
    words >> name >> argument;
    if (name == ".quit" || name == ".exit") return quit_ = true;
    if (name == ".help") return out_ << kHelp, true;
    if (name == ".mode") return set_mode(argument);
    if (name == ".timing" && (argument == "on" || argument == "off")) {
      return timing_ = argument == "on", true;
    }
    if (name == ".dc") return argument.empty() ? list_datacenters() : move_to(argument);
    if (name == ".tables") return list("name", "type = 'table'");
    if (name == ".schema") {
      return list("sql || ';'", argument.empty() ? "sql IS NOT NULL"
                                                 : "sql IS NOT NULL AND lower(tbl_name) = lower(" +
                                                       quoted(argument) + ")");
    }
    err_ << "entente: there is no command " << printable(line) << "; .help lists them\n";
    return false;
  }

  static std::string quoted(const std::string& text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
    return out + "'";
  }

  bool set_mode(const std::string& wanted) {
    for (const auto& [name, mode] : kModes) {
      if (wanted == name) return mode_ = mode, true;
      if (wanted.empty() && mode == mode_) return out_ << name << "\n", true;
    }
    err_ << "entente: the modes are table, line, csv and json\n";
    return false;
  }

  // What the schema says, a line each.
  bool list(const std::string& what, const std::string& where) {
    const auto answer = connection_.execute(
        "SELECT " + what + " FROM sqlite_schema WHERE " + where +
        " AND tbl_name NOT LIKE '^_entente^_%' ESCAPE '^'"
        " AND tbl_name NOT LIKE 'sqlite^_%' ESCAPE '^' ORDER BY tbl_name, type DESC, name");
    if (!answer) return complain(answer.error());
    for (const auto& row : answer->rows) out_ << cell_of(row.front()).text << "\n";
    return true;
  }

  bool list_datacenters() {
    const auto all = connection_.datacenters();
    if (!all) return complain(all.error());
    std::vector<std::vector<std::string>> cells{{"", "DATACENTER", "CLIENTS"}};
    for (const auto& [dc, address] : *all) {
      cells.push_back({dc == all->front().first ? "*" : "", printable(dc), printable(address)});
    }
    out_ << aligned(cells);
    return true;
  }

  bool move_to(const std::string& dc) {
    const auto all = connection_.datacenters();
    if (!all) return complain(all.error());
    const auto at =
        std::find_if(all->begin(), all->end(), [&](const auto& d) { return d.first == dc; });
    if (at == all->end()) {
      err_ << "entente: there is no datacenter " << printable(dc) << "; .dc lists them\n";
      return false;
    }
    auto endpoint = parse_endpoint(at->second);
    if (!endpoint) return complain(endpoint.error());
    if (connection_.in_transaction()) out_ << "the open transaction is rolled back\n";
    endpoint->tls = connection_.tls();
    connection_.move_to(*endpoint);
    dc_ = dc;
    return true;
  }

  SqlConnection connection_;
  const LineSource& source_;
  Mode mode_;
  std::ostream& out_;
  std::ostream& err_;
  std::string dc_;
  bool timing_ = false;
  bool quit_ = false;
};

}  // namespace

int sql_shell(const SqlShellOptions& options, const LineSource& source, std::ostream& out,
              std::ostream& err) {
  auto connection = SqlConnection::to(options.url);
  if (!connection) {
    err << "entente: " << printable(options.url) << ": " << connection.error().text << "\n";
    return kUsage;
  }
  const Mode mode = options.format == OutputFormat::kJson ? Mode::kJson : Mode::kTable;
  Shell shell(std::move(*connection), source, mode, out, err);
  if (options.command.empty()) return shell.run();
  return shell.statements(options.command) ? kFine : kDegraded;
}

}  // namespace entente
