/**
 * Hooks for React: the messages of a channel, and the state of the connection.
 */

import { useEffect, useState, useSyncExternalStore } from "react";

const NONE = [];

/**
 * Return the last messages of a channel or pattern, the oldest first.
 *
 * @param comet The one client of the page, made outside of all components.
 * @param count How many messages at most: older ones are dropped.
 */
export function useChannel(comet, name, count = 50) {
  const [shown, setShown] = useState({ messages: NONE });
  useEffect(() => {
    // A list for each run of the effect: what an earlier run heard is asked for again.
    let messages = NONE;
    const take = (message) => {
      messages = [...messages, message].slice(-count);
      setShown({ comet, name, messages });
    };
    comet.subscribe(name, take, { since: -count });
    return () => comet.unsubscribe(name, take);
  }, [comet, name, count]);
  // After a change of the name, React renders once before it runs the effect.
  return shown.comet === comet && shown.name === name ? shown.messages : NONE;
}

/** Return `comet.readyState`: 0 connecting, 1 open, 2 closed. */
export function useReadyState(comet) {
  return useSyncExternalStore(
    (changed) => {
      const types = ["open", "close"];
      types.forEach((type) => comet.addEventListener(type, changed));
      return () => types.forEach((type) => comet.removeEventListener(type, changed));
    },
    () => comet.readyState,
    () => 0,
  );
}
