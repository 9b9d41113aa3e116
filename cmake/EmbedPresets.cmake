# cmake -DOUT=FILE.cpp -DFILES=a.toml,b.toml -P EmbedPresets.cmake: writes the function presets() of tools/options/settings.h, so that
# the program carries configs/ wherever it is installed.
string(REPLACE "," ";" FILES "${FILES}")
set(text "// Made from configs/*.toml by cmake/EmbedPresets.cmake.\n#include \"tools/options/settings.h\"\n\nnamespace invp::cli {\n\n")
string(APPEND text "const std::vector<Preset>& presets() {\n  static const std::vector<Preset> all{\n")
foreach(file IN LISTS FILES)
  get_filename_component(name "${file}" NAME_WE)
  file(READ "${file}" toml)
  string(APPEND text "      {\"${name}\", R\"toml(${toml})toml\"},\n")
endforeach()
string(APPEND text "  };\n  return all;\n}\n\n}  // namespace invp::cli\n")
file(WRITE "${OUT}" "${text}")
