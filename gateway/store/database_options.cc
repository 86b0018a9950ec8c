#include "gateway/store/database_options.h"

#include "topology/graph.h"

namespace entente {

std::filesystem::path database_path(const Datacenter& dc, const std::filesystem::path& data) {
  return dc.database_path.empty() ? data / (dc.name + ".db")
                                  : std::filesystem::path(dc.database_path);
}

DatabaseOptions database_options(const Config& config, const std::string& dc, const Origin& fresh,
                                 uint64_t wall_ms) {
  DatabaseOptions options;
  options.dc = dc;
  options.fresh_origin = fresh;
  options.rules = config.rules;
  options.rules_version = rules_fingerprint(config);
  options.key_slot = config.find(dc)->key_slot;
  options.alone = config.datacenters.size() == 1;
  options.schema_leader = config.schema_leader == dc;
  options.schema_leader_name = config.schema_leader;
  options.wall_ms = wall_ms;
  options.conflict_log_rows = config.limits.conflict_log_rows;
  options.conflict_log_ms = static_cast<uint64_t>(config.limits.conflict_log_age.count());
  options.transaction_bytes = config.limits.transaction_bytes;
  options.siblings = {config.limits.siblings, config.limits.transaction_bytes};
  options.result_bytes = config.limits.result_bytes;
  options.statement_memory = config.limits.statement_memory;
  options.statement_ms = static_cast<uint64_t>(config.limits.statement_time.count());
  options.sql_bytes = config.limits.sql_bytes;
  return options;
}

}  // namespace entente
