// Pooled, counted pieces of data of one fixed size, 4 KiB in practice. A BufferRef keeps the bytes
// alive, so that a payload can point into the data store or into host memory without a copy:
// whoever changes data takes a new buffer and leaves the old one to its readers.
#pragma once

#include <boost/intrusive_ptr.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace nvmesim::base {

class Buffer;

// What a pool and its buffers share. It outlives the pool until the last buffer has come back, so
// that the order in which modules are destroyed at the end does not matter.
struct BufferStorage {
  [[gnu::cold, gnu::noinline]] static void end(BufferStorage* storage) { delete storage; }

  std::size_t in_use = 0;
  bool abandoned = false;  // by its pool
  Buffer* free = nullptr;
  std::vector<std::unique_ptr<std::byte[]>> chunks;
  std::vector<std::unique_ptr<Buffer[]>> headers;
};

class Buffer {
 public:
  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }

 private:
  friend class BufferPool;
  friend void intrusive_ptr_add_ref(Buffer* buffer) { ++buffer->references_; }
  friend void intrusive_ptr_release(Buffer* buffer);
  std::byte* data_ = nullptr;
  BufferStorage* storage_ = nullptr;
  Buffer* next_ = nullptr;
  std::uint32_t references_ = 0;
};

using BufferRef = boost::intrusive_ptr<Buffer>;

class BufferPool {
 public:
  explicit BufferPool(std::size_t buffer_bytes)
      : buffer_bytes_(buffer_bytes), storage_(new BufferStorage) {}
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool() {
    storage_->abandoned = true;
    if (storage_->in_use == 0) delete storage_;
  }

  // Contents are whatever the last user left.
  BufferRef take();
  std::size_t buffer_bytes() const { return buffer_bytes_; }
  std::size_t in_use() const { return storage_->in_use; }

 private:
  static constexpr std::size_t kChunk = 64;  // buffers allocated at once
  void grow();

  std::size_t buffer_bytes_;
  BufferStorage* storage_;
};

inline void intrusive_ptr_release(Buffer* buffer) {
  if (--buffer->references_ != 0) return;
  BufferStorage* storage = buffer->storage_;
  buffer->next_ = storage->free;
  storage->free = buffer;
  if (--storage->in_use == 0 && storage->abandoned) [[unlikely]]
    BufferStorage::end(storage);
}

inline BufferRef BufferPool::take() {
  if (storage_->free == nullptr) grow();
  Buffer* buffer = storage_->free;
  storage_->free = buffer->next_;
  ++storage_->in_use;
  return BufferRef(buffer);
}

inline void BufferPool::grow() {
  auto& chunk = storage_->chunks.emplace_back(
      std::make_unique_for_overwrite<std::byte[]>(kChunk * buffer_bytes_));
  auto& headers = storage_->headers.emplace_back(std::make_unique<Buffer[]>(kChunk));
  for (std::size_t i = kChunk; i-- > 0;) {
    Buffer& buffer = headers[i];
    buffer.data_ = chunk.get() + i * buffer_bytes_;
    buffer.storage_ = storage_;
    buffer.next_ = storage_->free;
    storage_->free = &buffer;
  }
}

}  // namespace nvmesim::base
