#include "host/kernel/memory.hpp"

#include <tlm_utils/simple_target_socket.h>

#include <vector>

#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/host/kernel/fake_bus.hpp"

using namespace nvmesim;
using namespace nvmesim::host;
using namespace nvmesim::host::test;

namespace {

// A device that reads and writes host memory.
class Dma : public sc_core::sc_module {
  void response(base::GenericPayload& payload) {
    auto& tlp = static_cast<pcie::TlpPayload&>(payload);
    if (payload.is_read()) {
      ended.push_back({tlp.tag, scheduler_.now(), payload.get_response_status()});
    } else {
      status_of_write = payload.get_response_status();
    }
    tlp.release();
  }

 public:
  struct End {
    std::uint64_t tag;
    base::Time when;
    tlm::tlm_response_status status;
  };

  base::InitiatorSocket<Dma, &Dma::response> socket;
  Dma(sc_core::sc_module_name name, base::Scheduler& scheduler)
      : sc_core::sc_module(name), socket("socket", this, scheduler), scheduler_(scheduler) {}

  void access(tlm::tlm_command command, std::uint64_t address, void* data, std::size_t bytes,
              std::uint64_t tag = 0) {
    pcie::TlpPayload* payload = pool.take();
    base::set_access(*payload, command, address, static_cast<unsigned char*>(data), bytes);
    payload->tag = tag;
    socket.request(*payload);
  }

  pcie::TlpPool pool;
  std::vector<End> ended;
  tlm::tlm_response_status status_of_write = tlm::TLM_INCOMPLETE_RESPONSE;

 private:
  base::Scheduler& scheduler_;
};

struct DmaHost : TestHost {
  Dma dma{"dma", scheduler};
  explicit DmaHost(const HostConfig& host_config = {}) : TestHost(host_config) {
    dma.socket.bind(memory.port);
  }
};

// Somebody else's memory: loosely timed, one vector from address 0.
class ForeignMemory : public sc_core::sc_module {
 public:
  tlm_utils::simple_target_socket<ForeignMemory, 64> socket{"socket"};
  explicit ForeignMemory(sc_core::sc_module_name name, std::size_t bytes)
      : sc_core::sc_module(name), bytes_(bytes) {
    socket.register_transport_dbg(this, &ForeignMemory::debug);
    socket.register_b_transport(this, &ForeignMemory::transport);
  }

 private:
  void transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
    delay += sc_core::sc_time(290, sc_core::SC_NS);
    debug(payload);
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
  }
  unsigned debug(tlm::tlm_generic_payload& payload) {
    auto* at = bytes_.data() + payload.get_address();
    if (payload.is_write()) {
      std::memcpy(at, payload.get_data_ptr(), payload.get_data_length());
    } else {
      std::memcpy(payload.get_data_ptr(), at, payload.get_data_length());
    }
    return payload.get_data_length();
  }
  std::vector<unsigned char> bytes_;
};

}  // namespace

TEST_CASE("a DMA read ends after latency and size, and reads overlap") {
  HostConfig config;
  config.memory_read_latency_ns = 300;
  config.memory_read_ns_per_kib = 128;
  DmaHost host(config);
  host.machine.memory.store<std::uint64_t>(0x10000, 0x0123456789abcdef);
  std::vector<unsigned char> into(8192);
  struct Reader {
    DmaHost& host;
    std::vector<unsigned char>& into;
    void go() {
      host.dma.access(tlm::TLM_READ_COMMAND, 0x10000, into.data(), 4096, 1);
      host.dma.access(tlm::TLM_READ_COMMAND, 0x10000, into.data() + 4096, 64, 2);
    }
  } reader{host, into};
  host.scheduler.at<&Reader::go>(100ns, &reader);
  sc_core::sc_start();
  REQUIRE(host.dma.ended.size() == 2);
  CHECK(host.dma.ended[0].tag == 2);
  CHECK(host.dma.ended[0].when == 100ns + 300ns + 8ns);
  CHECK(host.dma.ended[1].when == 100ns + 300ns + 512ns);
  CHECK(into[0] == 0xef);
  CHECK(into[4096 + 7] == 0x01);
  CHECK(host.dma.pool.in_use() == 0);
}

TEST_CASE("a read samples memory at its arrival; a write takes effect at once") {
  DmaHost host;
  std::uint32_t read = 0;
  std::uint32_t first = 0x11111111;
  std::uint32_t second = 0x22222222;
  struct Steps {
    DmaHost& host;
    std::uint32_t &read, &first, &second;
    void go() {
      host.dma.access(tlm::TLM_WRITE_COMMAND, 0x200000, &first, 4);
      host.dma.access(tlm::TLM_READ_COMMAND, 0x200000, &read, 4);
      host.dma.access(tlm::TLM_WRITE_COMMAND, 0x200000, &second, 4);
      CHECK(host.machine.memory.load<std::uint32_t>(0x200000) == 0x22222222);
    }
  } steps{host, read, first, second};
  host.scheduler.at<&Steps::go>(0ns, &steps);
  sc_core::sc_start();
  CHECK(read == 0x11111111);
  CHECK(host.dma.status_of_write == tlm::TLM_OK_RESPONSE);
}

TEST_CASE("an access outside of memory is an Unsupported Request") {
  DmaHost host;
  std::uint32_t data = 7;
  struct Steps {
    DmaHost& host;
    std::uint32_t& data;
    void go() {
      host.dma.access(tlm::TLM_READ_COMMAND, 2 * base::kGiB - 2, &data, 4, 1);
      host.dma.access(tlm::TLM_READ_COMMAND, 3 * base::kGiB, &data, 4, 2);
      host.dma.access(tlm::TLM_WRITE_COMMAND, 6 * base::kGiB, &data, 4);
    }
  } steps{host, data};
  host.scheduler.at<&Steps::go>(0ns, &steps);
  sc_core::sc_start();
  REQUIRE(host.dma.ended.size() == 2);
  CHECK(host.dma.ended[0].status == pcie::kStatusUnsupportedRequest);
  CHECK(host.dma.ended[1].status == pcie::kStatusUnsupportedRequest);
  CHECK(host.dma.status_of_write == pcie::kStatusUnsupportedRequest);
  CHECK(data == 7);
}

TEST_CASE("with a foreign memory the processors see the same bytes as with ours") {
  HostConfig config;
  config.memory_bytes = 16 * base::kMiB;
  DmaHost host(config);
  ForeignMemory foreign("foreign", config.memory_bytes);
  Dma foreign_dma("foreign_dma", host.scheduler);
  foreign_dma.socket.bind(foreign.socket);
  PhysicalMemory through_debug(config.memory_bytes);
  tlm::tlm_fw_transport_if<>* debug_interface = foreign.socket.get_base_export().operator->();
  through_debug.attach(*debug_interface);
  PhysicalMemory& direct = host.machine.memory;

  base::Random random(3, "memory_test");
  for (int step = 0; step < 3000; ++step) {
    const std::uint64_t bytes = 1 + random.below(10000);
    const std::uint64_t address = random.below(config.memory_bytes - bytes);
    switch (random.below(3)) {
      case 0:
        through_debug.zero(address, bytes);
        direct.zero(address, bytes);
        break;
      case 1: {
        const std::uint64_t value = random.next();
        const std::uint64_t at = address & ~std::uint64_t{7};
        through_debug.store(at, value);
        direct.store(at, value);
        break;
      }
      default: {
        std::vector<unsigned char> data(bytes);
        for (auto& byte : data) byte = static_cast<unsigned char>(random.next());
        through_debug.copy_in(address, data.data(), bytes);
        direct.copy_in(address, data.data(), bytes);
      }
    }
  }
  std::vector<unsigned char> ours(config.memory_bytes);
  std::vector<unsigned char> theirs(config.memory_bytes);
  direct.copy_out(0, ours.data(), ours.size());
  through_debug.copy_out(0, theirs.data(), theirs.size());
  CHECK(ours == theirs);

  // A device behind it reads what the processor stored, at the foreign module's own time.
  through_debug.store<std::uint32_t>(0x1000, 0xcafe0001);
  std::uint32_t read = 0;
  struct Steps {
    Dma& dma;
    std::uint32_t& read;
    void go() { dma.access(tlm::TLM_READ_COMMAND, 0x1000, &read, 4); }
  } steps{foreign_dma, read};
  host.scheduler.at<&Steps::go>(50ns, &steps);
  sc_core::sc_start();
  CHECK(read == 0xcafe0001);
  REQUIRE(foreign_dma.ended.size() == 1);
  CHECK(foreign_dma.ended[0].when == 340ns);
}

TEST_CASE("an access of a processor to memory that does not exist is a bug") {
  QuietHost host;
  CHECK_THROWS_AS(host.machine.memory.load<std::uint32_t>(3 * base::kGiB), base::ModelBug);
}
