// What sysfs shows of a controller, its subsystem, its PCI function and its namespaces: path and
// value, as reading the file gives it without the newline. Attributes that are not visible there
// are not here.
#pragma once

#include <string>
#include <vector>

namespace nvmesim::host {

class NvmeDev;

struct SysfsAttribute {
  std::string path;
  std::string value;
};

// In a thread: temperatures are read from the drive.
std::vector<SysfsAttribute> sysfs_attributes(NvmeDev& dev, bool later_generation, bool hwmon);

}  // namespace nvmesim::host
