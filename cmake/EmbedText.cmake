# cmake -DOUT=FILE.cpp -DHEADER=a/b.h -DFILES=dir/page.html,dir/page.css -P EmbedText.cmake: writes one function a file, page_html(),
# page_css(), that returns its text.
string(REPLACE "," ";" FILES "${FILES}")
set(text "// Made by cmake/EmbedText.cmake.\n#include \"${HEADER}\"\n\nnamespace invp {\n")
foreach(file IN LISTS FILES)
  get_filename_component(name "${file}" NAME)
  string(REPLACE "." "_" name "${name}")
  file(READ "${file}" content)
  string(APPEND text "\nstd::string_view ${name}() {\n  return R\"content(${content})content\";\n}\n")
endforeach()
string(APPEND text "\n}  // namespace invp\n")
file(WRITE "${OUT}" "${text}")
