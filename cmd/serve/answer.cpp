#include "cmd/serve/answer.h"

#include <unistd.h>

#include "cmd/serve/listing.h"
#include "cmd/serve/media.h"

namespace tend::serve {
namespace {

std::string_view reason(int status) {
  switch (status) {
    case 301:
      return "Moved Permanently";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 416:
      return "Range Not Satisfiable";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

void add_common(const Settings& settings, Headers& headers) {
  headers.emplace_back("X-Content-Type-Options", "nosniff");
  if (!settings.cors) return;
  headers.emplace_back("Access-Control-Allow-Origin", "*");
  headers.emplace_back("Access-Control-Allow-Methods", "GET");
}

std::string cache_control(const Settings& settings, const Resolved& resolved) {
  if (resolved.status != 200 || is_page(resolved.name)) return "no-cache";
  if (!has_hash(resolved.name)) return settings.cache_control;
  return std::string(settings.credentials.empty() ? "public" : "private") + ", max-age=31536000, immutable";
}

// The whole file, or nothing when it changed its length meanwhile.
bool read_whole(int fd, uint64_t size, std::string& out) {
  out.resize(size);
  std::size_t have = 0;
  while (have < size) {
    const ssize_t n = ::pread(fd, out.data() + have, size - have, static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    have += static_cast<std::size_t>(n);
  }
  return have == size;
}

Document file_document(const Settings& settings, Resolved resolved) {
  const struct stat& st = resolved.opened.st;
  Document d;
  d.status = resolved.status;
  d.version.size = static_cast<uint64_t>(st.st_size);
  const std::string_view fallback = settings.pm2 ? "text/plain; charset=utf-8" : "application/octet-stream";
  d.headers.emplace_back("Content-Type", content_type(resolved.name, fallback));
  d.headers.emplace_back("Cache-Control", cache_control(settings, resolved));
  if (!resolved.encoding.empty()) d.headers.emplace_back("Content-Encoding", resolved.encoding);
  if (resolved.varies) d.headers.emplace_back("Vary", "Accept-Encoding");
  if (d.status == 200) {
    d.version.etag = make_etag(st.st_ino, st.st_mtim.tv_sec, st.st_mtim.tv_nsec, d.version.size);
    d.version.modified = st.st_mtim.tv_sec;
    d.headers.emplace_back("ETag", d.version.etag);
    d.headers.emplace_back("Last-Modified", http_date(d.version.modified));
    d.headers.emplace_back("Accept-Ranges", "bytes");
  }
  add_common(settings, d.headers);
  if (d.version.size > kSmall || !read_whole(resolved.opened.fd.get(), d.version.size, d.body))
    d.fd = std::move(resolved.opened.fd);
  return d;
}

Document text_document(const Settings& settings, int status, std::string_view type, std::string body) {
  Document d;
  d.status = status;
  d.version.size = body.size();
  d.body = std::move(body);
  d.headers.emplace_back("Content-Type", type);
  if (status == 200) d.headers.emplace_back("Cache-Control", "no-cache");
  add_common(settings, d.headers);
  return d;
}

}  // namespace

Document make_error(const Settings& settings, int status) {
  std::string text = std::to_string(status) + " " + std::string(reason(status));
  Document d = text_document(settings, status, "text/plain; charset=utf-8", std::move(text));
  if (status == 401) d.headers.emplace_back("WWW-Authenticate", "Basic realm=\"Authentication service\"");
  if (status == 405) d.headers.emplace_back("Allow", "GET, HEAD");
  return d;
}

Document make_document(const Tree& tree, const Settings& settings, Resolved resolved) {
  switch (resolved.kind) {
    case Resolved::Kind::file:
      return file_document(settings, std::move(resolved));
    case Resolved::Kind::listing:
      return text_document(
          settings, 200, "text/html; charset=utf-8",
          listing_page(resolved.name, list_folder(tree, resolved.name, resolved.opened.fd.get())));
    case Resolved::Kind::redirect: {
      Document d = make_error(settings, resolved.status);
      d.headers.emplace_back("Location", resolved.location);
      return d;
    }
    case Resolved::Kind::error:
      break;
  }
  return make_error(settings, resolved.status);
}

Headers portion_headers(const Document& document, const Portion& portion) {
  Headers headers;
  for (const auto& [name, value] : document.headers) {
    const bool of_body = name == "Content-Type" || name == "Content-Encoding";
    if ((portion.status == 304 || portion.status == 416) && of_body) continue;
    headers.emplace_back(name, value);
  }
  const std::string size = std::to_string(document.version.size);
  if (portion.status == 206)
    headers.emplace_back("Content-Range", "bytes " + std::to_string(portion.first) + "-" +
                                              std::to_string(portion.first + portion.length - 1) + "/" +
                                              size);
  if (portion.status == 416) headers.emplace_back("Content-Range", "bytes */" + size);
  return headers;
}

}  // namespace tend::serve
