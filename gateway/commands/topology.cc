#include "gateway/commands/topology.h"

#include <simdjson.h>

#include <fstream>
#include <functional>
#include <optional>
#include <ostream>
#include <utility>

#include "gateway/commands/http_call.h"
#include "gateway/commands/topology_file.h"
#include "gateway/encoding/json.h"
#include "topology/scalars.h"

namespace entente {
namespace {

using namespace std::chrono_literals;
namespace dom = simdjson::dom;

constexpr auto kTimeout = 10s, kSubmitTimeout = 60s;

std::string text_of(const dom::element& object, const char* key) {
  std::string_view text;
  return object[key].get(text) ? "" : std::string(text);
}

std::vector<std::string> texts_of(const dom::element& object, const char* key) {
  std::vector<std::string> out;
  dom::array array;
  if (object[key].get(array)) return out;
  for (const auto one : array) {
    std::string_view text;
    dom::array pair;
    if (!one.get(text)) {
      out.emplace_back(text);
    } else if (!one.get(pair)) {
      out.push_back(std::string(pair.at(0).get_string().value_unsafe()) + "–" +
                    std::string(pair.at(1).get_string().value_unsafe()));
    }
  }
  return out;
}

std::string number_of(const dom::element& object, const char* key) {
  uint64_t number = 0;
  return object[key].get(number) ? "?" : std::to_string(number);
}

int failed(const std::string& why, std::ostream& err, int code = kDegraded) {
  err << "entente: " << printable(why) << "\n";
  return code;
}

std::string lines_of(const dom::element& change) {
  std::string lines;
  const auto line = [&](const char* what, const std::vector<std::string>& items) {
    if (!items.empty()) lines += std::string("  ") + what + " " + printable(listed(items)) + "\n";
  };
  if (const auto shape = text_of(change, "shape"); !shape.empty())
    lines += "  from " + printable(shape) + "\n";
  if (const auto leader = text_of(change, "leader"); !leader.empty())
    lines += "  schema leader from " + printable(leader) + "\n";
  line("adds datacenter", texts_of(change, "added"));
  line("removes datacenter", texts_of(change, "removed"));
  line("adds link", texts_of(change, "links_added"));
  line("removes link", texts_of(change, "links_removed"));
  bool other = false;
  if (!change["other"].get(other) && other) {
    lines += "  changes preferred ways, timing or priorities\n";
  }
  return lines;
}

// What a gateway answered, or why it did not.
Result<std::string> body_of(const Result<HttpAnswer>& answer, const std::string& url) {
  if (!answer) return fail(answer.error().code, "cannot reach " + url + ": " + answer.error().text);
  if (answer->status == 200) return answer->body;
  dom::parser parser;
  dom::element root;
  if (parser.parse(answer->body).get(root)) {
    return fail(Code::kRefused, url + " answered " + std::to_string(answer->status));
  }
  return fail(Code::kRefused, text_of(root, "detail"));
}

int show(const std::string& url, OutputFormat format, std::ostream& out, std::ostream& err,
         const std::function<void(const dom::element&)>& print) {
  const auto endpoint = parse_url(url);
  if (!endpoint) return failed(url + ": " + endpoint.error().text, err, kUsage);
  const auto body = body_of(http_get(*endpoint, "/v1/topology", kTimeout), url);
  if (!body) return failed(body.error().text, err);
  dom::parser parser;
  dom::element root;
  if (parser.parse(*body).get(root)) return failed("the answer is no topology", err);
  if (format == OutputFormat::kJson) {
    out << *body << "\n";
  } else {
    print(root);
  }
  return kFine;
}

// What of a file goes to a gateway at once: lines of one kind.
struct Piece {
  bool records = false;  // transactions as they are; otherwise one that has only rows
  std::string lines;
};

constexpr size_t kPieceBytes = 1 << 20;

std::optional<Piece> next_piece(std::istream& in, std::string& ahead) {
  Piece piece;
  for (; !ahead.empty() || std::getline(in, ahead); ahead.clear()) {
    if (ahead.empty()) continue;
    const bool record = ahead.ends_with("\"}");  // rows end with their list
    const bool fits = piece.records && record && piece.lines.size() + ahead.size() < kPieceBytes;
    if (!piece.lines.empty() && !fits) break;
    piece.records = record;
    piece.lines += ahead + "\n";
  }
  if (piece.lines.empty()) return std::nullopt;
  return piece;
}

struct Submitted {
  uint64_t taken = 0, had = 0;
};

Result<Submitted> submit_piece(const Endpoint& endpoint, const std::string& url, Piece piece) {
  const char* path = piece.records ? "/v1/unshipped" : "/v1/transactions";
  const auto body = body_of(http_post(endpoint, path, std::move(piece.lines), kSubmitTimeout), url);
  if (!body) return tl::unexpected(body.error());
  if (!piece.records) return Submitted{1, 0};
  Submitted done;
  dom::parser parser;
  dom::element root;
  if (parser.parse(*body).get(root) || root["taken"].get(done.taken) || root["had"].get(done.had)) {
    return fail(Code::kRefused, url + " does not say what it has taken in");
  }
  return done;
}

}  // namespace

int show_topology(const std::string& url, OutputFormat format, std::ostream& out,
                  std::ostream& err) {
  return show(url, format, out, err, [&](const dom::element& root) {
    out << "cluster " << printable(text_of(root, "cluster")) << ", " << text_of(root, "kind")
        << ", epoch " << number_of(root, "epoch") << "\n\n";
    out << "  datacenters " << printable(listed(texts_of(root, "datacenters"))) << "\n";
    out << "  links " << printable(listed(texts_of(root, "links"))) << "\n";
    out << "  schema leader " << printable(text_of(root, "schema_leader")) << "\n";
  });
}

int show_leader(const std::string& url, OutputFormat format, std::ostream& out, std::ostream& err) {
  return show(url, format, out, err, [&](const dom::element& root) {
    out << printable(text_of(root, "schema_leader")) << " leads the schema of cluster "
        << printable(text_of(root, "cluster")) << ", epoch " << number_of(root, "epoch") << "\n";
  });
}

int change_topology(const std::string& url, const TopologyStep& step, OutputFormat format,
                    std::ostream& out, std::ostream& err) {
  const auto endpoint = parse_url(url);
  if (!endpoint) return failed(url + ": " + endpoint.error().text, err, kUsage);
  JsonWriter question;
  question.begin_object().key("plan").boolean(step.plan);
  if (!step.file.empty()) {
    const auto file = read_topology_file(step.file);
    if (!file.loaded.problems.empty()) {
      err << render_problems(file, file.loaded.problems);
      return kUsage;
    }
    question.member("yaml", file.text);
  }
  if (!step.leader.empty()) question.member("leader", step.leader);
  question.key("remove").begin_array();
  if (!step.remove.empty()) question.string(step.remove);
  question.end_array().end_object();
  const auto body = body_of(http_post(*endpoint, "/v1/topology", question.take(), kTimeout), url);
  if (!body) return failed(body.error().text, err);
  if (format == OutputFormat::kJson) {
    out << *body << "\n";
    return kFine;
  }
  dom::parser parser;
  dom::element root, change;
  if (parser.parse(*body).get(root) || root["change"].get(change)) {
    return failed("the answer is no topology", err);
  }
  const std::string lines = lines_of(change), epoch = number_of(root, "epoch");
  if (lines.empty()) {
    out << "nothing to change: epoch " << epoch << " is like that\n";
  } else {
    out << (step.plan ? "it would change epoch " : "the cluster goes over to epoch ") << epoch
        << (step.plan ? ":\n" : ", gateway by gateway, within seconds of its being reached:\n")
        << lines;
  }
  return kFine;
}

int submit_unshipped(const std::string& url, const std::filesystem::path& file, OutputFormat format,
                     std::ostream& out, std::ostream& err) {
  const auto endpoint = parse_url(url);
  if (!endpoint) return failed(url + ": " + endpoint.error().text, err, kUsage);
  std::ifstream in(file);
  if (!in) return failed("cannot read " + file.string(), err, kUsage);
  Submitted all;
  uint64_t refused = 0;
  std::string ahead;
  for (auto piece = next_piece(in, ahead); piece; piece = next_piece(in, ahead)) {
    const bool records = piece->records;
    const std::string row = records ? "" : piece->lines;
    const auto done = submit_piece(*endpoint, url, std::move(*piece));
    if (!done && !records && done.error().code == Code::kRefused) {
      err << "entente: not written, " << printable(done.error().text) << ": " << printable(row)
          << "\n";
      ++refused;
      continue;
    }
    if (!done) {
      return failed(done.error().text + " (" + std::to_string(all.taken + all.had) +
                        " transactions of " + file.string() + " are in already)",
                    err);
    }
    all.taken += done->taken;
    all.had += done->had;
  }
  if (format == OutputFormat::kJson) {
    out << json_object(std::vector<std::pair<std::string, std::string>>{
               {"taken", std::to_string(all.taken)}, {"had", std::to_string(all.had)}})
        << "\n";
  } else {
    out << all.taken << " transactions are taken in; " << all.had << " were there already\n";
  }
  return refused == 0 ? kFine : kDegraded;
}

}  // namespace entente
