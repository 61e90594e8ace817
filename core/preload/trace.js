'use strict';
// Loaded by tend before a Node app (node -r), first of its parts. Takes what is meant for the parts and leaves no
// trace in what the app can see: no variable, no argument, no module.
const settings = { drain: process.env.TEND_DRAIN, heartbeat: process.env.TEND_HEARTBEAT };
delete process.env.TEND_DRAIN;
delete process.env.TEND_HEARTBEAT;
// Without them it was not started by tend: a thread, or a child of the app.
if (settings.drain || settings.heartbeat) {
  const isFile = typeof __filename === 'string';
  process.execArgv.splice(0, isFile ? 2 : 1);  // tend puts it first: -r FILE, or one word
  if (isFile) delete require.cache[__filename];
}
