// The seam between a controller and what stores its data. A command covers logical blocks of one
// namespace-independent space of fixed-size units; it is cut into parts, so that the link can carry
// the first part while the media still works on the last.
//
// Contract. start() never calls back before it returns. For a read, ready(part) says that the data
// of that part may leave (it is in part.data). For a write, ready(part) says that buffer space is
// granted and the part's data may be fetched; the controller fills part.data and calls
// write_arrived(part). After every part, done(status) comes exactly once; after it the media does
// not touch the command again. Flush, deallocate and write zeroes have no parts: only done().
// cancel() makes the media forget a command: no call-back comes after it returns, and space
// granted to parts that have not arrived is taken back.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/buffer.hpp"
#include "sim/base/callback.hpp"
#include "sim/base/stage.hpp"
#include "sim/base/strong_id.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::models {

// The unit of mapping and of data: 4 KiB of logical space.
inline constexpr std::uint32_t kUnitBytes = 4096;
struct UnitTag;
using UnitId = base::StrongId<UnitTag, std::uint64_t>;

enum class MediaOp : std::uint8_t { kRead, kWrite, kFlush, kDeallocate, kWriteZeroes };

enum class MediaStatus : std::uint8_t {
  kOk,
  kUncorrectable,  // the data of a unit could not be read
  kIntegrity,      // a unit's own record of (LBA, sequence) is not what the mapping says
  kNoSpace,
};

class MediaClient;

struct MediaCommand;

// One unit's share of a read or write: bytes [offset, offset + bytes) of `unit`.
struct MediaPart {
  MediaCommand* command = nullptr;
  UnitId unit;
  std::uint32_t offset = 0;  // in bytes, within the unit
  std::uint32_t bytes = 0;
  // Read: a whole unit, set by the media before ready(); empty for a unit that was never written
  // or is deallocated (it reads as zeroes) and when the run keeps no data.
  // Write: a whole unit taken from the media's pool before ready(), to be filled at
  // [offset, offset + bytes); empty when the run keeps no data.
  base::BufferRef data;
  // Opened by the media at start(); stamped by it up to ready(); the controller goes on stamping.
  // For a write, stamped again by the media after write_arrived() only if it delays done().
  base::StageRecord stages;
  std::uint64_t client_data = 0;  // the client's own
  std::uint64_t media_data = 0;   // the media's own
};

// Owned by the client, alive from start() to done() or cancel(). The client sets op, the range, the
// parts (one per touched unit, ascending), force_unit_access and limited_retry.
struct MediaCommand {
  MediaOp op = MediaOp::kRead;
  // For deallocate and write zeroes: byte range, any alignment to the logical block size. Units
  // covered in full are unmapped; write zeroes of a partly covered unit rewrites it.
  std::uint64_t first_byte = 0;
  std::uint64_t bytes = 0;
  bool force_unit_access = false;  // a write is done only when it is durable
  bool limited_retry = false;      // a read gives up early instead of taking long
  std::uint16_t stream = 0;        // a write's hint: data of one stream ends together; 0 none
  std::vector<MediaPart> parts;
  MediaClient* client = nullptr;
  std::uint64_t client_data = 0;  // the client's own
  std::uint32_t parts_open = 0;   // the media's own
  std::uint64_t media_data = 0;   // the media's own
  // Of the command as a whole (flush and the like): opened at start(), stamped up to done(). For
  // reads and writes the parts have theirs.
  base::StageRecord stages;
  MediaStatus status = MediaStatus::kOk;
};

class MediaClient {
 public:
  virtual ~MediaClient() = default;
  virtual void media_ready(MediaPart& part) = 0;
  virtual void media_done(MediaCommand& command, MediaStatus status) = 0;
};

class BorrowedMemoryUser;  // models/borrowed_memory.hpp
struct MediaPoints;        // models/media_points.hpp

class Media {
 public:
  virtual ~Media() = default;

  virtual void start(MediaCommand& command) = 0;
  // Data of a granted write part is in part.data.
  virtual void write_arrived(MediaPart& part) = 0;
  virtual void cancel(MediaCommand& command) = 0;

  // Logical capacity in units.
  virtual std::uint64_t capacity_units() const = 0;
  // Units with data (mapped), for namespace utilisation.
  virtual std::uint64_t used_units() const = 0;
  // True if acknowledged writes may be lost on power failure, so that Flush and FUA matter.
  virtual bool volatile_cache() const = 0;
  // Everything written so far goes to the medium in the background at most this fast; used by
  // shutdown: calls `done` when nothing volatile is left.
  virtual void quiesce(base::Callback done) = 0;

  // True if every buffer of a part has a spare area behind its data (models/spare.hpp) that is kept
  // with it: a write fills the slots of what it writes; deallocated blocks have theirs cleared.
  virtual bool keeps_spare() const { return false; }
  // The part that can use memory lent by the host; nullptr if there is none.
  virtual BorrowedMemoryUser* memory_user() { return nullptr; }

  // Power goes, after the client has cancelled every command: what was not durable is lost, work
  // in the background ends at once. power_on() takes it up again; commands may follow. A medium
  // where nothing is volatile has nothing to do.
  virtual void power_cut() {}
  virtual void power_on() {}

  // Everything that outlasts power, as one file; between power_cut() and power_on(). load() puts it
  // into a medium of the same configuration that has done nothing yet; power_on() must follow.
  // `source` names the file in errors. Throw UserError if that cannot be done.
  virtual std::string save() const;
  virtual void load(std::string_view file, std::string_view source);

  // Where rules (faults, tests) look into the media and change what they find.
  virtual MediaPoints& points() = 0;
};

}  // namespace nvmesim::models
