#include "sim/system/drive_state.hpp"

#include "device/persistent_state.hpp"
#include "models/state/state_io.hpp"

namespace nvmesim::system_ {
namespace {

// In front, where the state of media alone has its kind.
constexpr std::uint64_t kWholeDrive = 0x4452;

}  // namespace

std::string save_drive(const device::Controller& controller, models::Media& media) {
  models::StateWriter out;
  out.number(kWholeDrive);
  out.text(device::write_state(controller.save()));
  media.power_cut();
  out.text(media.save());
  return out.finish();
}

void load_drive(std::string_view file, std::string_view source, device::Controller& controller,
                models::Media& media) {
  models::StateReader in(file, std::string(source));
  if (in.number("the kind of the state") != kWholeDrive) in.fail("not the state of a whole drive");
  const std::string of_controller = in.text("the controller's part", ~std::size_t{0});
  const std::string of_media = in.text("the media's part", ~std::size_t{0});
  in.end();
  controller.restore(device::read_state(of_controller, source), source);
  media.load(of_media, source);
  media.power_on();
}

}  // namespace nvmesim::system_
