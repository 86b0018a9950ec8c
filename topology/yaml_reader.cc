#include "topology/yaml_reader.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "topology/utf8.h"

namespace entente {
namespace {

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7F;
}

// Reports the first byte that no text file has.
bool is_text(std::string_view text, Problems& problems) {
  FilePlace at{1, 1};
  while (!text.empty()) {
    const size_t length = character_length(text);
    if (length == 0) {
      problems.add(at, "this is not UTF-8: save the file as UTF-8");
      return false;
    }
    if (is_control(text[0])) {
      problems.add(at, "a control character: remove it");
      return false;
    }
    at = text[0] == '\n' ? FilePlace{at.line + 1, 1} : FilePlace{at.line, at.column + 1};
    text.remove_prefix(length);
  }
  return true;
}

// Where the lines begin, to turn the parser's bytes into characters.
class Lines {
 public:
  explicit Lines(std::string_view text) {
    while (true) {
      const size_t end = text.find('\n');
      lines_.push_back(text.substr(0, end));
      if (end == std::string_view::npos) return;
      text.remove_prefix(end + 1);
    }
  }

  FilePlace place(const YAML::Mark& mark) {
    if (mark.is_null() || mark.line < 0 || static_cast<size_t>(mark.line) >= lines_.size()) {
      return {};
    }
    const auto line = lines_[mark.line];
    const size_t bytes = std::min<size_t>(std::max(0, mark.column), line.size());
    if (mark.line != counted_line_ || bytes < counted_bytes_) {
      counted_line_ = mark.line;
      counted_bytes_ = 0;
      counted_characters_ = 0;
    }
    const auto next = line.substr(counted_bytes_, bytes - counted_bytes_);
    counted_characters_ += static_cast<int>(
        std::count_if(next.begin(), next.end(), [](char c) { return (c & 0xC0) != 0x80; }));
    counted_bytes_ = bytes;
    return {mark.line + 1, counted_characters_ + 1};
  }

  // The first line from here that is indented with a tab, if this one or the next is.
  FilePlace tab_near(int line) const {
    for (int i = std::max(0, line - 1); i <= line + 1; ++i) {
      if (static_cast<size_t>(i) >= lines_.size()) return {};
      const size_t indent = lines_[i].find_first_not_of(" \t");
      const size_t tab = lines_[i].substr(0, indent).find('\t');
      if (tab != std::string_view::npos) return {i + 1, static_cast<int>(tab) + 1};
    }
    return {};
  }

 private:
  std::vector<std::string_view> lines_;
  // How far the last place was counted: marks mostly move forwards, and a line can be a megabyte.
  int counted_line_ = -1;
  size_t counted_bytes_ = 0;
  int counted_characters_ = 0;
};

// Builds nodes from the parser's events. After something that makes the rest meaningless it ignores
// all that follows.
class Builder : public YAML::EventHandler {
 public:
  Builder(Lines& lines, Problems& problems) : lines_(lines), problems_(problems) {}

  Node root;
  bool stopped = false;

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ == 0) return;
    stop(lines_.place(mark), "a second document begins here: a topology file has only one");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_reuse(mark, "", anchor);
    leaf(node_at(mark, Node::Kind::kNothing));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    problems_.add(lines_.place(mark), "aliases are not supported: write the value out");
    leaf(node_at(mark, Node::Kind::kBroken));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_reuse(mark, tag, anchor);
    Node node = node_at(mark, Node::Kind::kText);
    node.text = value;
    node.plain = tag == "?";
    leaf(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    Node node;
    bool has_key = false;
    Entry next;                                  // has_key: its value comes next
    std::unordered_map<std::string, int> lines;  // of the keys so far
  };

  Node node_at(const YAML::Mark& mark, Node::Kind kind) {
    Node node;
    node.kind = kind;
    node.place = lines_.place(mark);
    return node;
  }

  void stop(FilePlace place, std::string text) {
    if (!stopped) problems_.add(place, std::move(text));
    stopped = true;
  }

  void refuse_reuse(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (stopped) return;
    if (anchor != 0) {
      problems_.add(lines_.place(mark), "anchors are not supported: write the value out");
    }
    if (!tag.empty() && tag != "?" && tag != "!") {
      problems_.add(lines_.place(mark), "tags are not supported: leave " + in_quotes(tag) + " out");
    }
  }

  void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    refuse_reuse(mark, tag, anchor);
    if (frames_.size() >= kDeepest) {
      stop(lines_.place(mark), "nested deeper than " + std::to_string(kDeepest) + " levels");
    }
    if (stopped) return;
    frames_.emplace_back().node = node_at(mark, kind);
  }

  void close() {
    if (stopped) return;
    Node done = std::move(frames_.back().node);
    frames_.pop_back();
    leaf(std::move(done));
  }

  void leaf(Node node) {
    if (stopped) return;
    if (frames_.empty()) {
      root = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.node.kind == Node::Kind::kList) {
      frame.node.items.push_back(std::move(node));
    } else if (!frame.has_key) {
      key(frame, std::move(node));
    } else {
      frame.has_key = false;
      value(frame, std::move(node));
    }
  }

  void key(Frame& frame, Node node) {
    frame.has_key = true;
    frame.next = {.key = std::move(node.text), .place = node.place, .value = {}};
    if (!frame.next.key.empty()) return;
    problems_.add(node.place, "a key must be a word");
  }

  void value(Frame& frame, Node node) {
    if (frame.next.key.empty()) return;
    const auto [first, is_new] = frame.lines.try_emplace(frame.next.key, frame.next.place.line);
    if (!is_new) {
      problems_.add(frame.next.place, in_quotes(frame.next.key) +
                                          " is given twice: first on line " +
                                          std::to_string(first->second));
      return;
    }
    frame.next.value = std::move(node);
    frame.node.entries.push_back(std::move(frame.next));
  }

  Lines& lines_;
  Problems& problems_;
  std::vector<Frame> frames_;
  int documents_ = 0;
};

void report_syntax(const YAML::Exception& error, Lines& lines, Problems& problems) {
  const FilePlace tab = lines.tab_near(error.mark.line);
  if (tab.line > 0) {
    problems.add(tab, "YAML cannot be indented with tabs: use spaces");
    return;
  }
  problems.add(lines.place(error.mark), "this is not YAML: " + error.msg);
}

bool parse(std::string_view text, Builder& builder, Lines& lines, Problems& problems) {
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    if (!parser.HandleNextDocument(builder)) {
      problems.add({}, "the file is empty");
      return false;
    }
    if (!builder.stopped) parser.HandleNextDocument(builder);
  } catch (const YAML::Exception& error) {
    if (!builder.stopped) report_syntax(error, lines, problems);
    return false;
  } catch (const std::exception& error) {
    if (!builder.stopped) problems.add({}, std::string("the YAML cannot be read: ") + error.what());
    return false;
  }
  return !builder.stopped;
}

}  // namespace

std::optional<Node> read_yaml(std::string_view text, Problems& problems) {
  if (text.size() > kLongestFile) {
    problems.add({},
                 "the file has " + std::to_string(text.size()) + " bytes; at most 1 MiB is read");
    return std::nullopt;
  }
  if (!is_text(text, problems)) return std::nullopt;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  Lines lines(text);
  Builder builder(lines, problems);
  if (!parse(text, builder, lines, problems)) return std::nullopt;
  return std::move(builder.root);
}

}  // namespace entente
