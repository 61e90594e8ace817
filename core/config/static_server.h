// Inside this room: the built-in server of files as an app (compat.md 11.1): script "serve" with PM2_SERVE_…
// in its env, and the section `static` of a file.
#pragma once

#include "core/config/config.h"
#include "core/config/document.h"

namespace tend::config {

// Each entry of {static: […]} becomes an app behind those of `apps`; keys that are none of the server's own
// (instances, namespace, env …) are the app's. Error: an entry is no object.
Result<void> add_static_apps(Document& document);

// An app of a file with the script "serve", or PM2's own server as its lists have it, means the server, unless it has arguments or, under tend, a file
// of that name is there: then it is some program of the user's.
void name_static_server(AppSpec& spec, const Context& context);

// What resolve() does with a spec whose script is kStaticServer: checks the settings, sets script, env,
// sockets and readiness. Error: a setting, what was found, what is accepted.
tl::expected<void, Problem> become_static_server(AppSpec& spec, const Context& context);

}  // namespace tend::config
