'use strict';

const fs = require('fs');
const path = require('path');
const { Tend } = require('./lib/api');

// Whether the program asked for 'pm2': by the folder's name (an alias in package.json), or by a link of that name that
// leads here, of which Node tells only the requiring module's search path.
function calledPm2() {
  if (path.basename(__dirname) === 'pm2') return true;
  const links = (name) =>
    ((module.parent && module.parent.paths) || []).some((folder) => {
      try {
        return fs.realpathSync(path.join(folder, name)) === __dirname;
      } catch {
        return false;
      }
    });
  return links('pm2') && !links('tend');
}

function make(pm2) {
  class Custom extends Tend {
    constructor(settings) {
      super(settings, pm2);
    }
  }
  const instance = new Custom();
  Object.defineProperty(instance, 'custom', { value: Custom });
  return instance;
}

const pm2 = calledPm2();
if (pm2) process.env.PM2_PROGRAMMATIC = 'true';
module.exports = make(pm2);
Object.defineProperty(module.exports, 'make', { value: make });
