#include "cmd/serve/resolve.h"

#include <cerrno>

#include "cmd/serve/conditions.h"
#include "cmd/serve/media.h"
#include "cmd/serve/url_path.h"

namespace tend::serve {
namespace {

Resolved refuse(int status) {
  Resolved r;
  r.status = status;
  return r;
}

int status_of(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
      return 404;
    case EACCES:
    case EPERM:
    case ELOOP:
    case EXDEV:
      return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return 503;
    default:
      return 500;
  }
}

// The file itself, or its compressed sibling where the client takes that.
Resolved file(const Tree& tree, std::string name, Opened opened, uint8_t accepted) {
  Resolved r;
  r.kind = Resolved::Kind::file;
  r.status = 200;
  if (compressible(name)) {
    struct Sibling {
      Encoding bit;
      const char* ending;
      const char* word;
    };
    for (const Sibling& s : {Sibling{kBrotli, ".br", "br"}, Sibling{kGzip, ".gz", "gzip"}}) {
      auto sibling = tree.open(name + s.ending);
      if (!sibling || sibling->is_folder()) continue;
      r.varies = true;
      if ((accepted & s.bit) == 0 || !r.encoding.empty()) continue;
      r.encoding = s.word;
      opened = std::move(*sibling);
    }
  }
  r.opened = std::move(opened);
  r.name = std::move(name);
  return r;
}

class Resolver {
 public:
  Resolver(const Tree& tree, const Settings& settings, uint8_t accepted)
      : tree_(tree), settings_(settings), accepted_(accepted) {}

  Resolved path(const std::string& path) const {
    auto opened = tree_.open(path);
    if (!opened) {
      // The homepage need not be index.html.
      const int status = status_of(opened.error());
      return status == 404 ? missing(path) : refuse(status);
    }
    if (!opened->is_folder()) return file(tree_, path, std::move(*opened), accepted_);
    return folder(path, std::move(*opened));
  }

 private:
  // A regular file of that name, or nothing.
  bool try_file(const std::string& name, Resolved& out) const {
    auto opened = tree_.open(name);
    if (!opened || opened->is_folder()) return false;
    out = file(tree_, name, std::move(*opened), accepted_);
    return true;
  }

  Resolved folder(const std::string& path, Opened opened) const {
    Resolved r;
    const bool complete = path.empty() || path.back() == '/';
    const std::string inside = complete ? path : path + "/";
    const bool page = try_file(path.empty() ? settings_.homepage : inside + "index.html", r);
    if (!page && !settings_.listing) return missing(path);
    // What a page in it refers to counts from the folder only when the address ends in a slash. The path has
    // no empty part, so that it never begins with two, which would mean a host.
    if (!complete) {
      r = refuse(301);
      r.kind = Resolved::Kind::redirect;
      r.location = "/" + encode_path(inside);
    } else if (!page) {
      r = refuse(200);
      r.kind = Resolved::Kind::listing;
      r.name = path;
      r.opened = std::move(opened);
    }
    return r;
  }

  Resolved missing(const std::string& path) const {
    Resolved r;
    if (settings_.spa) {
      // A page that was loaded below asks for its files from there.
      const std::string base = path.substr(path.rfind('/') + 1);
      if (!base.empty() && base.size() != path.size() && try_file(base, r)) return r;
      // A script that is not there must not become a page: browsers would call that a syntax error.
      const bool asset = !settings_.pm2 && known_type(base) && !is_page(base);
      if (!asset && try_file(settings_.homepage, r)) return r;
    }
    if (!try_file("404.html", r)) return refuse(404);
    r.status = 404;
    return r;
  }

  const Tree& tree_;
  const Settings& settings_;
  uint8_t accepted_;
};

}  // namespace

Resolved resolve(const Tree& tree, const Settings& settings, std::string_view raw_path, uint8_t accepted) {
  const auto path = clean_path(raw_path);
  if (!path)
    return refuse(path.error() == PathFault::malformed ? 400
                  : path.error() == PathFault::outside ? 403
                                                       : 404);
  return Resolver(tree, settings, accepted).path(*path);
}

}  // namespace tend::serve
