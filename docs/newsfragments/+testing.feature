``comet.testing`` has the suite of tests that every bus passes, for buses of an application's own.
