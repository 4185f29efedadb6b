/**
 * Draws what is in view, and no more often than a user sees a difference.
 */

/** How often what is out of view is brought up to date, in milliseconds, if at all. */
const UNSEEN = 2000;

/** `{ draw, pace, isText, drawnAt, isSeen }` of all that is drawn, by its element. */
const shown = new Map();

const seen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const each = shown.get(target);
      each.isSeen = isIntersecting;
      // What comes into view is drawn in the next frame.
      if (isIntersecting) each.drawnAt = -Infinity;
    }
  },
  { rootMargin: "64px" },
);

/**
 * Draw something again and again.
 *
 * @param element Where it is drawn.
 * @param draw Called with the time, by `performance.now()`.
 * @param pace Returns after how many milliseconds it is drawn again.
 * @param isText Whether it is also drawn while it is out of view, though less often:
 *   a screen reader reads text that is out of view, too.
 */
export function show(element, draw, pace, isText = false) {
  shown.set(element, { draw, pace, isText, drawnAt: -Infinity, isSeen: false });
  seen.observe(element);
}

function drawAll(now) {
  for (const each of shown.values()) {
    const { draw, pace, isText, drawnAt, isSeen } = each;
    if (!isSeen && !isText) continue;
    // A frame may come a little early.
    if (now - drawnAt < (isSeen ? pace() : UNSEEN) - 4) continue;
    each.drawnAt = now;
    draw(now);
  }
  requestAnimationFrame(drawAll);
}

requestAnimationFrame(drawAll);
