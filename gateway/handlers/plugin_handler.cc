#include "gateway/handlers/plugin_handler.h"

#include <algorithm>
#include <mutex>

#include "gateway/handlers/handler_process.h"
#include "gateway/handlers/owned_conflict.h"
#include "gateway/handlers/plugin.h"

namespace entente {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr milliseconds kFirstPause = 100ms, kLongestPause = 30s;
constexpr milliseconds kStartTakes = 10s;  // at most

std::string version_of(const PluginFile& file, const std::string& config) {
  return "plugin:" + file.sha256().substr(0, 32) + ":" + sha256_hex(config).substr(0, 16);
}

class IsolatedPlugin : public Handler {
 public:
  IsolatedPlugin(PluginFile file, PluginOptions options)
      : version_(version_of(file, options.config)),
        file_(std::move(file)),
        options_(std::move(options)) {}

  Result<void> start() const {
    auto process = HandlerProcess::start(options_.host, file_, {options_.memory, options_.config},
                                         kStartTakes);
    if (!process) return tl::unexpected(process.error());
    process_ = std::move(*process);
    return {};
  }

  Result<Decision> decide(const Conflict& conflict) const override {
    ByteWriter request;
    encode(request, conflict);
    const std::lock_guard lock(mutex_);
    if (auto running = make_sure_it_runs(); !running) return tl::unexpected(running.error());
    auto reply = process_->ask(request.view(), options_.time);
    if (!reply) return broken(reply.error());
    failures_ = 0;
    return std::move(*reply);
  }

  const std::string& version() const override { return version_; }

 private:
  Result<void> make_sure_it_runs() const {
    if (process_) return {};
    const auto now = options_.now();
    if (now < start_again_at_) {
      const auto left = std::chrono::ceil<milliseconds>(start_again_at_ - now);
      return fail(Code::kBusy,
                  "it failed and is started again in " + std::to_string(left.count()) +
                      " ms: " + last_failure_,
                  "stopped");
    }
    if (auto started = start(); !started) return broken(started.error());
    return {};
  }

  tl::unexpected<Error> broken(Error error) const {
    if (error.code == Code::kTooLarge) return tl::unexpected(std::move(error));
    if (error.code == Code::kTimeout) {
      error.text = "it did not answer within " + std::to_string(options_.time.count()) +
                   " ms and was killed";
    }
    process_.reset();
    const auto pause = kFirstPause * (1u << std::min(failures_, 20u));
    start_again_at_ = options_.now() + std::min<milliseconds>(pause, kLongestPause);
    ++failures_;
    last_failure_ = error.text;
    return tl::unexpected(std::move(error));
  }

  const std::string version_;
  const PluginFile file_;
  const PluginOptions options_;
  mutable std::mutex mutex_;  // of what follows
  mutable std::unique_ptr<HandlerProcess> process_;
  mutable unsigned failures_ = 0;  // since the last reply
  mutable std::string last_failure_;
  mutable std::chrono::steady_clock::time_point start_again_at_;
};

class TrustedPlugin : public Handler {
 public:
  TrustedPlugin(PluginFile file, const std::string& config)
      : version_(version_of(file, config)), file_(std::move(file)) {}

  Result<void> load(const std::string& config) {
    auto plugin = Plugin::load(file_.fd());
    if (!plugin) return tl::unexpected(plugin.error());
    if (auto opened = (*plugin)->open(config); !opened) return opened;
    plugin_ = std::move(*plugin);
    return {};
  }

  Result<Decision> decide(const Conflict& conflict) const override {
    const std::lock_guard lock(mutex_);
    return plugin_->decide(conflict);
  }

  const std::string& version() const override { return version_; }

 private:
  const std::string version_;
  const PluginFile file_;  // outlives what was loaded from it
  std::unique_ptr<Plugin> plugin_;
  mutable std::mutex mutex_;
};

}  // namespace

Result<std::shared_ptr<Handler>> isolated_plugin(PluginFile file, PluginOptions options) {
  auto handler = std::make_shared<IsolatedPlugin>(std::move(file), std::move(options));
  if (auto started = handler->start(); !started) return tl::unexpected(started.error());
  return handler;
}

Result<std::shared_ptr<Handler>> trusted_plugin(PluginFile file, const PluginOptions& options) {
  auto handler = std::make_shared<TrustedPlugin>(std::move(file), options.config);
  if (auto loaded = handler->load(options.config); !loaded) return tl::unexpected(loaded.error());
  return handler;
}

}  // namespace entente
