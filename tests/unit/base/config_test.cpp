#include "sim/base/config.hpp"

#include "tests/support/catch.hpp"

namespace nvmesim::base {
namespace {

enum class Policy { greedy, cost_benefit };
BOOST_DESCRIBE_ENUM(Policy, greedy, cost_benefit)

struct NamespaceConfig {
  std::uint64_t blocks = 1000;
  std::string label = "data";
  static std::span<const ParamInfo> params() {
    static constexpr ParamInfo kParams[] = {
        {"blocks", "blocks", 1, kNoLimit, "size"},
        {"label", "", 0, 0, "name"},
    };
    return kParams;
  }
};
BOOST_DESCRIBE_STRUCT(NamespaceConfig, (), (blocks, label))

struct LinkConfig {
  std::uint8_t lanes = 4;
  std::int32_t skew_ps = -5;
  bool enabled = true;
  Policy policy = Policy::greedy;
  std::vector<std::uint32_t> weights{1, 2};
  static std::span<const ParamInfo> params() {
    static constexpr ParamInfo kParams[] = {
        {"lanes", "lanes", 1, 16, "width"},
        {"skew_ps", "ps", -100, 100, "skew"},
        {"enabled", "", 0, 0, "whether there is a link"},
        {"policy", "", 0, 0, "who goes first"},
        {"weights", "1", 0, 9, "of the queues"},
    };
    return kParams;
  }
};
BOOST_DESCRIBE_STRUCT(LinkConfig, (), (lanes, skew_ps, enabled, policy, weights))

struct TopConfig {
  LinkConfig link;
  std::vector<NamespaceConfig> namespaces{{}, {7, "log"}};
};
BOOST_DESCRIBE_STRUCT(TopConfig, (), (link, namespaces))

TopConfig read(std::string_view text) {
  TopConfig config;
  read_config(parse_json(text, "f.json"), config, "f.json");
  return config;
}

// The message of the error that reading `text` gives; empty if there is none.
std::string error_of(std::string_view text) {
  try {
    read(text);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

std::string set(std::string_view document, std::string_view setting) {
  auto value = parse_json(document, "f.json");
  try {
    apply_setting(value, setting);
  } catch (const UserError& error) {
    return error.what();
  }
  return boost::json::serialize(value);
}

struct NoRow {
  int member = 0;
};
BOOST_DESCRIBE_STRUCT(NoRow, (), (member))

struct NoMember {
  int member = 0;
  static std::span<const ParamInfo> params() {
    static constexpr ParamInfo kParams[] = {{"member", "", 0, 1, "m"}, {"gone", "", 0, 1, "g"}};
    return kParams;
  }
};
BOOST_DESCRIBE_STRUCT(NoMember, (), (member))

struct BadDefault {
  int member = 5;
  static std::span<const ParamInfo> params() {
    static constexpr ParamInfo kParams[] = {{"member", "", 0, 4, "m"}};
    return kParams;
  }
};
BOOST_DESCRIBE_STRUCT(BadDefault, (), (member))

struct Deep {
  std::vector<NoRow> parts;
};
BOOST_DESCRIBE_STRUCT(Deep, (), (parts))

struct TwoRows {
  int member = 0;
  static std::span<const ParamInfo> params() {
    static constexpr ParamInfo kParams[] = {{"member", "", 0, 1, "m"}, {"member", "", 0, 2, "m"}};
    return kParams;
  }
};
BOOST_DESCRIBE_STRUCT(TwoRows, (), (member))

}  // namespace

TEST_CASE("a document changes what it names and nothing else") {
  const TopConfig config = read(R"({
    // comments and trailing commas are fine
    "link": {"lanes": 16, "policy": "cost_benefit", "weights": [3], /* so */ },
  })");
  CHECK(config.link.lanes == 16);
  CHECK(config.link.policy == Policy::cost_benefit);
  CHECK(config.link.weights == std::vector<std::uint32_t>{3});
  CHECK(config.link.skew_ps == -5);
  CHECK(config.link.enabled);
  CHECK(config.namespaces.size() == 2);
}

TEST_CASE("a list replaces the default list, its elements start from their own defaults") {
  const TopConfig config = read(R"({"namespaces": [{"blocks": 5}, {"label": "x"}, {}]})");
  REQUIRE(config.namespaces.size() == 3);
  CHECK(config.namespaces[0].blocks == 5);
  CHECK(config.namespaces[1].blocks == 1000);
  CHECK(config.namespaces[1].label == "x");
  CHECK(config.namespaces[2].label == "data");
  CHECK(read(R"({"namespaces": []})").namespaces.empty());
}

TEST_CASE("an object of indices changes elements of the default list") {
  const TopConfig config = read(R"({"namespaces": {"1": {"blocks": 9}, "2": {"label": "new"}}})");
  REQUIRE(config.namespaces.size() == 3);
  CHECK(config.namespaces[0].blocks == 1000);
  CHECK(config.namespaces[1].blocks == 9);
  CHECK(config.namespaces[1].label == "log");
  CHECK(config.namespaces[2].label == "new");
  CHECK(error_of(R"({"namespaces": {"3": {}}})") ==
        "f.json: namespaces: \"3\" is no index of a list of 2");
  CHECK(error_of(R"({"namespaces": {"x": {}}})") ==
        "f.json: namespaces: \"x\" is no index of a list of 2");
}

TEST_CASE("an unknown key names its place and the nearest known one") {
  CHECK(error_of(R"({"link": {"lane": 4}})") ==
        "f.json: link.lane: unknown; did you mean \"lanes\"?");
  CHECK(error_of(R"({"links": {}})") == "f.json: links: unknown; did you mean \"link\"?");
  CHECK(error_of(R"({"zebra_crossing": {}})") ==
        "f.json: zebra_crossing: unknown; known here: link, namespaces");
  CHECK(error_of(R"({"namespaces": [{}, {"block": 1}]})") ==
        "f.json: namespaces.1.block: unknown; did you mean \"blocks\"?");
}

TEST_CASE("a value out of range names its place and the range") {
  CHECK(error_of(R"({"link": {"lanes": 17}})") == "f.json: link.lanes: 17 is out of range 1..16");
  CHECK(error_of(R"({"link": {"lanes": 0}})") == "f.json: link.lanes: 0 is out of range 1..16");
  CHECK(error_of(R"({"link": {"lanes": 260}})") == "f.json: link.lanes: 260 is out of range 1..16");
  CHECK(error_of(R"({"link": {"skew_ps": -101}})") ==
        "f.json: link.skew_ps: -101 is out of range -100..100");
  CHECK(error_of(R"({"link": {"weights": [1, 10]}})") ==
        "f.json: link.weights.1: 10 is out of range 0..9");
  CHECK(error_of(R"({"namespaces": [{"blocks": 0}]})") ==
        "f.json: namespaces.0.blocks: 0 is out of range >= 1");
  CHECK(error_of(R"({"namespaces": [{"blocks": -1}]})") ==
        "f.json: namespaces.0.blocks: -1 is out of range >= 1");
  CHECK(read(R"({"namespaces": [{"blocks": 18446744073709551615}]})").namespaces[0].blocks ==
        ~std::uint64_t{0});
}

TEST_CASE("a value of the wrong kind says what is expected") {
  CHECK(error_of(R"({"link": {"lanes": "4"}})") ==
        "f.json: link.lanes: a whole number is expected, not \"4\"");
  CHECK(error_of(R"({"link": {"lanes": 4.5}})")
            .find("link.lanes: a whole number is expected, not ") == 8);
  CHECK(error_of(R"({"link": {"lanes": {}}})") ==
        "f.json: link.lanes: a whole number is expected, not an object");
  CHECK(error_of(R"({"link": {"enabled": 1}})") ==
        "f.json: link.enabled: true or false is expected, not 1");
  CHECK(error_of(R"({"link": {"policy": "random"}})") ==
        "f.json: link.policy: \"random\" is not one of greedy|cost_benefit");
  CHECK(error_of(R"({"link": {"policy": null}})") ==
        "f.json: link.policy: one of greedy|cost_benefit is expected, not null");
  CHECK(error_of(R"({"link": 5})") == "f.json: link: an object is expected, not 5");
  CHECK(error_of(R"({"namespaces": [{"label": 5.5}]})") ==
        "f.json: namespaces.0.label: a text is expected, not 5.5E0");
  CHECK(error_of(R"({"namespaces": 5})") == "f.json: namespaces: a list is expected: [...]");
  CHECK(error_of("[]") == "f.json: an object is expected, not a list");
}

TEST_CASE("a key that is there twice is refused at its line and column") {
  CHECK(error_of("{\"link\": {\"lanes\": 1,\n  \"lanes\": 2}}") ==
        "f.json:2:9: the key \"lanes\" is there twice");
  // the same key in other objects is another key; an escape does not hide one
  CHECK(error_of(R"({"namespaces": [{"blocks": 1}, {"blocks": 2}], "link": {}})").empty());
  CHECK(error_of(R"({"link": {}, "\u006cink": {}})").find("the key \"link\" is there twice") !=
        std::string::npos);
}

TEST_CASE("what is not JSON is refused at its line and column") {
  CHECK(error_of("{\"link\":\n  {\"lanes\" 2}}").substr(0, 28) == "f.json:2:12: not valid JSON:");
  CHECK(error_of("").substr(0, 27) == "f.json:1:1: not valid JSON:");
  CHECK(error_of("{} x").substr(0, 27) == "f.json:1:4: not valid JSON:");
  CHECK(error_of("{").find("f.json:1:2: not valid JSON:") == 0);
  CHECK(error_of("{} // end\n").empty());
  CHECK_FALSE(error_of("{} /* open").empty());
  CHECK_FALSE(error_of("{\"link\": \"\xFF\"}").empty());
  CHECK_FALSE(error_of("{'link': {}}").empty());
  CHECK_FALSE(error_of(std::string(100'000, '[')).empty());  // too deep, not a crash
}

TEST_CASE("any cut or flipped document is read or refused, never worse") {
  const std::string whole =
      R"({"link": {"lanes": 8, "policy": "greedy", "weights": [1, 2]}, /*c*/ "namespaces": [{"blocks": 5}]})";
  REQUIRE(error_of(whole).empty());
  std::size_t refused = 0;
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    refused += !error_of(whole.substr(0, cut)).empty();
  }
  CHECK(refused == whole.size());
  for (std::size_t place = 0; place < whole.size(); ++place) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = whole;
      flipped[place] = static_cast<char>(flipped[place] ^ (1 << bit));
      CHECK_NOTHROW(error_of(flipped));
    }
  }
}

TEST_CASE("a setting makes objects on its way") {
  CHECK(set("{}", "link.lanes=4") == R"({"link":{"lanes":4}})");
  CHECK(set("null", "a.b.c=true") == R"({"a":{"b":{"c":true}}})");
  CHECK(set(R"({"link":{"lanes":1,"x":2}})", "link.lanes=8") == R"({"link":{"lanes":8,"x":2}})");
}

TEST_CASE("the value of a setting is JSON or a bare word") {
  CHECK(set("{}", "a=greedy") == R"({"a":"greedy"})");
  CHECK(set("{}", "a=4k") == R"({"a":"4k"})");
  CHECK(set("{}", "a=-5") == R"({"a":-5})");
  CHECK(set("{}", "a=") == R"({"a":""})");
  CHECK(set("{}", "a=b=c") == R"({"a":"b=c"})");
  CHECK(set("{}", "a=[1,2]") == R"({"a":[1,2]})");
  CHECK(set("{}", R"(a="4")") == R"({"a":"4"})");
  CHECK(set("{}", "a=[1,2").find("not valid JSON") != std::string::npos);
}

TEST_CASE("a setting goes into lists by index and appends one") {
  const char* document = R"({"n":[{"b":1},{"b":2}]})";
  CHECK(set(document, "n.1.b=5") == R"({"n":[{"b":1},{"b":5}]})");
  CHECK(set(document, "n.2.b=5") == R"({"n":[{"b":1},{"b":2},{"b":5}]})");
  CHECK(set(document, "n.3.b=5").find("no index of a list of 2") != std::string::npos);
  CHECK(set(document, "n.x.b=5").find("no index of a list of 2") != std::string::npos);
  CHECK(set(document, "n.0.b.c=5").find("neither an object nor a list") != std::string::npos);
}

TEST_CASE("a setting without a path is refused") {
  CHECK(set("{}", "lanes") == "'lanes': a setting is path.to.key=value");
  CHECK(set("{}", "=4") == "'=4': a setting is path.to.key=value");
  CHECK(set("{}", "a..b=4").find("empty") != std::string::npos);
  CHECK(set("{}", "a.=4").find("empty") != std::string::npos);
}

TEST_CASE("a setting of one element works without a list in the document") {
  boost::json::value document = parse_json("{}", "f.json");
  apply_setting(document, "namespaces.1.blocks=77");
  TopConfig config;
  read_config(document, config, "f.json");
  CHECK(config.namespaces[0].blocks == 1000);
  CHECK(config.namespaces[1].blocks == 77);
  CHECK(config.namespaces[1].label == "log");
}

TEST_CASE("documents merge key by key, lists and values are replaced") {
  auto base = parse_json(R"({"a":{"x":1,"y":[1,2]},"b":1})", "base");
  merge_json(base, parse_json(R"({"a":{"y":[3],"z":4},"b":{"c":1}})", "overlay"));
  CHECK(boost::json::serialize(base) == R"({"a":{"x":1,"y":[3],"z":4},"b":{"c":1}})");
}

TEST_CASE("what is written is read back") {
  TopConfig config = read(R"({"link": {"lanes": 2, "enabled": false, "policy": "cost_benefit"}})");
  const auto written = write_config(config);
  CHECK(
      boost::json::serialize(written) ==
      R"({"link":{"lanes":2,"skew_ps":-5,"enabled":false,"policy":"cost_benefit","weights":[1,2]},)"
      R"("namespaces":[{"blocks":1000,"label":"data"},{"blocks":7,"label":"log"}]})");
  TopConfig again;
  read_config(written, again, "again");
  CHECK(write_config(again) == written);
}

TEST_CASE("every parameter is listed with place, unit, default, range and help") {
  std::vector<std::string> lines;
  for (const ParamRow& row : list_params<TopConfig>({}, "system")) {
    lines.push_back(row.path + " [" + row.unit + "] " + row.value + " {" + row.range + "} " +
                    row.help);
  }
  CHECK(lines == std::vector<std::string>{
                     "system.link.lanes [lanes] 4 {1..16} width",
                     "system.link.skew_ps [ps] -5 {-100..100} skew",
                     "system.link.enabled [] true {true|false} whether there is a link",
                     "system.link.policy [] greedy {greedy|cost_benefit} who goes first",
                     "system.link.weights [1] [1,2] {0..9} of the queues",
                     "system.namespaces.N.blocks [blocks] 1000 {>= 1} size",
                     "system.namespaces.N.label [] data {} name",
                 });
}

TEST_CASE("a table that does not fit its struct is a bug") {
  CHECK_NOTHROW(check_params<TopConfig>());
  CHECK_THROWS_AS(check_params<NoRow>(), ModelBug);
  CHECK_THROWS_AS(check_params<NoMember>(), ModelBug);
  CHECK_THROWS_AS(check_params<BadDefault>(), ModelBug);
  CHECK_THROWS_AS(check_params<TwoRows>(), ModelBug);
  CHECK_THROWS_AS(check_params<Deep>(), ModelBug);
}

TEST_CASE("the nearest key is near, and the first of equals") {
  CHECK(nearest_key("lane", {"lines", "lanes", "land"}) == "lanes");
  CHECK(nearest_key("proagation_ns", {"propagation_ns", "lanes"}) == "propagation_ns");
  CHECK(nearest_key("xyz", {"lanes", "policy"}).empty());
  CHECK(nearest_key("ab", {"cd"}).empty());  // nothing in common
  CHECK(nearest_key("a", {}).empty());
}

}  // namespace nvmesim::base
