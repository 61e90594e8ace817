import tend = require('..');
export = tend;
