#include "gateway/handlers/load_handlers.h"

#include "conflict/lua/lua_handler.h"
#include "gateway/handlers/plugin_handler.h"
#include "gateway/handlers/remembering_handler.h"

namespace entente {
namespace {

using Made = Result<std::shared_ptr<Handler>>;

constexpr size_t kLargestScript = 1 << 20;  // bytes

tl::unexpected<Error> in_file(const std::string& path, Error error) {
  if (!error.text.starts_with(path + ":")) error.text = path + ": " + error.text;
  return tl::unexpected(std::move(error));
}

Made make_lua(const HandlerSource& source) {
  const auto script = read_file(source.path, kLargestScript);
  if (!script) return tl::unexpected(script.error());
  return load_lua(source.path, *script, source.instructions, source.memory);
}

Made make_plugin(const HandlerSource& source, const std::filesystem::path& host) {
  auto file = PluginFile::read(source.path, source.sha256);
  if (!file) return tl::unexpected(file.error());
  PluginOptions options;
  options.config = source.config;
  options.time = std::chrono::milliseconds(source.time_ms);
  options.memory = source.memory;
  options.host = host;
  return source.trusted ? trusted_plugin(std::move(*file), options)
                        : isolated_plugin(std::move(*file), options);
}

}  // namespace

Result<std::shared_ptr<const Handler>> make_bare_handler(const HandlerSource& source,
                                                         const std::filesystem::path& host) {
  auto made =
      source.kind == HandlerSource::Kind::kLua ? make_lua(source) : make_plugin(source, host);
  if (!made) return in_file(source.path, made.error());
  return made;
}

Result<std::shared_ptr<const Handler>> make_handler(const HandlerSource& source,
                                                    const std::filesystem::path& host) {
  auto made = make_bare_handler(source, host);
  if (!made) return made;
  return std::make_shared<RememberingHandler>(std::move(*made));
}

std::vector<HandlerProblem> load_handlers(ConflictRules& rules, const std::filesystem::path& host) {
  std::vector<HandlerProblem> problems;
  std::map<std::string, std::shared_ptr<const Handler>, std::less<>> made;
  for (const auto& [name, source] : rules.handlers) {
    auto handler = make_handler(source, host);
    if (!handler) problems.push_back({name, handler.error().text});
    made[name] = handler ? std::move(*handler) : nullptr;
  }
  rules.for_each_policy([&](Policy& policy) {
    if (policy.kind != PolicyKind::kHandler) return;
    const auto at = made.find(policy.handler);
    if (at == made.end()) {
      problems.push_back(
          {policy.handler, "`" + policy.handler + "` is not defined under `handlers`"});
    } else {
      policy.run_this = at->second;
    }
  });
  return problems;
}

}  // namespace entente
