#include "data/sets/mat_file.h"

#include <matio.h>

#include <cmath>
#include <span>
#include <string_view>

#include "engine/core/error.h"

namespace invp {
namespace {

template <class T>
double element(const matvar_t& variable, std::int64_t i) {
  return static_cast<double>(static_cast<const T*>(variable.data)[i]);
}

double number_at(const matvar_t& variable, std::int64_t i, const std::string& where) {
  switch (variable.class_type) {
    case MAT_C_DOUBLE: return element<double>(variable, i);
    case MAT_C_SINGLE: return element<float>(variable, i);
    case MAT_C_UINT8: return element<std::uint8_t>(variable, i);
    case MAT_C_INT8: return element<std::int8_t>(variable, i);
    case MAT_C_UINT16: return element<std::uint16_t>(variable, i);
    case MAT_C_INT16: return element<std::int16_t>(variable, i);
    case MAT_C_UINT32: return element<std::uint32_t>(variable, i);
    case MAT_C_INT32: return element<std::int32_t>(variable, i);
    case MAT_C_UINT64: return element<std::uint64_t>(variable, i);
    case MAT_C_INT64: return element<std::int64_t>(variable, i);
    default: fail(where, ": holds no numbers");
  }
}

const matvar_t& as_variable(const void* pointer) {
  return *static_cast<const matvar_t*>(pointer);
}

/// For functions of the library that change nothing but take no const variable.
matvar_t* as_argument(const void* pointer) {
  return const_cast<matvar_t*>(static_cast<const matvar_t*>(pointer));
}

}  // namespace

MatValue::MatValue(std::shared_ptr<const void> owner, const void* variable, std::string where)
    : owner_(std::move(owner)), variable_(variable), where_(std::move(where)) {
  CHECK(variable_ != nullptr, where_, ": is missing; the file was cut short or is another one");
}

std::int64_t MatValue::count() const {
  std::int64_t elements = 1;
  for (const std::int64_t dim : dims()) elements *= dim;
  return elements;
}

std::vector<std::int64_t> MatValue::dims() const {
  const matvar_t& variable = as_variable(variable_);
  return {variable.dims, variable.dims + variable.rank};
}

std::int64_t MatValue::integer(std::int64_t i, std::int64_t low, std::int64_t high) const {
  const matvar_t& variable = as_variable(variable_);
  const std::string element_name = count() == 1 ? where_ : message(where_, "(", i + 1, ")");
  CHECK(variable.data != nullptr && i < count() && variable.isComplex == 0, element_name,
        ": is missing or not a real number");
  const double value = number_at(variable, i, where_);
  CHECK(value >= static_cast<double>(low) && value <= static_cast<double>(high) &&
            value == std::floor(value),
        element_name, ": is ", value, ", a whole number from ", low, " to ", high, " was expected");
  return static_cast<std::int64_t>(value);
}

std::span<const std::uint8_t> MatValue::bytes() const {
  const matvar_t& variable = as_variable(variable_);
  CHECK(variable.class_type == MAT_C_UINT8 && variable.data != nullptr && variable.isComplex == 0,
        where_, ": holds no bytes (uint8)");
  return {static_cast<const std::uint8_t*>(variable.data), static_cast<std::size_t>(count())};
}

std::string MatValue::text() const {
  const matvar_t& variable = as_variable(variable_);
  CHECK(variable.class_type == MAT_C_CHAR && variable.data != nullptr, where_, ": is no text");
  // Stored in one or in two bytes per character.
  const auto length = static_cast<std::size_t>(count());
  std::string text;
  if (variable.data_type == MAT_T_UINT16 || variable.data_type == MAT_T_UTF16) {
    for (const std::uint16_t c :
         std::span(static_cast<const std::uint16_t*>(variable.data), length)) {
      CHECK(c < 128, where_, ": holds a character that is not ASCII");
      text += static_cast<char>(c);
    }
    return text;
  }
  return {static_cast<const char*>(variable.data), length};
}

MatValue MatValue::cell(std::int64_t i) const {
  const matvar_t& variable = as_variable(variable_);
  const std::string cell_name = message(where_, "{", i + 1, "}");
  CHECK(variable.class_type == MAT_C_CELL && variable.data != nullptr && i < count(), cell_name,
        ": there is no such cell");
  return {owner_, Mat_VarGetCell(as_argument(variable_), static_cast<int>(i)), cell_name};
}

bool MatValue::is_structure() const {
  return as_variable(variable_).class_type == MAT_C_STRUCT;
}

bool MatValue::has_field(const char* name) const {
  if (!is_structure()) return false;
  const unsigned fields = Mat_VarGetNumberOfFields(as_argument(variable_));
  const std::span names(Mat_VarGetStructFieldnames(as_argument(variable_)), fields);
  for (const std::string_view field : names) {
    if (field == name) return true;
  }
  return false;
}

MatValue MatValue::field(std::int64_t i, const char* name) const {
  const std::string field_name = message(where_, "(", i + 1, ").", name);
  CHECK(has_field(name) && i < count(), field_name, ": there is no such field");
  return {owner_,
          Mat_VarGetStructFieldByName(as_argument(variable_), name, static_cast<std::size_t>(i)),
          field_name};
}

MatFile::MatFile(const std::filesystem::path& path) : path_(path.string()) {
  CHECK(std::filesystem::is_regular_file(path), path_, ": no such file; check the path");
  // Silences the library: the errors here report what is wrong. The text is char* up to
  // matio 1.5.27 and const char* after.
  Mat_LogInitFunc("invp", [](int, auto*) {});
  mat_t* const file = Mat_Open(path_.c_str(), MAT_ACC_RDONLY);
  CHECK(file != nullptr, path_, ": not a MATLAB file, or damaged; download it again");
  file_ = std::shared_ptr<void>(file, [](void* opened) { Mat_Close(static_cast<mat_t*>(opened)); });
}

MatValue MatFile::variable(const char* name) const {
  matvar_t* const variable = Mat_VarRead(static_cast<mat_t*>(file_.get()), name);
  CHECK(variable != nullptr, path_, ": has no readable variable ", name,
        "; it was cut short or is another file: download it again");
  const std::shared_ptr<const void> owner(variable,
                                          [](const void* read) { Mat_VarFree(as_argument(read)); });
  CHECK(variable->data != nullptr, path_, ": the variable ", name,
        " is empty or was cut short; download the file again");
  return {owner, variable, path_ + ": " + name};
}

}  // namespace invp
