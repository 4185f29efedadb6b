A stream, WebSocket or held poll ends with ``expired`` when its token ends, unless the command ``token`` has renewed it; one of a client that the backend knows, when the backend says otherwise.
