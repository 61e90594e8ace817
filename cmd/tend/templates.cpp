#include "cmd/tend/templates.h"

#include <string_view>

namespace tend::cli {
namespace {

constexpr std::string_view kSimple = R"js(module.exports = {
  apps: [
    {
      name: 'app1',
      script: './app.js',
    },
  ],
};
)js";

constexpr std::string_view kPm2 = R"js(module.exports = {
  apps: [
    {
      script: 'index.js',
      watch: '.',
    },
    {
      script: './service-worker/',
      watch: ['./service-worker'],
    },
  ],

  // pm2 deploy production setup, then pm2 deploy production
  deploy: {
    production: {
      user: 'USER',
      host: 'HOST',
      ref: 'origin/main',
      repo: 'REPOSITORY',
      path: '/srv/app',
      'pre-deploy-local': '',
      'post-deploy': 'npm ci && pm2 reload ecosystem.config.js --env production',
      'pre-setup': '',
    },
  },
};
)js";

constexpr std::string_view kTend =
    R"js(// tend start ecosystem.config.js    every option: man 5 tend-ecosystem
// tend diff ecosystem.config.js     what a changed file would change
// tend apply ecosystem.config.js    change just that
module.exports = {
  apps: [
    {
      name: 'web',
      script: './index.js',        // a file, a program in PATH, or a line for the shell
      // args: ['--port', '3000'],
      // cwd: '/srv/web',
      // interpreter: 'node',      // else by the file's ending or its #! line
      // instances: 'max',         // one process per CPU, all on the same port
      // exec_mode: 'cluster',

      env: { NODE_ENV: 'development' },
      env_production: { NODE_ENV: 'production' },  // laid over env by --env production
      // env_file: '.env',         // read again at each start; for what must stay out of this file

      // max_memory_restart: '500M',
      // max_restarts: 16,         // unstable ones, shorter than min_uptime, in a row
      // min_uptime: '1s',
      // restart_delay: '0s',
      // kill_timeout: '1600ms',   // from the stop signal to SIGKILL
      // wait_ready: true,         // online once the app says process.send('ready') or READY=1
      // cron_restart: '0 4 * * *',
      // watch: ['src'],

      // out_file: './logs/web-out.log',
      // error_file: './logs/web-error.log',
      // time: true,
    },
    {
      name: 'worker',
      script: './worker.js',
      // instances: 2,
      // stop_exit_codes: [0],     // an end of its own that is none to be repaired
    },
  ],
};
)js";

}  // namespace

std::string simple_template() { return std::string(kSimple); }
std::string full_template(bool pm2) { return std::string(pm2 ? kPm2 : kTend); }

}  // namespace tend::cli
