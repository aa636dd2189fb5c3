# Run as a script: cmake -DOUTPUT=presets.cpp -DINPUTS="drives/a.json;hosts/b.json" -P embed.cmake
# Writes a C++ file with the text of every preset, so that the program needs no data files.
set(rows "")
foreach(input ${INPUTS})
  get_filename_component(name ${input} NAME_WE)
  get_filename_component(directory ${input} DIRECTORY)
  get_filename_component(kind ${directory} NAME)
  file(READ ${input} text)
  string(APPEND rows "    {\"${kind}\", \"${name}\", R\"json(${text})json\"},\n")
endforeach()
file(WRITE ${OUTPUT}.new "// Generated from the JSON files of sim/system; do not edit.
#include \"sim/system/presets.hpp\"

namespace nvmesim::system_ {
namespace {

constexpr PresetText kTexts[] = {
${rows}};

}  // namespace

std::span<const PresetText> preset_texts() { return kTexts; }

}  // namespace nvmesim::system_
")
file(COPY_FILE ${OUTPUT}.new ${OUTPUT} ONLY_IF_DIFFERENT)
file(REMOVE ${OUTPUT}.new)
