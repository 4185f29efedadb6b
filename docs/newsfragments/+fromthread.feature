``Hub.publishFromThread`` publishes from another thread than the reactor's, and waits until the message
is stored.
