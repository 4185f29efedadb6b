The lab and the chat load comet.js by a URL that names its content, which browsers keep without asking.
