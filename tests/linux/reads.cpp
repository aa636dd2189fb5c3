// Runs under the simulated kernel: reads 4 KiB at a time, one after the other, around the page
// cache, and prints least, mean and most of what the guest's clock says that each took, in ns.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace {

long long now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int device = open(argv[1], O_RDONLY | O_DIRECT);
  const int count = std::atoi(argv[2]);
  void* page = nullptr;
  if (device < 0 || count < 1 || posix_memalign(&page, 4096, 4096) != 0) return 2;
  long long least = 1LL << 60, most = 0, sum = 0;
  for (int i = 0; i < count; ++i) {
    const long long begin = now();
    if (pread(device, page, 4096, off_t{4096} * (i % 65536)) != 4096) return 1;
    const long long took = now() - begin;
    least = std::min(least, took);
    most = std::max(most, took);
    sum += took;
  }
  std::printf("%lld %lld %lld\n", least, sum / count, most);
  return 0;
}
