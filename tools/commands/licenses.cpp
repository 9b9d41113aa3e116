#include "tools/commands/licenses.h"

namespace invp::cli {

std::vector<License> licenses() {
  std::vector<License> all = {
      {"oneDNN", "Apache-2.0", "Intel and others", "linked", ""},
#ifdef __clang__
      {"OpenMP runtime", "Apache-2.0 WITH LLVM-exception", "the LLVM project", "linked", "libomp5"},
#else
      {"OpenMP runtime", "GPL-3.0 WITH GCC-exception-3.1", "Free Software Foundation", "linked",
       "libgomp1"},
#endif
      {"libjpeg-turbo", "IJG AND BSD-3-Clause AND Zlib", "T. Lane, D. R. Commander and others",
       "linked", "libjpeg62-turbo"},
      {"libpng", "libpng-2.0", "the PNG Reference Library authors", "linked", "libpng16-16"},
      {"libtiff", "libtiff", "S. Leffler, Silicon Graphics", "linked", "libtiff6"},
      {"libwebp", "BSD-3-Clause", "Google", "linked", "libwebp7"},
      {"zlib", "Zlib", "J. Gailly, M. Adler", "linked", "zlib1g"},
      {"libzip", "BSD-3-Clause", "D. Baron, T. Klausner", "linked", "libzip4"},
      {"ISA-L", "BSD-3-Clause", "Intel", "linked", "libisal2"},
      {"pugixml", "MIT", "A. Kapoulkine", "linked", "libpugixml1v5"},
      {"Eigen", "MPL-2.0", "G. Guennebaud, B. Jacob and others", "compiled in", "libeigen3-dev"},
      {"Spectra", "MPL-2.0", "Y. Qiu and others", "compiled in", "libspectra-dev"},
      {"nlohmann-json", "MIT", "N. Lohmann", "compiled in", "nlohmann-json3-dev"},
      {"toml++", "MIT", "M. Gillard", "compiled in", "libtomlplusplus-dev"},
      {"CLI11", "BSD-3-Clause", "University of Cincinnati", "compiled in", "libcli11-dev"},
      {"letters of DejaVu Sans", "Bitstream-Vera", "Bitstream; changes in the public domain",
       "compiled in", ""},
  };
#ifdef INVP_WITH_MPI
  all.push_back({"MPI", "BSD-3-Clause (Open MPI) or mpich2 (MPICH)", "their projects", "linked",
                 "libopenmpi3"});
#endif
#ifdef INVP_CUDA
  for (const char* library : {"CUDA runtime", "cuBLASLt", "cuDNN", "nvJPEG"})
    all.push_back({library, "LicenseRef-NVIDIA", "NVIDIA", "linked", ""});
  all.push_back({"cudnn-frontend", "MIT", "NVIDIA", "compiled in", ""});
#endif
  return all;
}

}  // namespace invp::cli
