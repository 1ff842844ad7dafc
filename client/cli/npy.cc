#include "client/cli/npy.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/elements.h"
#include "client/cli/files.h"
#include "client/cli/npy_header.h"

namespace dropout::cli {
namespace {

constexpr absl::string_view kMagic("\x93NUMPY", 6);
constexpr std::size_t kMaxHeaderBytes = 65536;
constexpr std::size_t kMaxRank = 8;
constexpr std::size_t kReadBytes = std::size_t{1} << 20;

absl::Status Invalid(absl::string_view what) { return absl::InvalidArgumentError(what); }

struct ElementType {
  DataType dtype;
  bool big_endian;
};

absl::StatusOr<ElementType> ParseDescr(const std::string& descr, NpyOptions options) {
  const absl::string_view type = descr.empty() ? absl::string_view() : descr.c_str() + 1;
  const char order = descr.empty() ? '\0' : descr[0];
  if (order == '<' || order == '=' || order == '>') {
    const bool big_endian = order == '>';
    if (type == "f2") return ElementType{DataType::kFloat16, big_endian};
    if (type == "f4") return ElementType{DataType::kFloat32, big_endian};
    if (type == "f8") return ElementType{DataType::kFloat64, big_endian};
    if (type == "u2" || type == "i2") {
      if (options.integers_are_bfloat16) return ElementType{DataType::kBFloat16, big_endian};
      return Invalid(absl::StrCat("elements are of type ", descr,
                                  "; --dtype bfloat16 takes them for the bits of bfloat16"));
    }
  }
  // NumPy writes a type without meaning to it as |V2.
  if ((order == '<' || order == '|') && type == "V2") {
    return ElementType{DataType::kBFloat16, false};
  }
  return Invalid(absl::StrCat("elements are of type '", descr,
                              "'; float16, float32, float64 and bfloat16 (<V2) can be used"));
}

// Appends up to `count` bytes of the file to `bytes`, taking memory only as they come.
void ReadUpTo(std::FILE* file, std::size_t count, std::string* bytes) {
  while (count > 0) {
    const std::size_t old_size = bytes->size();
    const std::size_t piece = std::min(count, kReadBytes);
    bytes->resize(old_size + piece);
    const std::size_t read = std::fread(bytes->data() + old_size, 1, piece, file);
    bytes->resize(old_size + read);
    if (read < piece) return;
    count -= read;
  }
}

std::size_t LittleEndian(absl::string_view bytes) {
  std::size_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

absl::StatusOr<NpyHeader> ReadHeader(std::FILE* file) {
  std::string start;
  ReadUpTo(file, kMagic.size() + 2, &start);
  if (start.size() < kMagic.size() + 2 || start.compare(0, kMagic.size(), kMagic.data()) != 0) {
    return Invalid("not a .npy file");
  }
  const int major = static_cast<unsigned char>(start[kMagic.size()]);
  if (major < 1 || major > 3) {
    return Invalid(absl::StrCat("version ", major, " of the .npy format; 1 to 3 can be read"));
  }
  std::string length;
  const std::size_t length_bytes = major == 1 ? 2 : 4;
  ReadUpTo(file, length_bytes, &length);
  if (length.size() < length_bytes) return Invalid("the file ends within its header");
  const std::size_t header_bytes = LittleEndian(length);
  if (header_bytes > kMaxHeaderBytes) {
    return Invalid(absl::StrCat("the header claims ", header_bytes, " bytes; at most ",
                                kMaxHeaderBytes, " are read"));
  }
  std::string text;
  ReadUpTo(file, header_bytes, &text);
  if (text.size() < header_bytes) return Invalid("the file ends within its header");
  return ParseNpyHeader(text);
}

absl::StatusOr<std::size_t> ByteSize(const std::vector<std::int64_t>& shape, DataType dtype) {
  if (shape.size() > kMaxRank) {
    return Invalid(absl::StrCat("the array has rank ", shape.size(), "; at most ", kMaxRank,
                                " axes can be used"));
  }
  const auto count = ElementCount(shape);
  std::size_t bytes;
  if (!count.has_value() || __builtin_mul_overflow(*count, ElementSize(dtype), &bytes)) {
    return Invalid("the array's sizes overflow");
  }
  return bytes;
}

// Bytes from the present place to the end; empty where that is unknown (pipes).
std::optional<std::size_t> BytesLeft(std::FILE* file) {
  struct stat info;
  if (fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  const off_t position = ftello(file);
  if (position < 0 || position > info.st_size) return std::nullopt;
  return static_cast<std::size_t>(info.st_size - position);
}

absl::Status WrongSize(std::size_t expected, absl::string_view found) {
  return Invalid(
      absl::StrCat("the header tells of ", expected, " bytes of data, the file has ", found));
}

absl::StatusOr<std::string> ReadData(std::FILE* file, std::size_t byte_size) {
  std::string data;
  if (const auto left = BytesLeft(file); left.has_value()) {
    if (*left != byte_size) return WrongSize(byte_size, absl::StrCat(*left));
    data.reserve(byte_size);
  }
  ReadUpTo(file, byte_size, &data);
  if (data.size() < byte_size) return WrongSize(byte_size, absl::StrCat(data.size()));
  if (std::fgetc(file) != EOF) return WrongSize(byte_size, "more");
  return data;
}

void SwapBytes(std::size_t element_size, std::string* data) {
  for (std::size_t i = 0; i < data->size(); i += element_size) {
    std::reverse(data->begin() + static_cast<std::ptrdiff_t>(i),
                 data->begin() + static_cast<std::ptrdiff_t>(i + element_size));
  }
}

// The elements of an array whose first axis runs fastest, with the last axis fastest.
std::string RowMajor(const std::vector<std::int64_t>& shape, std::size_t element_size,
                     const std::string& data) {
  std::array<std::size_t, kMaxRank> strides{};
  std::size_t stride = element_size;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    strides[axis] = stride;
    stride *= static_cast<std::size_t>(shape[axis]);
  }
  std::string result;
  result.reserve(data.size());
  std::array<std::int64_t, kMaxRank> index{};
  std::size_t offset = 0;
  while (result.size() < data.size()) {
    result.append(data, offset, element_size);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      offset += strides[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= strides[axis] * static_cast<std::size_t>(shape[axis]);
      index[axis] = 0;
    }
  }
  return result;
}

const char* DescrOf(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat32:
      return "<f4";
    case DataType::kFloat64:
      return "<f8";
    case DataType::kFloat16:
      return "<f2";
    case DataType::kBFloat16:
      return "<V2";
    case DataType::kUnspecified:
      break;
  }
  return nullptr;
}

absl::Status Write(const std::string& bytes, std::FILE* file) {
  return std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size()
             ? absl::OkStatus()
             : absl::UnknownError("writing the .npy file failed");
}

absl::Status WriteArray(const std::string& descr, const std::vector<std::int64_t>& shape,
                        const std::string& data, std::FILE* file) {
  absl::Status status = Write(FormatNpyPreamble({descr, false, shape}), file);
  return status.ok() ? Write(data, file) : status;
}

}  // namespace

absl::StatusOr<Tensor> ReadNpy(std::FILE* file, NpyOptions options) {
  const auto header = ReadHeader(file);
  if (!header.ok()) return header.status();
  const auto type = ParseDescr(header->descr, options);
  if (!type.ok()) return type.status();
  const auto byte_size = ByteSize(header->shape, type->dtype);
  if (!byte_size.ok()) return byte_size.status();
  auto data = ReadData(file, *byte_size);
  if (!data.ok()) return data.status();
  const std::size_t element_size = ElementSize(type->dtype);
  if (type->big_endian) SwapBytes(element_size, &*data);
  if (header->fortran_order) *data = RowMajor(header->shape, element_size, *data);
  return Tensor{type->dtype, header->shape, *std::move(data)};
}

absl::StatusOr<Tensor> ReadNpyFile(const std::string& path, NpyOptions options) {
  const auto file = OpenInput(path);
  if (!file.ok()) return file.status();
  auto tensor = ReadNpy(file->get(), options);
  if (tensor.ok()) return tensor;
  const bool unreadable = std::ferror(file->get()) != 0;  // A folder, for example.
  return Invalid(absl::StrCat(path == "-" ? "standard input" : path, ": ",
                              unreadable ? std::strerror(errno) : tensor.status().message()));
}

absl::Status WriteNpy(const Tensor& tensor, std::FILE* file) {
  const char* const descr = DescrOf(tensor.dtype);
  if (descr == nullptr) return Invalid("the tensor's type is unknown");
  return WriteArray(descr, tensor.shape, tensor.data, file);
}

absl::Status WriteMaskNpy(const Mask& mask, std::FILE* file) {
  if (mask.multipliers.has_value()) return WriteNpy(*mask.multipliers, file);
  std::string kept(*ElementCount(mask.shape), '\0');
  for (std::size_t i = 0; i < kept.size(); ++i) kept[i] = mask.Kept(i) ? '\1' : '\0';
  return WriteArray("|b1", mask.shape, kept, file);
}

}  // namespace dropout::cli
