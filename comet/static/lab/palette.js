/**
 * The colours of the style sheet, for what is drawn on canvases.
 */

const NAMES = ["paper", "ink", "strong", "head", "data", "data-soft"].concat(
  ["both-soft", "hold", "bad", "bad-soft"],
);

const CHANGES = [
  "(prefers-color-scheme: dark)",
  "(forced-colors: active)",
  "(prefers-contrast: more)",
];

/** Colours by the names of the variables in `base.css`. */
export let colours = {};
/** How often the colours have changed. */
export let version = 0;

// A canvas does not know variables, and not in every browser system colours.
function read() {
  const probe = document.createElement("span");
  document.body.append(probe);
  // Colours that are mixed of system colours would be replaced.
  probe.style.forcedColorAdjust = "none";
  colours = {};
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    colours[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  version += 1;
}

for (const change of CHANGES) matchMedia(change).addEventListener("change", read);
read();
