/**
 * The pieces of code: for this server and this visit, and ready to be copied.
 */

/** Fill in the channel and the URL of this server. */
export function fillIn(base, channel) {
  const origin = base.href.replace(/\/$/, "");
  for (const code of document.querySelectorAll("pre code")) {
    code.textContent = code.textContent
      .replaceAll("CHANNEL", channel)
      .replaceAll("SOCKET", origin.replace("http", "ws"))
      .replaceAll("BASE", origin)
      .replace(/(["`])\/channels\//g, `$1${new URL("channels/", base).pathname}`);
  }
}

/** Give each piece of code a button to copy it. */
export function makeCopyable() {
  for (const pre of document.querySelectorAll("pre")) {
    const around = document.createElement("div");
    around.className = "code";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      button.textContent = (await copy(pre)) ? "Copied" : "Press Ctrl-C";
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
    pre.replaceWith(around);
    around.append(pre, button);
  }
}

/** @return Whether it was copied; if not, it is selected. */
async function copy(pre) {
  try {
    await navigator.clipboard.writeText(pre.textContent);
    return true;
  } catch {
    // The user forbids it, or the page has no clipboard, since it has no TLS.
    getSelection().selectAllChildren(pre);
    return false;
  }
}
