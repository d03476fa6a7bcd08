// CLUSTER: the slot map as clients of Redis Cluster read it. There is one node, which has all
// slots.
#include "base/number_text.h"
#include "protocol/command_table.h"
#include "protocol/errors.h"
#include "protocol/session.h"
#include "protocol/shard_port.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

// The address that this client reached the node by.
struct NodeAddress {
  std::string host;
  int64_t port;
};

NodeAddress AddressOf(Session& session) {
  const std::string& local = session.info().local_address;
  std::string host = local.substr(0, local.rfind(':'));
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  return {host, session.port().node().tcp_port};
}

const std::string& NodeId(Session& session) {
  return session.port().node().services.identity().run_id;
}

void ReplyInfo(Session& session) {
  std::string text;
  const auto line = [&text](std::string_view name, std::string_view value) {
    text.append(name).append(":").append(value).append("\r\n");
  };
  const std::string slots = std::to_string(kSlotCount);
  line("cluster_enabled", "0");
  line("cluster_state", "ok");
  line("cluster_slots_assigned", slots);
  line("cluster_slots_ok", slots);
  line("cluster_slots_pfail", "0");
  line("cluster_slots_fail", "0");
  line("cluster_known_nodes", "1");
  line("cluster_size", "1");
  line("cluster_current_epoch", "1");
  line("cluster_my_epoch", "1");
  session.reply().Verbatim(text);
}

void ReplySlots(Session& session) {
  const NodeAddress address = AddressOf(session);
  ReplyWriter reply = session.reply();
  reply.Array(1);
  reply.Array(3);
  reply.Integer(0);
  reply.Integer(kSlotCount - 1);
  reply.Array(4);
  reply.Bulk(address.host);
  reply.Integer(address.port);
  reply.Bulk(NodeId(session));
  reply.Array(0);
}

void ReplyShards(Session& session) {
  const NodeAddress address = AddressOf(session);
  ReplyWriter reply = session.reply();
  reply.Array(1);
  reply.Map(2);
  reply.Bulk("slots");
  reply.Array(2);
  reply.Integer(0);
  reply.Integer(kSlotCount - 1);
  reply.Bulk("nodes");
  reply.Array(1);
  reply.Map(7);
  reply.Bulk("id");
  reply.Bulk(NodeId(session));
  reply.Bulk("port");
  reply.Integer(address.port);
  reply.Bulk("ip");
  reply.Bulk(address.host);
  reply.Bulk("endpoint");
  reply.Bulk(address.host);
  reply.Bulk("role");
  reply.Bulk("master");
  reply.Bulk("replication-offset");
  reply.Integer(0);
  reply.Bulk("health");
  reply.Bulk("online");
}

void ReplyNodes(Session& session) {
  const NodeAddress address = AddressOf(session);
  const std::string port = std::to_string(address.port);
  session.reply().Verbatim(NodeId(session) + " " + address.host + ":" + port + "@" + port +
                           " myself,master - 0 0 1 connected 0-" + std::to_string(kSlotCount - 1) +
                           "\n");
}

void RunCluster(Session& session, Args args) {
  const std::string_view subcommand = args[1];
  if (EqualsIgnoreCase(subcommand, "KEYSLOT") && args.size() == 3) {
    session.reply().Integer(SlotOfKey(args[2]).value());
  } else if (EqualsIgnoreCase(subcommand, "INFO") && args.size() == 2) {
    ReplyInfo(session);
  } else if (EqualsIgnoreCase(subcommand, "SLOTS") && args.size() == 2) {
    ReplySlots(session);
  } else if (EqualsIgnoreCase(subcommand, "SHARDS") && args.size() == 2) {
    ReplyShards(session);
  } else if (EqualsIgnoreCase(subcommand, "NODES") && args.size() == 2) {
    ReplyNodes(session);
  } else if (EqualsIgnoreCase(subcommand, "MYID") && args.size() == 2) {
    session.reply().Bulk(NodeId(session));
  } else {
    session.ReplyError(UnknownSubcommand(subcommand, "cluster"));
  }
}

constexpr CommandRow kRows[] = {
    SessionRow("CLUSTER", -2, 0, RunCluster,
               {"cluster", "3.0.0", "Describes how slots are spread over nodes."}),
};

}  // namespace

std::span<const CommandRow> ClusterCommands() { return kRows; }

}  // namespace bettong::protocol
