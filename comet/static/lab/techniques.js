/**
 * Every technique that brings messages to a page, each in the fewest lines that do
 * it.  `comet.js` does more; these show what lies beneath it.
 *
 * Each is an async function that reads one channel until its link is cut.  It
 * returns or throws when the connection is lost.  Its caller waits and calls it
 * again, and the link still has the cursor.  One that is `isUnaware` may not notice
 * that its connection is lost: its caller does, and aborts it.
 *
 * A link has:
 *   url(transport, more)   the channel's URL, with the cursor to go on from
 *   signal                 aborted when the link is cut
 *   asked()                tell that a request is on its way,
 *   held()                 that the server keeps it,
 *   answered(count)        that the answer ended, with so many messages,
 *   opened(both)           that it is open and stays so, perhaps both ways
 *   heard(envelope)        hand on a message, a heartbeat or a gap
 *   pause(milliseconds)    wait, unless it is cut
 */

/** Seconds between two polls. */
export const INTERVAL = 2;

/** Seconds that a long poll may be held. */
export const WAIT = 20;

export async function poll(link) {
  for (;;) {
    await ask(link, "poll", {});
    await link.pause(INTERVAL * 1000);
  }
}

export async function longpoll(link) {
  for (;;) {
    await ask(link, "longpoll", { wait: WAIT });
  }
}

async function ask(link, transport, more) {
  link.asked();
  if (more.wait) link.held();
  const response = await fetch(link.url(transport, more), {
    signal: link.signal,
    cache: "no-store",
  });
  if (!response.ok) throw new Error(`status ${response.status}`);
  hand(link, await response.json());
}

function hand(link, { cursor, gap, messages }) {
  link.answered(messages.length);
  if (gap) link.heard({ cursor: messages[0]?.cursor ?? cursor, gap });
  for (const message of messages) link.heard(message);
  link.heard({ cursor });
}

let calls = 0;

/** If few connections are left, it does not wait for a message. */
export async function jsonp(link) {
  for (;;) {
    const wait = link.isCrowded ? 0 : WAIT;
    link.asked();
    if (wait) link.held();
    hand(link, await callScript(link, wait));
    if (!wait) await link.pause(INTERVAL * 1000);
  }
}

function callScript(link, wait) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const name = `cometLab${++calls}`;
    const done = (settle) => (value) => {
      // A response that was taken for lost may still arrive: a script cannot be
      // aborted.
      window[name] = () => delete window[name];
      script.remove();
      settle(value);
    };
    window[name] = (body) => {
      done(resolve)(body);
      delete window[name];
    };
    script.onerror = () => done(reject)(new Error("no script"));
    link.signal.addEventListener("abort", () => done(reject)(new Error("cut")), { once: true });
    script.src = link.url("jsonp", { callback: name, wait });
    document.head.append(script);
  });
}

export async function stream(link) {
  await readLines(link, "stream", (line) => link.heard(JSON.parse(line)));
}

export async function multipart(link) {
  // A part is a header, an empty line, an envelope, and the boundary.  Only the
  // envelope begins with a brace.
  await readLines(link, "multipart", (line) => {
    if (line.startsWith("{")) link.heard(JSON.parse(line));
  });
}

async function readLines(link, transport, heardLine) {
  link.asked();
  const response = await fetch(link.url(transport), { signal: link.signal, cache: "no-store" });
  if (!response.ok) throw new Error(`status ${response.status}`);
  link.opened(false);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) if (line) heardLine(line);
  }
}

export async function sse(link) {
  link.asked();
  const source = new EventSource(link.url("sse", { envelope: 1 }));
  source.onopen = () => link.opened(false);
  source.onmessage = (event) => link.heard(JSON.parse(event.data));
  source.addEventListener("$at", source.onmessage);
  source.addEventListener("$gap", source.onmessage);
  // By itself it would reconnect, with the last id that it saw.
  await lost(link, (end) => source.addEventListener("error", end));
  source.close();
}

export async function iframe(link) {
  link.asked();
  const name = `cometLab${++calls}`;
  const frame = document.createElement("iframe");
  let isOpen = false;
  window[name] = (envelope) => {
    if (!isOpen) link.opened(false);
    isOpen = true;
    link.heard(envelope);
  };
  frame.hidden = true;
  frame.title = "The forever frame";
  frame.src = link.url("iframe", { callback: name });
  document.body.append(frame);
  // A frame that never ends has never loaded: a load means that the server has ended
  // it.  When the connection breaks there is no event, so the link looks for silence.
  await lost(link, (end) => frame.addEventListener("load", end));
  frame.remove();
  delete window[name];
}

/** No browser tells a page that the connection of a frame is broken. */
iframe.isUnaware = true;

export async function websocket(link) {
  link.asked();
  const url = link.url("websocket");
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  socket.onopen = () => link.opened(true);
  socket.onmessage = (event) => link.heard(JSON.parse(event.data));
  await lost(link, (end) => socket.addEventListener("close", end));
  socket.close();
}

/** Wait until something ends, or the link is cut. */
function lost(link, whenLost) {
  return new Promise((resolve) => {
    whenLost(resolve);
    link.signal.addEventListener("abort", resolve, { once: true });
    if (link.signal.aborted) resolve();
  });
}
