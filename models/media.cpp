#include "models/media.hpp"

#include "sim/base/assert.hpp"

namespace nvmesim::models {

std::string Media::save() const {
  throw base::UserError("the state of this kind of medium cannot be saved");
}

void Media::load(std::string_view /*file*/, std::string_view source) {
  throw base::UserError(std::string(source) + ": this kind of medium cannot load a state");
}

}  // namespace nvmesim::models
