// Which format a file has, by what its first bytes say, and the names of those that are not read.
#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "data/images/decoders.h"

namespace invp::decoders {
namespace {

using namespace std::string_view_literals;

bool holds(Bytes bytes, std::string_view magic, std::size_t offset) {
  return magic.empty() || (bytes.size() >= offset + magic.size() &&
                           std::memcmp(bytes.data() + offset, magic.data(), magic.size()) == 0);
}

/// Both must stand in the file; an empty second one does.
struct Magic {
  std::string_view text;
  std::size_t offset = 0;
  std::string_view text_2 = "";  // not null: memcmp takes no null pointer
  std::size_t offset_2 = 0;

  bool in(Bytes bytes) const {
    return holds(bytes, text, offset) && holds(bytes, text_2, offset_2);
  }
};

struct Known {
  Magic magic;
  ImageFormat format;
};

constexpr Known kFormats[] = {
    {{"\xff\xd8\xff"sv}, ImageFormat::kJpeg},
    {{"\x89PNG\r\n\x1a\n"sv}, ImageFormat::kPng},
    {{"GIF87a"sv}, ImageFormat::kGif},
    {{"GIF89a"sv}, ImageFormat::kGif},
    {{"BM"sv}, ImageFormat::kBmp},
    {{"RIFF"sv, 0, "WEBP"sv, 8}, ImageFormat::kWebp},
    {{"II*\0"sv}, ImageFormat::kTiff},
    {{"MM\0*"sv}, ImageFormat::kTiff},
    {{"II+\0"sv}, ImageFormat::kTiff},
    {{"MM\0+"sv}, ImageFormat::kTiff},
};

struct Named {
  Magic magic;
  const char* name;
};

/// Looked through first: some begin like a format that is read.
constexpr Named kUnsupported[] = {
    {{"II*\0"sv, 0, "CR"sv, 8}, "Canon's raw format (CR2)"},
    {{"ftypcrx "sv, 4}, "Canon's raw format (CR3)"},
    {{"IIRO"sv}, "Olympus' raw format (ORF)"},
    {{"IIRS"sv}, "Olympus' raw format (ORF)"},
    {{"MMOR"sv}, "Olympus' raw format (ORF)"},
    {{"IIU\0"sv}, "Panasonic's raw format (RW2)"},
    {{"FUJIFILMCCD-RAW"sv}, "Fujifilm's raw format (RAF)"},
    {{"FOVb"sv}, "Sigma's raw format (X3F)"},
    {{"\0MRM"sv}, "Minolta's raw format (MRW)"},
    {{"ftypavif"sv, 4}, "AVIF"},
    {{"ftypavis"sv, 4}, "AVIF"},
    {{"ftyphei"sv, 4}, "HEIC"},
    {{"ftyphev"sv, 4}, "HEIC"},
    {{"ftypmif1"sv, 4}, "HEIF"},
    {{"ftypmif2"sv, 4}, "HEIF"},
    {{"ftypmsf1"sv, 4}, "HEIF"},
    {{"ftypqt  "sv, 4}, "QuickTime video"},
    {{"ftyp"sv, 4}, "MP4 video"},
    {{"\0\0\0\x0cjP  \r\n"sv}, "JPEG 2000"},
    {{"\xff\x4f\xff\x51"sv}, "JPEG 2000"},
    {{"\0\0\0\x0cJXL \r\n"sv}, "JPEG XL"},
    {{"\xff\x0a"sv}, "JPEG XL"},
    {{"II\xbc\x01"sv}, "JPEG XR"},
    {{"\xff\xd8\xff\xf7"sv}, "JPEG-LS"},
    {{"8BPS"sv}, "Photoshop's format (PSD)"},
    {{"gimp xcf"sv}, "GIMP's format (XCF)"},
    {{"P7\n"sv}, "PAM"},
    {{"P7 332"sv}, "XV's thumbnail format"},
    {{"PF\n"sv}, "PFM"},
    {{"Pf\n"sv}, "PFM"},
    {{"\0\0\1\0"sv}, "ICO"},
    {{"%PDF-"sv}, "PDF"},
    {{"%!PS"sv}, "PostScript"},
    {{"\x76\x2f\x31\x01"sv}, "OpenEXR"},
    {{"#?RADIANCE"sv}, "Radiance HDR"},
    {{"#?RGBE"sv}, "Radiance HDR"},
    {{"DDS "sv}, "DDS"},
    {{"qoif"sv}, "QOI"},
    {{"\x01\xda"sv}, "SGI's format"},
    {{"farbfeld"sv}, "farbfeld"},
    {{"FLIF"sv}, "FLIF"},
    {{"BPG\xfb"sv}, "BPG"},
    {{"SIMPLE  ="sv}, "FITS"},
    {{"/* XPM */"sv}, "XPM"},
    {{"DICM"sv, 128}, "DICOM"},
    {{"RIFF"sv, 0, "AVI "sv, 8}, "AVI video"},
    {{"\x1a\x45\xdf\xa3"sv}, "Matroska or WebM video"},
};

constexpr Named kNoPictures[] = {
    {{"version https://git-lfs"sv}, "a pointer of Git LFS: fetch the file with git lfs pull"},
    {{"PK\3\4"sv}, "a ZIP archive"},
    {{"\x1f\x8b"sv}, "a gzip file"},
};

/// "P1" to "P6", then white space or a comment: letters alone could open any text.
bool is_pnm(Bytes bytes) {
  return bytes.size() > 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
         " \t\n\v\f\r#"sv.find(static_cast<char>(bytes[2])) != std::string_view::npos;
}

bool is_signed_tga(Bytes bytes) {
  constexpr std::string_view kSignature = "TRUEVISION-XFILE.\0"sv;
  return bytes.size() >= kSignature.size() &&
         holds(bytes, kSignature, bytes.size() - kSignature.size());
}

/// Markup may begin with a declaration and comments.
bool is_svg(Bytes bytes) {
  const Bytes head = bytes.first(std::min<std::size_t>(bytes.size(), 1024));
  constexpr auto kTag = "<svg"sv;
  return std::search(head.begin(), head.end(), kTag.begin(), kTag.end()) != head.end();
}

}  // namespace

ImageFormat recognize(Bytes bytes, const std::string& name) {
  if (bytes.empty()) refuse(name, "the file is empty");
  for (const Named& entry : kUnsupported) {
    if (entry.magic.in(bytes)) refuse_unsupported(name, entry.name);
  }
  for (const Known& entry : kFormats) {
    if (entry.magic.in(bytes)) return entry.format;
  }
  if (is_pnm(bytes)) return ImageFormat::kPnm;
  if (is_signed_tga(bytes) || is_tga(bytes)) return ImageFormat::kTga;
  for (const Named& entry : kNoPictures) {
    if (entry.magic.in(bytes)) refuse(name, std::string("not a picture: ") + entry.name);
  }
  if (holds(bytes, "<"sv, 0) || holds(bytes, "\xef\xbb\xbf<"sv, 0)) {
    if (is_svg(bytes)) refuse_unsupported(name, "SVG");
    refuse(name, "not a picture: the content looks like HTML or XML");
  }
  refuse(
      name,
      "not a picture: the content is none of JPEG, PNG, WebP, TIFF, BMP, GIF, TGA, PBM, PGM, PPM");
}

}  // namespace invp::decoders
