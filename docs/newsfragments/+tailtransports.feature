``comet tail --transport`` and the Python clients read by every transport: poll, multipart, iframe and jsonp beside
websocket, sse, stream and longpoll, and raw TCP with a URL such as ``tcp://127.0.0.1:8081``, with TLS ``tls://…``.
