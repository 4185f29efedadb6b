comet.js calls the backend with ``comet.call``, and ``comet.publish`` takes ``exclude``.
