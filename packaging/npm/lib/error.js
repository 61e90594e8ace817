'use strict';

// code: a word of errno, or the daemon's own number. results: the outcomes, where some apps did well.
class TendError extends Error {
  constructor(message, code, results) {
    super(message);
    this.name = 'Error';
    if (code !== undefined && code !== null) this.code = code;
    if (results !== undefined) this.results = results;
  }
}

module.exports = { TendError };
