#include "server/http_pages.h"

#include <absl/strings/str_cat.h>

#include <utility>

namespace bettong::server {

void HttpPages::Answer(const std::string& path, HttpReply reply) {
  if (path == "/healthz") return Health(std::move(reply));
  if (path == "/readyz") return Ready(reply);
  if (path == "/metrics") return Metrics(std::move(reply));
  reply({.status = 404, .body = "no such page; there are /healthz, /readyz and /metrics\n"});
}

void HttpPages::Health(HttpReply reply) {
  // Nothing can be asked of the shards yet: the process lives, and /readyz says what it does.
  if (!node_.readiness->shards_run()) return reply({.body = "ok\n"});
  health_.Run(
      node_.shards, [](grid::ShardLoop&) { return true; }, limit_,
      [limit = limit_, reply = std::move(reply)](const std::vector<std::optional<bool>>& answers) {
        std::string silent;
        for (size_t shard = 0; shard < answers.size(); ++shard) {
          if (!answers[shard]) absl::StrAppend(&silent, silent.empty() ? "" : ", ", shard);
        }
        if (silent.empty()) return reply({.body = "ok\n"});
        reply({.status = 503,
               .body = absl::StrCat("no answer within ", limit.count(), " ms from shard ", silent,
                                    "\n")});
      });
}

void HttpPages::Ready(const HttpReply& reply) {
  const bool ready = node_.readiness->state() == NodeState::kReady;
  reply({.status = ready ? 200u : 503u, .body = node_.readiness->Describe() + "\n"});
}

void HttpPages::Metrics(HttpReply reply) {
  const auto answer = [this, reply = std::move(reply)](const ShardSamples& samples) {
    reply({.body = NodeMetrics(node_, samples), .content_type = std::string(kMetricsContentType)});
  };
  if (!node_.readiness->shards_run()) return answer({});
  scrape_.Run(
      node_.shards, [&node = node_](grid::ShardLoop& shard) { return SampleShard(node, shard); },
      limit_, answer);
}

}  // namespace bettong::server
