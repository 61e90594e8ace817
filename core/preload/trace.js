'use strict';
// Loaded by tend before a Node app (node -r), first of its parts. Takes what is meant for the parts and leaves no
// trace in what the app can see: no variable, no argument, no module.
const settings = {
  drain: process.env.TEND_DRAIN, heartbeat: process.env.TEND_HEARTBEAT, asPm2: process.env.TEND_AS_PM2,
};
delete process.env.TEND_DRAIN;
delete process.env.TEND_AS_PM2;
delete process.env.TEND_HEARTBEAT;
{
  // tend puts it first: -r FILE, or one word. A thread of the app is given the same words, though no settings, and would
  // hand them on to what it forks. Names are compared, as __filename has no symbolic links.
  const words = process.execArgv, isFile = typeof __filename === 'string';
  const name = (path) => path.split('/').pop();
  const isFirst = isFile ? words[0] === '-r' && name(words[1]) === name(__filename)
    : String(words[0]).startsWith('--import=data:text/javascript;tend;');
  if (isFirst) words.splice(0, isFile ? 2 : 1);
  if (isFile) delete require.cache[__filename];
}
