#include "gateway/handlers/handler_host.h"

#include <unistd.h>

#include "gateway/handlers/confinement.h"
#include "gateway/handlers/frames.h"
#include "gateway/handlers/owned_conflict.h"
#include "gateway/handlers/plugin.h"

namespace entente {
namespace {

// Its constructors run with the rights to open files, because its libraries are loaded then; its
// functions without.
Result<std::unique_ptr<Plugin>> load_confined(uint64_t memory) {
  if (auto done = give_up_resources(kHostPlugin + 1, memory); !done)
    return tl::unexpected(done.error());
  if (auto done = allow_only_loading(kHostSocket); !done) return tl::unexpected(done.error());
  auto plugin = Plugin::load(kHostPlugin);
  ::close(kHostPlugin);
  if (auto done = allow_only_computing(kHostSocket); !done) return tl::unexpected(done.error());
  return plugin;
}

Result<std::unique_ptr<Plugin>> start(const Beginning& beginning) {
  auto plugin = load_confined(beginning.memory);
  if (!plugin) return plugin;
  if (auto opened = (*plugin)->open(beginning.config); !opened)
    return tl::unexpected(opened.error());
  return plugin;
}

Result<Decision> decide(const Plugin& plugin, std::string_view request) {
  const auto conflict = decode_conflict(request);
  if (!conflict) return tl::unexpected(conflict.error());
  return plugin.decide(conflict->view());
}

bool reply(const Result<Decision>& what) {
  return send_frame(kHostSocket, encode_reply(what), nullptr).has_value();
}

int serve() {
  const auto frame = receive_frame(kHostSocket, nullptr);
  if (!frame) return 1;
  const auto beginning = decode_beginning(*frame);
  if (!beginning) return 1;
  const auto plugin = start(*beginning);
  if (!plugin) {
    reply(tl::unexpected(plugin.error()));
    return 1;
  }
  if (!reply(Decision())) return 1;
  while (const auto request = receive_frame(kHostSocket, nullptr)) {
    if (!reply(decide(**plugin, *request))) break;
  }
  return 0;
}

}  // namespace

// Leaves without the destructors of a process that may do nothing any more.
int run_handler_host() { ::_exit(serve()); }

}  // namespace entente
