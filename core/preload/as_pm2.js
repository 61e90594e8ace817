// For an app of a tend that is called pm2 (TEND_AS_PM2), as under PM2 (compat.md): the process has its script in its
// title, and a rejection that nobody handles is written to the standard error and ends nothing. An app that listens for
// them itself is left alone.
if (settings.asPm2) {
  process.title = process.env.PROCESS_TITLE || 'node ' + process.argv[1];
  if (settings.asPm2 === 'io') {
    process.on('unhandledRejection', (reason) => {
      if (process.listenerCount('unhandledRejection') === 1) console.error((reason && reason.stack) || reason);
    });
  }
}
