#include "protocol/port_testing.h"

#include "base/check.h"
#include "grid/change.h"
#include "grid/journal.h"
#include "grid/tagged.h"

namespace bettong::protocol {

std::string Encode(const std::vector<std::string>& args) {
  std::string bytes = "*" + std::to_string(args.size()) + "\r\n";
  for (const std::string& arg : args) {
    bytes += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
  }
  return bytes;
}

size_t EchoHost::RunBatch(std::span<const grid::Loan> loans, grid::LoanResults& results) {
  for (const grid::Loan& loan : loans) {
    grid::LoanResult result;
    result.kind = loan.kind;
    result.entry = loan.entry;
    result.token = loan.token;
    result.item = loan.item;
    result.changes_begin = result.changes_end = static_cast<uint32_t>(results.bytes.size());
    result.reply_begin = static_cast<uint32_t>(results.bytes.size());
    if (loan.kind == grid::TurnKind::kCall) {
      grid::TaggedReader arguments(loan.arguments);
      const uint64_t count = arguments.Next().size;
      grid::TaggedWriter reply(results.bytes);
      reply.List(count + 1);
      reply.Text(loan.row->redis_key);
      for (uint64_t i = 0; i < count; ++i) reply.Text(arguments.Next().bytes);
    }
    result.reply_end = static_cast<uint32_t>(results.bytes.size());
    results.results.push_back(result);
  }
  return loans.size();
}

TestClient::TestClient(TestPort& port, size_t shard) : port_(port) {
  ClientInfo info;
  info.id = port.node->next_client_id.fetch_add(1);
  info.address = "test";
  session_ = std::make_unique<Session>(port.port(shard), *this, std::move(info));
}

void TestClient::Give(std::string_view bytes) {
  input_ += bytes;
  Feed();
}

std::string TestClient::Send(std::string_view bytes) {
  Give(bytes);
  port_.Run();
  return Take();
}

std::string TestClient::Call(const std::vector<std::string>& args) { return Send(Encode(args)); }

std::string TestClient::Take() { return std::exchange(received_, std::string()); }

void TestClient::Feed() {
  if (session_ == nullptr || closed_) return;
  // An exact copy, so that the sanitizers see a read past the end.
  const std::string copy = input_;
  input_.erase(0, session_->Consume(copy));
  // As a connection does: paused for output that was taken at once, it goes on.
  const bool paused = session_->waiting();
  Send();
  if (paused && !closed_ && !session_->waiting()) Resume();
}

void TestClient::Send() {
  if (stuck || closed_) return;
  received_ += session_->output();
  session_->output().clear();
  if (session_->closing() && session_->idle()) closed_ = true;
}

void TestClient::Disconnect() {
  closed_ = true;
  session_->Abandon();
  session_.reset();
}

TestPort::TestPort(size_t shards, std::shared_ptr<const grid::Catalog> given, NodeSettings settings)
    : catalog(std::move(given)) {
  if (catalog == nullptr) {
    auto empty = std::make_shared<grid::Catalog>();
    BETTONG_CHECK(empty->Finish().empty());
    catalog = std::move(empty);
  }
  services.settings = std::move(settings);
  slots =
      std::make_shared<const grid::SlotMap>(kPartitionsDefault, static_cast<uint32_t>(shards), 7);
  std::vector<grid::ShardLoop*> all;
  for (size_t i = 0; i < shards; ++i) {
    grid::ShardLoopOptions options;
    options.shard.id = ShardId(static_cast<uint16_t>(i));
    options.shard.slot_map = slots;
    options.shard.catalog = catalog;
    options.inline_host = &host;
    options.clock = [this] { return now_ms; };
    loops.push_back(std::make_unique<grid::ShardLoop>(std::move(options)));
    all.push_back(loops.back().get());
  }
  for (auto& loop : loops) loop->SetShards(all);
  node = std::make_unique<PortNode>(services);
  for (auto& loop : loops) node->ports.push_back(std::make_unique<ShardPort>(*node, *loop));
}

TestPort::~TestPort() {
  clients.clear();
  node.reset();
}

TestClient& TestPort::Connect(size_t shard) {
  clients.push_back(std::make_unique<TestClient>(*this, shard));
  return *clients.back();
}

void TestPort::Run() {
  for (bool busy = true; busy;) {
    busy = false;
    for (auto& loop : loops) {
      loop->io().restart();
      busy = loop->io().poll() > 0 || busy;
    }
    for (auto& client : clients) {
      if (!std::exchange(client->resume_, false)) continue;
      client->Feed();
      busy = true;
    }
  }
}

size_t TestPort::ShardOf(std::string_view key) const {
  return slots->ShardOf(SlotOfKey(key)).value();
}

std::string TestPort::KeyOn(size_t shard, int number) const {
  for (int i = 0;; ++i) {
    std::string key = "key:" + std::to_string(i);
    if (ShardOf(key) == shard && number-- == 0) return key;
  }
}

void TestPort::CreateEntity(std::string_view key) {
  const grid::ClassSchema* entity_class = catalog->ClassOfKey(key);
  BETTONG_CHECK(entity_class != nullptr);
  ClassId class_id;
  catalog->ClassOfKey(key, &class_id);
  const PartitionId partition = slots->PartitionOf(SlotOfKey(key));
  std::string row;
  for (const grid::FieldSchema& field : entity_class->row.fields) row += field.default_value;
  grid::Journal journal(*catalog, slots->partitions());
  journal.Class(partition, class_id);
  ByteWriter(journal.Change(partition, key, grid::ChangeOp::kEntityCreate)).Bytes(row);
  wal::LogRecord record;
  journal.TakeInto(record, 0);
  BETTONG_CHECK(loops[ShardOf(key)]->shard().Apply(wal::SectionSorter().Sort(record)[0]).ok());
}

std::shared_ptr<const grid::Catalog> HostCatalog() {
  using grid::FieldType;
  auto catalog = std::make_shared<grid::Catalog>();
  catalog->streams.resize(2);
  catalog->streams[0].name = "alerts";
  catalog->streams[1].name = "samples";
  grid::ClassSchema host;
  host.name = "Host";
  host.prefix = "host";
  const auto field = [&host](std::string_view name, FieldType type, std::string default_value) {
    grid::FieldSchema schema;
    schema.name = name;
    schema.type = type;
    schema.optional = default_value.empty();
    schema.default_value = schema.optional ? std::string(1, '\0') : "\1" + default_value;
    host.row.fields.push_back(std::move(schema));
  };
  field("count", FieldType::kInt, std::string(1, '\0'));
  field("mean", FieldType::kFloat, std::string(8, '\0'));
  field("alerting", FieldType::kBool, std::string(1, '\0'));
  field("label", FieldType::kText, std::string(1, '\0'));
  field("seen", FieldType::kInt, "");
  host.commands.push_back({.name = "echo", .parameters = {}, .returns = "list"});
  host.commands.push_back({.name = "other", .parameters = {}, .returns = ""});
  catalog->classes.push_back(std::move(host));
  BETTONG_CHECK(catalog->Finish().empty());
  return catalog;
}

}  // namespace bettong::protocol
