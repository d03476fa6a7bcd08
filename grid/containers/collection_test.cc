// Collections against the standard library's: what a turn does, takes back, records, and what the
// image holds.
#include "grid/containers/collection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "grid/containers/dictionary.h"
#include "grid/containers/sequence.h"

namespace bettong::grid {
namespace {

std::string ImageOf(const Container& container) {
  std::string image;
  container.EncodeImage(image);
  return image;
}
std::string JsonOf(const Container& container) {
  std::string json;
  container.AppendJson(json);
  return json;
}

// A value of the type, and what it is known by in the models.
class Values {
 public:
  explicit Values(std::mt19937& random) : random_(random) {}

  Scalar Make(ScalarType type, size_t kinds) {
    const auto number = static_cast<int64_t>(random_() % kinds) - static_cast<int64_t>(kinds / 2);
    switch (type) {
      case ScalarType::kNone:
        return {};
      case ScalarType::kInt:
        return {.raw = static_cast<uint64_t>(number)};
      case ScalarType::kFloat:
        return {.raw = std::bit_cast<uint64_t>(0.5 + static_cast<double>(number))};
      case ScalarType::kBool:
        return {.raw = static_cast<uint64_t>(number & 1)};
      case ScalarType::kText:
      case ScalarType::kBytes:
      case ScalarType::kRecord:
        break;
    }
    text_ = std::to_string(number);
    if (random_() % 2 == 0) text_ += " and so much that it has no place in its slot";
    return {.bytes = text_};
  }

 private:
  std::mt19937& random_;
  std::string text_;
};

std::string Known(ScalarType type, const Scalar& value) {
  std::string out;
  ByteWriter bytes(out);
  WriteScalar(type, value, bytes);
  return out;
}

// What a collection may keep of its memory when it is empty again.
constexpr size_t kEmptyBytesMax = 1600;

constexpr ScalarType kTypes[] = {ScalarType::kInt, ScalarType::kFloat, ScalarType::kBool,
                                 ScalarType::kText, ScalarType::kBytes};

TEST(SequenceTest, AgreesWithAVector) {
  for (uint32_t seed = 0; seed < 80; ++seed) {
    std::mt19937 random(seed);
    Values values(random);
    const bool ring = random() % 2 == 0;
    const CollectionSpec spec = {.kind = ring ? CollectionKind::kRing : CollectionKind::kList,
                                 .value = kTypes[random() % 5],
                                 .elements_max = static_cast<uint32_t>(1 + random() % 50)};
    Sequence sequence(spec), replayed(spec);
    std::vector<std::string> model;
    ContainerTurn turn;
    for (int step = 0; step < 300; ++step) {
      const std::vector<std::string> before = model;
      const std::string image = ImageOf(sequence);
      for (size_t edits = random() % 12; edits > 0; --edits) {
        const Scalar value = values.Make(spec.value, 1000);
        const std::string known = Known(spec.value, value);
        const size_t at = random() % (model.size() + 1);
        const bool there = at < model.size();
        switch (random() % (ring ? 4 : 8)) {
          case 0:
            if (random() % 20 > 0) break;
            ASSERT_EQ(sequence.Clear(turn), Edit::kDone);
            model.clear();
            break;
          case 4:
            if (model.size() == spec.elements_max) {
              ASSERT_EQ(sequence.Insert(at, value, turn), Edit::kFull);
              break;
            }
            ASSERT_EQ(sequence.Insert(at, value, turn), Edit::kDone);
            model.insert(model.begin() + static_cast<ptrdiff_t>(at), known);
            break;
          case 5:
            if (!there) break;
            ASSERT_EQ(sequence.Set(at, value, turn), Edit::kDone);
            model[at] = known;
            break;
          case 6:
            if (!there) break;
            ASSERT_EQ(sequence.Erase(at, turn), Edit::kDone);
            model.erase(model.begin() + static_cast<ptrdiff_t>(at));
            break;
          default:
            if (model.size() == spec.elements_max && !ring) {
              ASSERT_EQ(sequence.Append(value, turn), Edit::kFull);
              break;
            }
            ASSERT_EQ(sequence.Append(value, turn), Edit::kDone);
            if (model.size() == spec.elements_max) model.erase(model.begin());
            model.push_back(known);
        }
      }
      if (random() % 4 == 0) {
        sequence.RollBack(turn);
        model = before;
        ASSERT_EQ(ImageOf(sequence), image) << "seed " << seed;
      } else {
        ASSERT_TRUE(replayed.Replay(turn.operations)) << "seed " << seed;
        sequence.Commit(turn);
      }
      ASSERT_EQ(sequence.size(), model.size()) << "seed " << seed;
      for (size_t i = 0; i < model.size(); ++i) {
        ASSERT_EQ(Known(spec.value, sequence.At(i)), model[i]) << "seed " << seed << " at " << i;
      }
    }
    EXPECT_EQ(ImageOf(replayed), ImageOf(sequence));
    Sequence copy(spec);
    ASSERT_TRUE(copy.DecodeImage(ImageOf(sequence)));
    EXPECT_EQ(ImageOf(copy), ImageOf(sequence));
    sequence.Clear(turn);
    sequence.Commit(turn);
    EXPECT_LT(sequence.heap_bytes(), Sequence(spec).heap_bytes() + kEmptyBytesMax);
  }
}

TEST(DictionaryTest, AgreesWithAVectorOfPairs) {
  for (uint32_t seed = 0; seed < 80; ++seed) {
    std::mt19937 random(seed);
    Values values(random), others(random);
    const bool set = random() % 3 == 0;
    CollectionSpec spec = {.kind = set ? CollectionKind::kSet : CollectionKind::kMap,
                           .key = kTypes[random() % 5],
                           .value = set ? ScalarType::kNone : kTypes[random() % 5],
                           .elements_max = static_cast<uint32_t>(1 + random() % 200)};
    if (!set && (spec.key == ScalarType::kFloat || spec.key == ScalarType::kBool)) {
      spec.key = ScalarType::kText;
    }
    ASSERT_EQ(spec.Check(), "");
    Dictionary dictionary(spec), replayed(spec);
    std::vector<std::pair<std::string, std::string>> model;
    ContainerTurn turn;
    for (int step = 0; step < 300; ++step) {
      const auto before = model;
      const std::string image = ImageOf(dictionary);
      const bool shrinks = step / 50 % 2 == 1;
      for (size_t edits = random() % 30; edits > 0; --edits) {
        const Scalar key = values.Make(spec.key, 300);
        const Scalar value = others.Make(spec.value, 1000);
        const std::string known = Known(spec.key, key);
        const auto found = std::find_if(model.begin(), model.end(),
                                        [&](const auto& pair) { return pair.first == known; });
        const uint32_t position = dictionary.Find(key);
        ASSERT_EQ(position == Dictionary::kNowhere, found == model.end());
        const size_t dice = random() % 100;
        if (dice == 0) {
          ASSERT_EQ(dictionary.Clear(turn), Edit::kDone);
          model.clear();
        } else if (dice < (shrinks ? 60u : 20u)) {
          uint32_t which = position;
          if (which == Dictionary::kNowhere) {
            which = dice % 2 == 0 ? dictionary.Next(0) : dictionary.Before(dictionary.end());
          }
          if (which == Dictionary::kNowhere) continue;
          const std::string gone = Known(spec.key, dictionary.KeyAt(which));
          ASSERT_EQ(dictionary.Erase(which, turn), Edit::kDone);
          std::erase_if(model, [&](const auto& pair) { return pair.first == gone; });
        } else if (found != model.end()) {
          ASSERT_EQ(dictionary.Put(key, value, turn), Edit::kDone);
          found->second = Known(spec.value, value);
        } else if (model.size() == spec.elements_max) {
          ASSERT_EQ(dictionary.Put(key, value, turn), Edit::kFull);
        } else {
          ASSERT_EQ(dictionary.Put(key, value, turn), Edit::kDone);
          model.emplace_back(known, Known(spec.value, value));
        }
      }
      if (random() % 4 == 0) {
        dictionary.RollBack(turn);
        model = before;
        ASSERT_EQ(ImageOf(dictionary), image) << "seed " << seed;
      } else {
        ASSERT_TRUE(replayed.Replay(turn.operations)) << "seed " << seed;
        dictionary.Commit(turn);
      }
      ASSERT_EQ(dictionary.size(), model.size()) << "seed " << seed;
      size_t i = 0;
      for (uint32_t at = dictionary.Next(0); at != Dictionary::kNowhere;
           at = dictionary.Next(at + 1), ++i) {
        ASSERT_LT(i, model.size());
        ASSERT_EQ(Known(spec.key, dictionary.KeyAt(at)), model[i].first) << "seed " << seed;
        ASSERT_EQ(Known(spec.value, dictionary.ValueAt(at)), model[i].second) << "seed " << seed;
        ASSERT_EQ(dictionary.Find(dictionary.KeyAt(at)), at) << "seed " << seed;
      }
      ASSERT_EQ(i, model.size());
    }
    EXPECT_EQ(ImageOf(replayed), ImageOf(dictionary));
    Dictionary copy(spec);
    ASSERT_TRUE(copy.DecodeImage(ImageOf(dictionary)));
    EXPECT_EQ(ImageOf(copy), ImageOf(dictionary));
    dictionary.Clear(turn);
    dictionary.Commit(turn);
    EXPECT_LT(dictionary.heap_bytes(), Dictionary(spec).heap_bytes() + kEmptyBytesMax);
  }
}

// Keys taken from both ends and from the middle, in one turn that fails after all.
TEST(DictionaryTest, HolesAnywhereAreTakenBack) {
  const CollectionSpec spec = {
      .kind = CollectionKind::kSet, .key = ScalarType::kInt, .value = ScalarType::kNone};
  Dictionary set(spec);
  ContainerTurn turn;
  constexpr uint64_t kCount = 2000;
  for (uint64_t i = 0; i < kCount; ++i) set.Put({.raw = i}, {}, turn);
  set.Commit(turn);
  const std::string image = ImageOf(set);
  for (uint64_t i = kCount / 4; i < kCount / 2; ++i) set.Erase(set.Find({.raw = i}), turn);
  for (uint64_t first = 0, last = kCount - 1; set.size() > kCount / 4; ++first, --last) {
    ASSERT_EQ(set.KeyAt(set.Next(0)).raw, first);
    ASSERT_EQ(set.KeyAt(set.Before(set.end())).raw, last);
    set.Erase(set.Next(0), turn);
    set.Erase(set.Before(set.end()), turn);
  }
  EXPECT_EQ(set.KeyAt(set.Next(0)).raw, kCount / 2);
  set.RollBack(turn);
  EXPECT_EQ(ImageOf(set), image);
}

TEST(DictionaryTest, FloatsAreFoundAsPythonFindsThem) {
  Dictionary set(
      {.kind = CollectionKind::kSet, .key = ScalarType::kFloat, .value = ScalarType::kNone});
  ContainerTurn turn;
  const auto raw = [](double value) { return Scalar{.raw = std::bit_cast<uint64_t>(value)}; };
  set.Put(raw(0.0), {}, turn), set.Put(raw(-0.0), {}, turn);
  set.Put(raw(std::nan("1")), {}, turn), set.Put(raw(-std::nan("2")), {}, turn);
  EXPECT_EQ(set.size(), 2u);
  EXPECT_NE(set.Find(raw(-0.0)), Dictionary::kNowhere);
  EXPECT_EQ(JsonOf(set), "[0.0,null]");
  set.Commit(turn);
}

TEST(CollectionTest, TextsAndBytesHaveLimits) {
  const CollectionSpec list_spec = {.value = ScalarType::kText};
  const CollectionSpec map_spec = {
      .kind = CollectionKind::kMap, .key = ScalarType::kText, .value = ScalarType::kBytes};
  Sequence list(list_spec);
  Dictionary map(map_spec);
  ContainerTurn of_list, of_map;
  const std::string most(kElementBytesMax, 'x'), more(kElementBytesMax + 1, 'x');
  EXPECT_EQ(list.Append({.bytes = more}, of_list), Edit::kElementTooLong);
  EXPECT_EQ(map.Put({.bytes = more}, {}, of_map), Edit::kElementTooLong);
  EXPECT_EQ(map.Put({.bytes = "k"}, {.bytes = more}, of_map), Edit::kElementTooLong);
  EXPECT_FALSE(of_list.changed() || of_map.changed());
  // Fifteen of the largest, and one of what is left.
  const size_t left = kCollectionBytesMax - 15 * (kElementBytesMax + 16) - 16;
  for (int i = 0; i < 15; ++i) ASSERT_EQ(list.Append({.bytes = most}, of_list), Edit::kDone);
  const std::string fits(left, 'y'), too_long(left + 1, 'y');
  EXPECT_EQ(list.Append({.bytes = too_long}, of_list), Edit::kTooLarge);
  EXPECT_EQ(list.Append({.bytes = fits}, of_list), Edit::kDone);
  EXPECT_EQ(list.Append({}, of_list), Edit::kTooLarge);
  EXPECT_EQ(list.Set(0, {.bytes = "short"}, of_list), Edit::kDone);
  EXPECT_EQ(list.Append({}, of_list), Edit::kDone);
  list.Commit(of_list);
  // Keys and values count together; another value takes the old one's room.
  std::string key(kElementBytesMax - 1, 'k');
  for (char c = 'a'; c < 'h'; ++c) {
    ASSERT_EQ(map.Put({.bytes = key + c}, {.bytes = most}, of_map), Edit::kDone) << c;
  }
  EXPECT_EQ(map.Put({.bytes = key + 'h'}, {.bytes = most}, of_map), Edit::kTooLarge);
  EXPECT_EQ(map.Put({.bytes = key + 'a'}, {.bytes = most}, of_map), Edit::kDone);
  map.Commit(of_map);
}

TEST(CollectionTest, ATurnRecordsNoMoreThanItsLimit) {
  const CollectionSpec spec = {
      .kind = CollectionKind::kRing, .value = ScalarType::kText, .elements_max = 1};
  Sequence ring(spec);
  ContainerTurn turn;
  const std::string most(kElementBytesMax, 'x');
  Edit edit = Edit::kDone;
  size_t appended = 0;
  for (; (edit = ring.Append({.bytes = most}, turn)) == Edit::kDone; ++appended) {
  }
  EXPECT_EQ(edit, Edit::kTurnTooLarge);
  EXPECT_EQ(appended, kTurnOperationBytesMax / kElementBytesMax - 1);
  EXPECT_EQ(ring.size(), 1u);
  ring.RollBack(turn);
  EXPECT_EQ(ring.size(), 0u);
}

// A class that has less room than it had keeps what there is; a ring until its next value.
TEST(CollectionTest, ASmallerRoomThanBefore) {
  CollectionSpec spec = {
      .kind = CollectionKind::kRing, .value = ScalarType::kInt, .elements_max = 6};
  Sequence ring(spec);
  ContainerTurn turn;
  for (uint64_t i = 0; i < 8; ++i) ring.Append({.raw = i}, turn);
  spec.elements_max = 3;
  Sequence smaller(spec), replayed(spec);
  for (Sequence* each : {&smaller, &replayed}) ASSERT_TRUE(each->DecodeImage(ImageOf(ring)));
  EXPECT_EQ(JsonOf(smaller), "[2,3,4,5,6,7]");
  ContainerTurn next;
  EXPECT_EQ(smaller.Append({.raw = 8}, next), Edit::kDone);
  EXPECT_EQ(JsonOf(smaller), "[6,7,8]");
  ASSERT_TRUE(replayed.Replay(next.operations));
  EXPECT_EQ(JsonOf(replayed), "[6,7,8]");
  smaller.RollBack(next);
  EXPECT_EQ(JsonOf(smaller), "[2,3,4,5,6,7]");
  ring.Commit(turn);
}

TEST(CollectionTest, DamagedOperationsAndImagesAreRefusedOrHarmless) {
  std::mt19937 random(5);
  Values values(random);
  const CollectionSpec specs[] = {
      {.kind = CollectionKind::kList, .value = ScalarType::kText},
      {.kind = CollectionKind::kRing, .value = ScalarType::kFloat, .elements_max = 7},
      {.kind = CollectionKind::kMap, .key = ScalarType::kText, .value = ScalarType::kBool},
      {.kind = CollectionKind::kSet, .key = ScalarType::kInt, .value = ScalarType::kNone},
  };
  for (const CollectionSpec& spec : specs) {
    const std::unique_ptr<Collection> made = Collection::Make(spec);
    ContainerTurn turn;
    for (int i = 0; i < 30; ++i) {
      const Scalar value = values.Make(spec.is_sequence() ? spec.value : spec.key, 12);
      if (spec.is_sequence()) {
        static_cast<Sequence&>(*made).Append(value, turn);
        if (i % 5 == 4) static_cast<Sequence&>(*made).Erase(made->size() / 2, turn);
      } else {
        auto& dictionary = static_cast<Dictionary&>(*made);
        dictionary.Put(value, {.raw = 1}, turn);
        if (i % 5 == 4) dictionary.Erase(dictionary.Next(0), turn);
      }
    }
    const std::string operations = turn.operations;
    made->Commit(turn);
    for (int round = 0; round < 20'000; ++round) {
      std::string bytes = round % 2 == 0 ? operations : ImageOf(*made);
      bytes[random() % bytes.size()] = static_cast<char>(random());
      if (round % 3 == 0) bytes.resize(random() % bytes.size());
      const std::unique_ptr<Collection> other = Collection::Make(spec);
      const bool good = round % 2 == 0 ? other->Replay(bytes) : other->DecodeImage(bytes);
      std::string text;
      if (round % 2 == 0) Collection::AppendOperations(spec, bytes, round % 4 == 0, text);
      if (good) {
        EXPECT_LE(other->size(), 30u);
      }
      const std::unique_ptr<Collection> again = Collection::Make(spec);
      EXPECT_TRUE(again->DecodeImage(ImageOf(*other)));
    }
  }
}

TEST(CollectionTest, MemoryIsToldAndGivenBack) {
  Sequence list({.value = ScalarType::kText});
  Dictionary map(
      {.kind = CollectionKind::kMap, .key = ScalarType::kText, .value = ScalarType::kText});
  ContainerTurn of_list, of_map;
  const size_t empty = list.heap_bytes() + map.heap_bytes();
  const std::string text(1000, 'x');
  const auto fill = [&] {
    for (int i = 0; i < 1000; ++i) {
      list.Append({.bytes = text}, of_list);
      map.Put({.bytes = text + std::to_string(i)}, {.bytes = text}, of_map);
    }
  };
  fill();
  list.RollBack(of_list), map.RollBack(of_map);
  EXPECT_LT(list.heap_bytes() + map.heap_bytes(), empty + 100'000);
  fill();
  list.Commit(of_list), map.Commit(of_map);
  const size_t full = list.heap_bytes() + map.heap_bytes();
  EXPECT_GT(full, 3'000'000u);
  EXPECT_LT(full, 3'300'000u);
  EXPECT_EQ(list.SettleBytes() + map.SettleBytes(), static_cast<int64_t>(full));
  while (list.size() > 0) list.Erase(0, of_list);
  while (map.size() > 0) map.Erase(map.Next(0), of_map);
  list.Commit(of_list), map.Commit(of_map);
  EXPECT_LT(list.heap_bytes() + map.heap_bytes(), empty + 2 * kEmptyBytesMax);
  EXPECT_LT(list.SettleBytes() + map.SettleBytes(), -2'900'000);
}

std::shared_ptr<const RecordShape> PointShape() {
  return std::make_shared<const RecordShape>(RecordShape{
      .name = "Point", .fields = {{"x", ScalarType::kInt}, {"name", ScalarType::kText}}});
}

TEST(CollectionTest, RecordsAreElementsOfOnePiece) {
  const CollectionSpec spec = {.value = ScalarType::kRecord, .record = PointShape()};
  EXPECT_EQ(spec.Check(), "");
  EXPECT_EQ(spec.Text(), "List[Point]");
  Sequence list(spec);
  ContainerTurn turn;
  const std::string point("\x0a\x01n", 3);
  ASSERT_EQ(list.Append({.bytes = point}, turn), Edit::kDone);
  EXPECT_EQ(JsonOf(list), R"([{"x":5,"name":"n"}])");
  std::string text, page;
  EXPECT_TRUE(Collection::AppendOperations(spec, turn.operations, false, text));
  EXPECT_EQ(text, R"(+[append:{"x":5,"name":"n"}])");
  EXPECT_EQ(list.AppendPage(0, 10, page), 0u);
  EXPECT_EQ(page, std::string("a\x01m\x02s\x01xi\x05\0\0\0\0\0\0\0s\x04names\x01n", 25));
  Sequence same(spec);
  EXPECT_TRUE(same.Replay(turn.operations));
  EXPECT_TRUE(same.DecodeImage(ImageOf(list)));
  EXPECT_EQ(JsonOf(same), JsonOf(list));
  list.Commit(turn);
  // Bytes that are no such record are refused.
  Sequence bytes({.value = ScalarType::kBytes});
  for (const std::string& wrong : {std::string(), point + "x", point.substr(0, 2)}) {
    bytes.Clear(turn), bytes.Append({.bytes = wrong}, turn);
    EXPECT_FALSE(Sequence(spec).Replay(turn.operations));
    EXPECT_FALSE(Sequence(spec).DecodeImage(ImageOf(bytes)));
  }
  bytes.Commit(turn);
}

TEST(CollectionTest, PagesGoThroughAllElements) {
  const CollectionSpec spec = {
      .kind = CollectionKind::kMap, .key = ScalarType::kText, .value = ScalarType::kInt};
  Dictionary map(spec);
  ContainerTurn turn;
  for (uint64_t i = 0; i < 7; ++i) map.Put({.bytes = std::to_string(i)}, {.raw = i}, turn);
  map.Erase(map.Find({.bytes = "3"}), turn);
  std::vector<uint64_t> cursors;
  std::string pages;
  uint64_t cursor = 0;
  do {
    cursor = map.AppendPage(cursor, 2, pages);
    cursors.push_back(cursor);
  } while (cursor != 0);
  EXPECT_EQ(cursors, (std::vector<uint64_t>{2, 5, 0}));
  EXPECT_EQ(std::count(pages.begin(), pages.end(), 's'), 6);
  std::string none;
  EXPECT_EQ(map.AppendPage(UINT64_MAX, 2, none), 0u);
  EXPECT_EQ(none, std::string("m\0", 2));
  map.Commit(turn);
}

// docs/log-format.md.
TEST(CollectionTest, GoldenBytes) {
  using std::string_literals::operator""s;
  Sequence list({.value = ScalarType::kInt});
  ContainerTurn turn;
  const auto raw = [](int64_t value) { return Scalar{.raw = static_cast<uint64_t>(value)}; };
  list.Append(raw(-1), turn), list.Insert(0, raw(300), turn), list.Set(1, raw(2), turn);
  EXPECT_EQ(ImageOf(list), "\x02\xd8\x04\x04"s);
  list.Erase(0, turn), list.Clear(turn);
  EXPECT_EQ(turn.operations, "\x01\x01\x03\0\xd8\x04\x04\x01\x04\x05\0\x06"s);
  list.Commit(turn);
  Sequence ring({.kind = CollectionKind::kRing, .value = ScalarType::kBool, .elements_max = 1});
  ring.Append(raw(1), turn), ring.Append(raw(0), turn);
  EXPECT_EQ(turn.operations, "\x01\x01\x02\0"s);
  ring.Commit(turn);
  Dictionary map(
      {.kind = CollectionKind::kMap, .key = ScalarType::kText, .value = ScalarType::kFloat});
  map.Put({.bytes = "a"}, {.raw = std::bit_cast<uint64_t>(1.0)}, turn);
  EXPECT_EQ(ImageOf(map), "\x01\x01\x61\0\0\0\0\0\0\xf0\x3f"s);
  map.Erase(0, turn), map.Put({.bytes = "b"}, {}, turn), map.Clear(turn);
  EXPECT_EQ(turn.operations,
            "\x01\x01\x61\0\0\0\0\0\0\xf0\x3f\x02\x01\x61\x01\x01\x62\0\0\0\0\0\0\0\0\x03"s);
  map.Commit(turn);
  std::string spec;
  map.spec().Encode(spec);
  EXPECT_EQ(spec, "\x03\x04\x02\x80\x80\x40"s);
}

TEST(CollectionSpecTest, ChecksAndSurvivesTheLog) {
  const auto spec = [](CollectionKind kind, ScalarType key, ScalarType value, uint32_t max = 5) {
    return CollectionSpec{.kind = kind, .key = key, .value = value, .elements_max = max};
  };
  using enum CollectionKind;
  using S = ScalarType;
  EXPECT_EQ(spec(kRing, S::kNone, S::kBytes).Check(), "");
  EXPECT_EQ(spec(kMap, S::kInt, S::kBool).Text(), "Map[int, bool]");
  EXPECT_EQ(spec(kCounter, S::kText, S::kInt).Text(), "Counter");
  EXPECT_NE(spec(kMap, S::kFloat, S::kBool).Check(), "");
  EXPECT_NE(spec(kSet, S::kText, S::kInt).Check(), "");
  EXPECT_NE(spec(kList, S::kNone, S::kNone).Check(), "");
  EXPECT_NE(spec(kCounter, S::kText, S::kFloat).Check(), "");
  EXPECT_EQ(spec(kSet, S::kFloat, S::kNone, kCollectionElementsMax).Check(), "");
  EXPECT_NE(spec(kSet, S::kFloat, S::kNone, kCollectionElementsMax + 1).Check(), "");
  EXPECT_NE(spec(kSet, S::kFloat, S::kNone, 0).Check(), "");
  const CollectionSpec map = spec(kMap, S::kText, S::kFloat, 1000);
  std::string bytes;
  map.Encode(bytes);
  EXPECT_EQ(CollectionSpec::Decode(bytes), map);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(CollectionSpec::Decode(std::string_view(bytes).substr(0, size)), std::nullopt);
  }
  EXPECT_EQ(CollectionSpec::Decode(bytes + "x"), std::nullopt);
  CollectionSpec points = {.value = ScalarType::kRecord, .record = PointShape()};
  bytes.clear();
  points.Encode(bytes);
  EXPECT_EQ(CollectionSpec::Decode(bytes), points);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(CollectionSpec::Decode(std::string_view(bytes).substr(0, size)), std::nullopt);
  }
  RecordShape other = *points.record;
  other.name = "Place";
  points.record = std::make_shared<const RecordShape>(other);
  EXPECT_TRUE(points.Reads(*CollectionSpec::Decode(bytes)));  // of another name
  other.fields.resize(1);
  points.record = std::make_shared<const RecordShape>(other);
  EXPECT_FALSE(points.Reads(*CollectionSpec::Decode(bytes)));
  other.fields.assign(kRecordFieldsMax, other.fields[0]);
  EXPECT_EQ(other.Check(), "");
  other.fields.push_back(other.fields[0]);
  EXPECT_NE(other.Check(), "");
  points.record = nullptr;
  EXPECT_NE(points.Check(), "");
}

}  // namespace
}  // namespace bettong::grid
