// invp doctor: what this build and this machine have, what is missing and how to get it.
#include <png.h>
#include <tiffio.h>
#include <toml++/toml.h>
#include <webp/decode.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <oneapi/dnnl/dnnl.hpp>
#include <sstream>
#include <thread>

// jpeglib.h uses FILE and size_t without declaring them.
#include <jpeglib.h>

#include <cstdio>

#include "engine/core/cpu_share.h"
#include "engine/core/error.h"
#include "engine/core/memory.h"
#include "engine/core/numerics.h"
#include "engine/core/parallel.h"
#include "engine/core/text.h"
#include "engine/devices/cuda_info.h"
#include "engine/devices/device_choice.h"
#include "engine/devices/gpu_report.h"
#include "engine/plans/plan_file.h"
#include "invp/report/text/table.h"
#include "tools/commands/doctor_ranks.h"
#include "tools/commands/licenses.h"
#include "tools/options/command.h"
#include "tools/options/device_options.h"
#include "tools/options/version.h"

#define INVP_TEXT_OF(x) #x
#define INVP_TEXT(x) INVP_TEXT_OF(x)

namespace invp::cli {

namespace {

std::string first_value(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t colon = line.find(':');
    const std::size_t value = line.find_first_not_of(" \t", colon + 1);
    return colon == std::string::npos || value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

std::int64_t memory_kilobytes(const char* key) {
  const std::string text = first_value("/proc/meminfo", key);
  return text.empty() ? 0 : std::strtoll(text.c_str(), nullptr, 10) * 1024;
}

/// The instruction sets that matter here, of those the processor reports.
std::string instruction_sets() {
  const std::string flags = " " + first_value("/proc/cpuinfo", "flags") + " ";
  std::string found;
  for (const char* name : {"avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16"}) {
    if (flags.find(" " + std::string(name) + " ") != std::string::npos)
      found += (found.empty() ? "" : " ") + std::string(name);
  }
  return found.empty() ? "none of AVX2, AVX-512, AMX" : found;
}

struct Library {
  std::string name;
  std::string compiled;
  std::string loaded;
  std::string use;
};

/// "4.5.0" of "LIBTIFF, Version 4.5.0\nCopyright ...".
std::string tiff_version() {
  const std::string_view text = TIFFGetVersion();
  const std::string_view line = text.substr(0, text.find('\n'));
  return std::string(line.substr(line.rfind(' ') + 1));
}

std::string webp_version() {
  const int version = WebPGetDecoderVersion();
  return message(version >> 16, '.', version >> 8 & 255, '.', version & 255);
}

std::vector<Library> libraries(const CudaInfo& cuda) {
  const dnnl_version_t* dnnl = dnnl_version();
  std::vector<Library> libraries = {
      {"oneDNN",
       INVP_TEXT(DNNL_VERSION_MAJOR) "." INVP_TEXT(DNNL_VERSION_MINOR) "." INVP_TEXT(
           DNNL_VERSION_PATCH),
       message(dnnl->major, '.', dnnl->minor, '.', dnnl->patch), "convolutions, matrix products"},
      {"OpenMP", std::to_string(_OPENMP), "", "threads"},
      {"libjpeg-turbo", INVP_TEXT(LIBJPEG_TURBO_VERSION), "", "JPEG"},
      {"libpng", PNG_LIBPNG_VER_STRING, png_get_libpng_ver(nullptr), "PNG"},
      {"libtiff", message("of ", TIFFLIB_VERSION), tiff_version(), "TIFF"},
      {"libwebp",
       message("ABI ", WEBP_DECODER_ABI_VERSION >> 8, '.', WEBP_DECODER_ABI_VERSION & 255),
       webp_version(), "WebP"},
      {"zlib", ZLIB_VERSION, zlibVersion(), "PNG, zip checksums"},
      {"nlohmann-json",
       INVP_TEXT(NLOHMANN_JSON_VERSION_MAJOR) "." INVP_TEXT(
           NLOHMANN_JSON_VERSION_MINOR) "." INVP_TEXT(NLOHMANN_JSON_VERSION_PATCH),
       "", "metrics, safetensors headers"},
      {"toml++",
       INVP_TEXT(TOML_LIB_MAJOR) "." INVP_TEXT(TOML_LIB_MINOR) "." INVP_TEXT(TOML_LIB_PATCH), "",
       "settings"},
      {"CLI11", INVP_CLI11_VERSION, "", "command line"},
  };
  for (const CudaLibrary& library : cuda.libraries)
    libraries.push_back({library.name, library.built, library.loaded, library.use});
  return libraries;
}

/// What this build or machine lacks, each with how to get it.
std::vector<std::string> missing_things(const GpuReport& gpus) {
  std::vector<std::string> missing;
  if (const std::string type = build_facts().type; !type.starts_with("Rel")) {
    missing.push_back("this is a " + type +
                      " build, many times slower: cmake --preset release && cmake --build build");
  }
#ifndef __AVX2__
  missing.emplace_back(
      "built without AVX2: configure with -DINVP_NATIVE=ON on the machine that will run it");
#endif
  if (!multiplies_bf16(kCpu))
    missing.emplace_back("no AVX-512 here: --precision bf16 is for GPUs only");
  missing.insert(missing.end(), gpus.missing.begin(), gpus.missing.end());
  return missing;
}

class DoctorCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "doctor",
            .arguments = "[options]",
            .summary = "what this build and this machine have and lack",
            .description =
                "Lists the processor, memory, disk, devices and libraries that the program sees,\n"
                "how it was built, what is missing and how to get it.\n",
            .examples = "  invp doctor\n  invp doctor --json\n"};
  }

  void declare(Options& options) override {
    options.main_group("Machine");
    declare_threads(options, threads_);
    options.text("out", out_, "DIR", "a folder on the disk to report on").not_a_setting();
    options
        .flag("licences", licenses_,
              "list the libraries in this program with their licenses instead")
        .not_a_setting();
  }

  Results run() override {
    if (licenses_) return print_licenses();
    set_num_threads(threads_);
    CudaInfo cuda = cuda_info();
    try_gpus(cuda);
    const GpuReport gpus = gpu_report(nvidia_hardware(), cuda);
    Results results;
    print_build(results);
    print_machine(results);
    print_gpus(cuda, gpus, results);
    print_ranks(results);
    print_libraries(cuda, results);
    const std::vector<std::string> missing = missing_things(gpus);
    std::cout << "\nWorth knowing\n";
    for (const std::string& line : missing) std::cout << "  - " << line << '\n';
    if (missing.empty()) std::cout << "  nothing is missing\n";
    results["missing"] = missing;
    return results;
  }

 private:
  static void print_build(Results& results) {
    const BuildFacts build = build_facts();
    std::cout << "invp " << version() << "\n\nBuild\n";
    Table table(std::vector<std::string>(2));
    table.row({"commit", build.commit});
    table.row({"compiler", build.compiler});
    table.row({"type", build.type});
    table.row({"flags", build.flags});
    std::cout << table.text();
    results["version"] = version();
    results["commit"] = build.commit;
    results["build_type"] = build.type;
  }

  void print_machine(Results& results) const {
    const std::string model = first_value("/proc/cpuinfo", "model name");
    const std::int64_t total = memory_kilobytes("MemTotal");
    const std::int64_t free = memory_kilobytes("MemAvailable");
    std::error_code error;
    const std::filesystem::path where =
        std::filesystem::weakly_canonical(std::filesystem::absolute(out_), error);
    const auto disk = std::filesystem::space(where, error);

    std::cout << "\nMachine\n";
    Table table(std::vector<std::string>(2));
    table.row({"processor", model.empty() ? "unknown" : model});
    table.row(
        {"cores", message(usable_cores(), " allowed, of ", std::thread::hardware_concurrency())});
    table.row({"threads", message(num_threads(), " used")});
    table.row({"instructions", instruction_sets()});
    table.row({"memory", message(format_bytes(total), ", ", format_bytes(free), " available")});
    if (!error)
      table.row({"disk", message(format_bytes(static_cast<std::int64_t>(disk.available)),
                                 " free at ", where.string())});
    std::cout << table.text();

    results["processor"] = model;
    results["cores"] = usable_cores();
    results["threads"] = num_threads();
    results["instructions"] = instruction_sets();
    results["memory_bytes"] = total;
    results["memory_available_bytes"] = free;
    results["disk_free_bytes"] = error ? 0 : static_cast<std::int64_t>(disk.available);
  }

  static void print_gpus(const CudaInfo& cuda, const GpuReport& report, Results& results) {
    const DeviceChoice choice = choose_device("auto", cuda);
    std::cout << "\nDevices\n";
    Table table(std::vector<std::string>(2));
    table.row({"--device auto", message(choice.device, ": ", choice.reason)});
    for (const auto& [heading, text] : report.rows) table.row({heading, text});
    if (const std::string plans = user_plan_file().string(); cuda.built && !plans.empty())
      table.row({"plans", plans + (std::filesystem::exists(plans) ? "" : ", not there yet")});
    std::cout << table.text();
    results["device"] = message(choice.device);
    results["cuda"] = cuda.built;
    results["gpus"] = Results::array();
    for (const GpuInfo& gpu : cuda.gpus) {
      results["gpus"].push_back(
          {{"name", gpu.name},
           {"memory_bytes", gpu.memory_bytes},
           {"free_bytes", gpu.free_bytes},
           {"compute_capability", message(gpu.compute_major, '.', gpu.compute_minor)},
           {"usable", obstacle(gpu).empty()}});
    }
  }

  static void print_libraries(const CudaInfo& cuda, Results& results) {
    std::cout << "\nLibraries\n";
    Table table({"name", "built with", "loaded", "for"});
    for (const Library& library : libraries(cuda)) {
      table.row({library.name, library.compiled, library.loaded.empty() ? "-" : library.loaded,
                 library.use});
      results["libraries"][library.name] = library.compiled;
    }
    std::cout << table.text();
  }

  static Results print_licenses() {
    Results results;
    std::cout << "invp " << version() << ": Apache-2.0\n\n";
    Table table({"library", "license", "of", "how"});
    for (const License& row : licenses()) {
      table.row({row.library, row.license, row.holder, row.form});
      results["licenses"][row.library] = row.license;
    }
    std::cout << table.text()
              << "\nTheir texts on Debian and Ubuntu: /usr/share/doc/PACKAGE/copyright, of\n  ";
    std::string packages;
    for (const License& row : licenses())
      if (!row.package.empty()) packages += (packages.empty() ? "" : " ") + row.package;
    std::cout << packages << '\n';
    return results;
  }

  int threads_ = 0;
  bool licenses_ = false;
  std::string out_ = ".";
};

}  // namespace

void add_doctor(Commands& commands) {
  commands.push_back(std::make_unique<DoctorCommand>());
}

}  // namespace invp::cli
