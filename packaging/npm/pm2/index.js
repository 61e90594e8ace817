'use strict';
// tend under PM2's name: its words, its shapes, $PM2_HOME.

process.env.PM2_PROGRAMMATIC = 'true';
module.exports = require('../index.js').make(true);
