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

// Writes an attribute of the controller, named from its directory on: reset_controller,
// rescan_controller, hmb, hwmon0/tempN_max and _min (thousandths of degrees). In a thread. 0 or a
// negative errno: -ENOENT if there is none of that name that can be written, -EACCES if the drive
// does not stand it, -EINVAL for a value that is none.
int sysfs_store(NvmeDev& dev, std::string_view attribute, std::string_view value, bool hwmon);

}  // namespace nvmesim::host
