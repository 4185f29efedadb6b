/**
 * Who is in the room, as the page tells it.
 */

/** How many names are shown. */
const SHOWN = 8;

/** In a room of more it is not told who comes and goes. */
const FEW = 30;

/**
 * Seconds after which those without a name are counted again, since no event tells of them: at
 * any time, and after a change.
 */
const COUNTED = 30;
const CHANGED = 1;

const list = new Intl.ListFormat("en");

/**
 * Say who is there.
 *
 * @param presence What comet has of the room.
 * @param me The name of the visitor.
 */
export function describe({ members, count, anonymous }, me) {
  const names = members.map(({ client }) => client);
  const isNamed = names.includes(me);
  const others = names.filter((name) => name !== me).slice(0, SHOWN);
  const unnamed = anonymous - (isNamed ? 0 : 1);
  const rest = count - others.length - (isNamed ? 1 : 0);
  if (!others.length && unnamed <= 0)
    return isNamed
      ? "Only you are here. Others come in by the address of this page."
      : "Only you are here. With a name, others see that it is you.";
  const told = [isNamed ? `${me} (you)` : "you", ...others];
  if (rest > 0) told.push(`${rest} more`);
  if (unnamed > 0) told.push(`${unnamed} without a name`);
  return `Here: ${list.format(told)}`;
}

export class People {
  #comet;
  #place;
  #note;
  #presence;
  #control = new AbortController();
  /** The timer until those without a name are counted. */
  #timer;
  me = "";

  /**
   * @param place The element that shows who is there.
   * @param note Shows in a room that someone has come or gone.
   */
  constructor(comet, place, note) {
    this.#comet = comet;
    this.#place = place;
    this.#note = note;
    setInterval(() => this.#count(), COUNTED * 1000);
  }

  /** Show who is in a room, from now on. */
  async enter(room) {
    this.#control.abort();
    this.#control = new AbortController();
    this.#presence = undefined;
    const { signal } = this.#control;
    const changed = (presence, change) => this.#changed(room, presence, change);
    await this.#comet.presence(`chat/${room}`, changed, { signal }).catch((error) => {
      // The visitor may be in another room by now.
      if (!signal.aborted) this.#place.textContent = `Who is here is not known: ${error.message}`;
    });
  }

  #changed(room, presence, change) {
    this.#presence = presence;
    this.#place.textContent = describe(presence, this.me);
    if (!change || presence.count > FEW) return;
    const { client, event } = change;
    if (client !== this.me && event !== "update")
      this.#note(room, `${client} has ${event === "join" ? "come in" : "left"}`);
    this.#timer ??= setTimeout(() => this.#count(), CHANGED * 1000);
  }

  #count() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // What goes wrong is told with the connection.
    if (this.#comet.readyState === 1 && !document.hidden) this.#presence?.refresh().catch(() => {});
  }
}
