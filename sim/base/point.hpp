// A named place inside a part where a rule may look at a value and change it. Unarmed it costs one
// branch. Faults, breakpoints and traces arm points; nothing else does.
//
//   Point<PhysicalUnit&> map_lookup{"ftl.map_lookup"};   // a member of the part
//   if (map_lookup.armed()) map_lookup(unit);            // in its code
#pragma once

#include <functional>
#include <string>
#include <utility>

namespace nvmesim::base {

template <class... Arguments>
class Point {
 public:
  using Rule = std::function<void(Arguments...)>;

  explicit Point(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  bool armed() const { return static_cast<bool>(rule_); }
  void arm(Rule rule) { rule_ = std::move(rule); }
  void disarm() { rule_ = nullptr; }

  void operator()(Arguments... arguments) const {
    if (rule_) rule_(std::forward<Arguments>(arguments)...);
  }

 private:
  std::string name_;
  Rule rule_;
};

}  // namespace nvmesim::base
