#include "gateway/access/client.h"

namespace entente {
namespace {

Result<void> permit(bool permitted, std::string_view verb, std::string_view table) {
  if (permitted) return {};
  return fail(Code::kRefused,
              "the token does not allow to " + std::string(verb) + " table " + std::string(table),
              "forbidden");
}

}  // namespace

Result<void> permit_read(const Client& client, std::string_view table) {
  return permit(client.may_read(table), "read", table);
}

Result<void> permit_write(const Client& client, std::string_view table) {
  return permit(client.may_write(table), "write", table);
}

}  // namespace entente
