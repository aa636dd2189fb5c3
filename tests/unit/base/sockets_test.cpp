#include "sim/base/sockets.hpp"

#include <fmt/format.h>
#include <tlm_utils/peq_with_get.h>
#include <tlm_utils/simple_target_socket.h>

#include <functional>
#include <string>
#include <vector>

#include "sim/base/payload_pool.hpp"
#include "sim/base/splice.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/base/in_child.hpp"

namespace nvmesim::base {
namespace {

using test::in_child;

struct Attributes : tlm::tlm_extension<Attributes> {
  tlm::tlm_extension_base* clone() const override { return new Attributes(*this); }
  void copy_from(const tlm::tlm_extension_base& other) override {
    *this = static_cast<const Attributes&>(other);
  }
};
using Pool = PayloadPool<Attributes>;

sc_core::sc_time nanoseconds(int count) {
  return sc_core::sc_time(count, sc_core::SC_NS);
}

// Our initiator: sends requests at given instants and writes down when each response came.
class Requester : public sc_core::sc_module {
  void response(GenericPayload& payload);

 public:
  InitiatorSocket<Requester, &Requester::response> socket;

  Requester(sc_core::sc_module_name name, Scheduler& scheduler)
      : sc_core::sc_module(name), socket("socket", this, scheduler), scheduler_(scheduler) {}

  void send_at(Time when, std::uint64_t address) {
    scheduler_.at<&Requester::send>(when, this, address);
  }
  const std::string& text() const { return text_; }
  Pool& pool() { return pool_; }

 private:
  void send(std::uint64_t address) {
    Pool::Payload* payload = pool_.take();
    payload->set_inline(&address, 8);
    payload->set_write();
    payload->set_address(address);
    socket.request(*payload);
  }

  Scheduler& scheduler_;
  Pool pool_;
  std::string text_;
};

void Requester::response(GenericPayload& payload) {
  if (!scheduler_.in_entry()) text_ += "outside of an entry! ";
  text_ += fmt::format("{}@{}{} ", payload.get_address(), to_ns(scheduler_.now()),
                       payload.is_response_ok() ? "" : "?");
  payload.release();
}

// Our target: answers each request 30 ns later.
class Responder : public sc_core::sc_module {
  void request(GenericPayload& payload);
  unsigned debug(GenericPayload& payload) { return payload.get_data_length(); }

 public:
  TargetSocket<Responder, &Responder::request, &Responder::debug> socket;

  Responder(sc_core::sc_module_name name, Scheduler& scheduler)
      : sc_core::sc_module(name), socket("socket", this, scheduler), scheduler_(scheduler) {}

  const std::string& text() const { return text_; }

 private:
  void answer(std::uint64_t argument) {
    auto& payload = *reinterpret_cast<GenericPayload*>(argument);
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
    socket.respond(payload);
    payload.release();
  }

  Scheduler& scheduler_;
  std::string text_;
};

void Responder::request(GenericPayload& payload) {
  if (!scheduler_.in_entry()) text_ += "outside of an entry! ";
  text_ += fmt::format("{}@{} ", payload.get_address(), to_ns(scheduler_.now()));
  payload.acquire();
  scheduler_.after<&Responder::answer>(30ns, this, reinterpret_cast<std::uint64_t>(&payload));
}

// A memory as others write it, loosely timed: 100 ns for each access.
class PlainMemory : public sc_core::sc_module {
 public:
  tlm_utils::simple_target_socket<PlainMemory, 64> socket;

  explicit PlainMemory(sc_core::sc_module_name name) : sc_core::sc_module(name), socket("socket") {
    socket.register_b_transport(this, &PlainMemory::b_transport);
  }

 private:
  void b_transport(GenericPayload& payload, sc_core::sc_time& delay) {
    delay += nanoseconds(100);
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
  }
};

// A foreign non-blocking target that behaves as the function given says.
class AnyTarget : public sc_core::sc_module, private tlm::tlm_fw_transport_if<> {
 public:
  using Forward =
      std::function<tlm::tlm_sync_enum(GenericPayload&, tlm::tlm_phase&, sc_core::sc_time&)>;
  tlm::tlm_target_socket<64> socket;

  AnyTarget(sc_core::sc_module_name name, Forward forward)
      : sc_core::sc_module(name), socket("socket"), forward_(std::move(forward)) {
    socket.bind(*this);
  }

 private:
  tlm::tlm_sync_enum nb_transport_fw(GenericPayload& payload, tlm::tlm_phase& phase,
                                     sc_core::sc_time& delay) override {
    return forward_(payload, phase, delay);
  }
  void b_transport(GenericPayload&, sc_core::sc_time&) override {}
  bool get_direct_mem_ptr(GenericPayload&, tlm::tlm_dmi&) override { return false; }
  unsigned transport_dbg(GenericPayload&) override { return 0; }
  Forward forward_;
};

// A foreign target of the base protocol's long form: accepts late, END_REQ 20 ns after the request,
// BEGIN_RESP 50 ns after that.
class SlowTarget : public sc_core::sc_module {
 public:
  AnyTarget target;

  explicit SlowTarget(sc_core::sc_module_name name)
      : sc_core::sc_module(name),
        target("target",
               [this](GenericPayload& payload, tlm::tlm_phase&, sc_core::sc_time& delay) {
                 payload.acquire();
                 requests_.notify(payload, delay + nanoseconds(20));
                 return tlm::TLM_ACCEPTED;
               }),
        requests_("requests"),
        answers_("answers") {
    NVMESIM_HAS_PROCESS(SlowTarget);
    SC_METHOD(accept);
    sensitive << requests_.get_event();
    dont_initialize();
    SC_METHOD(answer);
    sensitive << answers_.get_event();
    dont_initialize();
  }

 private:
  void accept() {
    while (GenericPayload* payload = requests_.get_next_transaction()) {
      tlm::tlm_phase phase = tlm::END_REQ;
      sc_core::sc_time delay;
      target.socket->nb_transport_bw(*payload, phase, delay);
      answers_.notify(*payload, nanoseconds(50));
    }
  }
  void answer() {
    while (GenericPayload* payload = answers_.get_next_transaction()) {
      payload->set_response_status(tlm::TLM_OK_RESPONSE);
      tlm::tlm_phase phase = tlm::BEGIN_RESP;
      sc_core::sc_time delay = nanoseconds(5);
      target.socket->nb_transport_bw(*payload, phase, delay);
      payload->release();
    }
  }
  tlm_utils::peq_with_get<GenericPayload> requests_;
  tlm_utils::peq_with_get<GenericPayload> answers_;
};

// A foreign initiator that accepts responses and ends them later, as the base protocol allows.
class ForeignInitiator : public sc_core::sc_module, private tlm::tlm_bw_transport_if<> {
 public:
  tlm::tlm_initiator_socket<64> socket;

  explicit ForeignInitiator(sc_core::sc_module_name name)
      : sc_core::sc_module(name), socket("socket") {
    socket.bind(*this);
    NVMESIM_HAS_PROCESS(ForeignInitiator);
    SC_THREAD(run);
  }
  std::string text;

 private:
  void run() {
    for (unsigned i = 1; i <= 3; ++i) {
      sc_core::wait(nanoseconds(10));
      Pool::Payload* payload = pool_.take();
      payload->set_address(i);
      payload->set_write();
      tlm::tlm_phase phase = tlm::BEGIN_REQ;
      sc_core::sc_time delay = nanoseconds(7);
      const auto answer = socket->nb_transport_fw(*payload, phase, delay);
      text += answer == tlm::TLM_UPDATED && phase == tlm::END_REQ ? "accepted " : "refused ";
      sc_core::wait(responded_);
      text += fmt::format("{}@{} ", i, sc_core::sc_time_stamp().value() / 1000);
      sc_core::wait(nanoseconds(3));
      phase = tlm::END_RESP;
      delay = sc_core::SC_ZERO_TIME;
      text +=
          socket->nb_transport_fw(*payload, phase, delay) == tlm::TLM_COMPLETED ? "ended " : "? ";
      payload->release();
    }
    Pool::Payload* payload = pool_.take();
    sc_core::sc_time delay;
    socket->b_transport(*payload, delay);
    text += payload->is_response_error() ? "blocking refused " : "? ";
    payload->set_inline("abcd", 4);
    text += fmt::format("debug {} ", socket->transport_dbg(*payload));
    tlm::tlm_dmi dmi;
    text += socket->get_direct_mem_ptr(*payload, dmi) ? "? " : "no dmi";
    payload->release();
  }
  tlm::tlm_sync_enum nb_transport_bw(GenericPayload&, tlm::tlm_phase&,
                                     sc_core::sc_time& delay) override {
    responded_.notify(delay);
    return tlm::TLM_ACCEPTED;
  }
  void invalidate_direct_mem_ptr(sc_dt::uint64, sc_dt::uint64) override {}
  Pool pool_;
  sc_core::sc_event responded_;
};

// The text that a run makes at every quantum, which must be one and the same.
template <class Run>
std::string at_every_quantum(Run run) {
  const std::string first = in_child([&] { return run(Time(0ns)); });
  for (const Time quantum : {Time(15ns), Time(1us), Time(1s)}) {
    const std::string other = in_child([&] { return run(quantum); });
    if (other != first) return "DIFFERENT: " + first + " | " + other;
  }
  return first;
}

std::string requests_to(Requester& requester, Scheduler& scheduler) {
  requester.send_at(10ns, 1);
  requester.send_at(25ns, 2);
  requester.send_at(25ns, 3);
  requester.send_at(5us, 4);
  scheduler.simulate();
  return requester.text() +
         fmt::format("in use {}, end {}", requester.pool().in_use(), to_ns(scheduler.now()));
}

// Passes each request on 20 ns later, from a process of SystemC.
class Delaying : public Splice {
 public:
  explicit Delaying(sc_core::sc_module_name name) : Splice(name) {
    NVMESIM_HAS_PROCESS(Delaying);
    SC_METHOD(pass);
    sensitive << event_;
    dont_initialize();
  }

 private:
  tlm::tlm_sync_enum forward(Lane& lane, GenericPayload& payload, tlm::tlm_phase& phase,
                             sc_core::sc_time& delay) override {
    if (phase != tlm::BEGIN_REQ) return lane.pass_forward(payload, phase, delay);
    lane_ = &lane;
    payload_ = &payload;
    event_.notify(delay + nanoseconds(20));
    return tlm::TLM_ACCEPTED;
  }
  void pass() {
    tlm::tlm_phase phase = tlm::BEGIN_REQ;
    sc_core::sc_time delay;
    lane_->pass_forward(*payload_, phase, delay);
  }

  sc_core::sc_event event_;
  Lane* lane_ = nullptr;
  GenericPayload* payload_ = nullptr;
};

}  // namespace

TEST_CASE("our sockets call each other at the instant of effect") {
  CHECK(at_every_quantum([](Time quantum) {
          Scheduler scheduler("scheduler", quantum);
          Requester requester("requester", scheduler);
          Responder responder("responder", scheduler);
          requester.socket.bind(responder.socket);
          const std::string text = requests_to(requester, scheduler);
          return text + " / " + responder.text();
        }) == "1@40 2@55 3@55 4@5030 in use 0, end 5030 / 1@10 2@25 3@25 4@5000 ");
}

TEST_CASE("a plain memory with a blocking interface binds and has one timing for all quanta") {
  CHECK(at_every_quantum([](Time quantum) {
          Scheduler scheduler("scheduler", quantum);
          Requester requester("requester", scheduler);
          PlainMemory memory("memory");
          requester.socket.bind(memory.socket);
          return requests_to(requester, scheduler);
        }) == "1@110 2@125 3@125 4@5100 in use 0, end 5100");
}

TEST_CASE("a plain memory answers many at one instant in the same order for all quanta") {
  const std::string text = at_every_quantum([](Time quantum) {
    Scheduler scheduler("scheduler", quantum);
    Requester requester("requester", scheduler);
    PlainMemory memory("memory");
    requester.socket.bind(memory.socket);
    for (std::uint64_t i = 0; i < 200; ++i) {
      requester.send_at(picoseconds(static_cast<std::int64_t>(i / 5) * 10'000), i);
      requester.send_at(picoseconds(static_cast<std::int64_t>(i * 7 % 97) * 20'000), 1000 + i);
    }
    scheduler.simulate();
    return requester.text();
  });
  INFO(text);
  CHECK(text.find("DIFFERENT") == text.npos);
  CHECK(text.find("999@") == text.npos);
  CHECK(text.find("1199@") != text.npos);
}

TEST_CASE("a target may complete a request in the call, with a delay") {
  CHECK(at_every_quantum([](Time quantum) {
          Scheduler scheduler("scheduler", quantum);
          Requester requester("requester", scheduler);
          AnyTarget target("target",
                           [](GenericPayload& payload, tlm::tlm_phase&, sc_core::sc_time& delay) {
                             payload.set_response_status(tlm::TLM_OK_RESPONSE);
                             delay += nanoseconds(8);
                             return tlm::TLM_COMPLETED;
                           });
          requester.socket.bind(target.socket);
          return requests_to(requester, scheduler);
        }) == "1@18 2@33 3@33 4@5008 in use 0, end 5008");
}

TEST_CASE("a target that begins its response in the call gets END_RESP") {
  CHECK(at_every_quantum([](Time quantum) {
          Scheduler scheduler("scheduler", quantum);
          Requester requester("requester", scheduler);
          int ended = 0;
          AnyTarget target("target", [&](GenericPayload& payload, tlm::tlm_phase& phase,
                                         sc_core::sc_time& delay) {
            if (phase == tlm::END_RESP) {
              ++ended;
              return tlm::TLM_COMPLETED;
            }
            payload.set_response_status(tlm::TLM_OK_RESPONSE);
            phase = tlm::BEGIN_RESP;
            delay += nanoseconds(8);
            return tlm::TLM_UPDATED;
          });
          requester.socket.bind(target.socket);
          const std::string text = requests_to(requester, scheduler);
          return text + fmt::format(", ended {}", ended);
        }) == "1@18 2@33 3@33 4@5008 in use 0, end 5008, ended 4");
}

TEST_CASE("a target may accept late and respond from its own process, with a delay") {
  CHECK(at_every_quantum([](Time quantum) {
          Scheduler scheduler("scheduler", quantum);
          Requester requester("requester", scheduler);
          SlowTarget slow("slow");
          requester.socket.bind(slow.target.socket);
          return requests_to(requester, scheduler);
        }) == "1@85 2@100 3@100 4@5075 in use 0, end 5075");
}

TEST_CASE("a foreign initiator binds to our target and may end its responses later") {
  CHECK(at_every_quantum([](Time quantum) {
          Scheduler scheduler("scheduler", quantum);
          ForeignInitiator initiator("initiator");
          Responder responder("responder", scheduler);
          initiator.socket.bind(responder.socket);
          scheduler.simulate();
          return initiator.text + " / " + responder.text();
        }) ==
        "accepted 1@47 ended accepted 2@97 ended accepted 3@147 ended "
        "blocking refused debug 4 no dmi / 1@17 2@67 3@117 ");
}

TEST_CASE("a splice before our target changes nothing") {
  CHECK(at_every_quantum([](Time quantum) {
          Scheduler scheduler("scheduler", quantum);
          Requester requester("requester", scheduler);
          Splice splice("splice");
          Responder responder("responder", scheduler);
          requester.socket.bind(splice.downstream.in);
          splice.downstream.out.bind(responder.socket);
          const std::string text = requests_to(requester, scheduler);
          return text + fmt::format(", entries {}", scheduler.entries_run());
        }) == "1@40 2@55 3@55 4@5030 in use 0, end 5030, entries 8");
}

TEST_CASE("a splice between our sockets may delay by means of SystemC") {
  CHECK(at_every_quantum([](Time quantum) {
          Scheduler scheduler("scheduler", quantum);
          Requester requester("requester", scheduler);
          Delaying splice("splice");
          Responder responder("responder", scheduler);
          requester.socket.bind(splice.downstream.in);
          splice.downstream.out.bind(responder.socket);
          for (std::uint64_t i = 0; i < 3; ++i) {
            requester.send_at(base::nanoseconds(1000 + 4000 * i), i + 1);
          }
          scheduler.simulate();
          return requester.text();
        }) == "1@1050 2@5050 3@9050 ");
}

TEST_CASE("a plain memory behind a splice is still taken for a foreign one") {
  auto run = [](Time quantum, bool spliced) {
    Scheduler scheduler("scheduler", quantum);
    Requester requester("requester", scheduler);
    Splice splice("splice");
    PlainMemory memory("memory");
    if (spliced) {
      requester.socket.bind(splice.downstream.in);
      splice.downstream.out.bind(memory.socket);
    } else {
      requester.socket.bind(memory.socket);
    }
    for (std::uint64_t i = 0; i < 60; ++i) {
      requester.send_at(picoseconds(static_cast<std::int64_t>(i / 6) * 10'000), i);
    }
    scheduler.simulate();
    return requester.text();
  };
  const std::string plain = at_every_quantum([&](Time quantum) { return run(quantum, false); });
  const std::string spliced = at_every_quantum([&](Time quantum) { return run(quantum, true); });
  CHECK(spliced == plain);
  CHECK(plain.substr(0, 36) == "0@100 1@100 2@100 3@100 4@100 5@100 ");
}

}  // namespace nvmesim::base
