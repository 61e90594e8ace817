'use strict';
// A real Express app: answers, logs each request, says when it listens, and leaves in good order on SIGINT.
const express = require('express');

const app = express();
app.use((request, _response, next) => {
  console.log(`${request.method} ${request.url}`);
  next();
});
app.get('/', (_request, response) => {
  response.json({ app: process.env.name || 'api', pid: process.pid, node: process.version });
});

const server = app.listen(Number(process.env.PORT) || 3000, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
  if (process.send) process.send('ready');
});
process.on('SIGINT', () => {
  console.log('closing');
  server.close(() => process.exit(0));
  server.closeIdleConnections?.();
});
