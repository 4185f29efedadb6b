/**
 * What the page shows of each answer.
 */

import { bytes, milliseconds, number, rateOf } from "./format.js";
import { openOf, readersOf, sumOf, transportsOf } from "./rates.js";
import { counted, Table } from "./table.js";

/** Characters of a message that are shown. */
const SHOWN = 400;

const find = (id) => document.getElementById(id);
const rate = (value) => (value === null || value === undefined ? "–" : rateOf(value));
const flow = (value) => (value === null ? "–" : `${bytes(value)}/s`);
const late = (seconds) => milliseconds(seconds * 1000);
const moment = (seconds) => new Date(seconds * 1000).toLocaleString();
const isPattern = (name) => name.split("/").some((each) => each === "*" || each === "**");

/** What is counted, and how one of it is called. */
const READERS = ["readers", "reader"];
const MEMBERS = ["members", "member"];

/** A column of numbers. */
const column = (title, text, isBad) => ({ title, text, isBad, kind: "number" });

/** Columns of a reader, with what can be ordered of its client. */
function readerColumns(orders) {
  return [
    { title: "Client", text: ({ client }) => client ?? "(no name)", kind: "long" },
    // They are beside the name, since on a narrow screen the rest is scrolled to.
    { title: "Orders", deeds: (reader) => deedsOf(reader, orders), kind: "orders" },
    { title: "Token", text: ({ token }) => token ?? "", kind: "long" },
    { title: "Node", text: ({ node }) => node },
    { title: "Known by", text: ({ known }) => (known === "not" ? "nothing" : known) },
    { title: "Kind", text: ({ kind }) => kind },
    { title: "State", text: ({ state }) => state, isBad: ({ state }) => state === "behind" },
    { title: "Reads", text: namesOf, kind: "long" },
  ];
}

function namesOf({ names, channels }) {
  const more = names - channels.length;
  return channels.join(", ") + (more > 0 ? ` and ${number(more)} more` : "");
}

function deedsOf({ client, token }, orders) {
  const deeds = [];
  if (client) {
    deeds.push(["Disconnect", `Disconnect ${client}`, () => orders.disconnect(client)]);
    deeds.push(["Revoke", `Revoke ${client}`, () => orders.revoke({ client })]);
  }
  if (token) {
    deeds.push(["Revoke token", `Revoke token ${token}`, () => orders.revoke({ token })]);
  }
  return deeds;
}

const readerKey = ({ node, client = "", token = "", kind, channels }) =>
  [node, client, token, kind, ...channels].join(" ");

export class Views {
  #tables;

  /**
   * @param orders Gives the orders.
   * @param open Called with a channel that shall be shown.
   */
  constructor(orders, open) {
    const readers = readerColumns(orders);
    this.#tables = {
      nodes: new Table("nodes", NODE, ({ node }) => node),
      transports: new Table("transports", TRANSPORT, ({ name }) => name),
      channels: new Table("channels", channelColumns(open), ({ channel }) => channel),
      readers: new Table("readers", readers, readerKey),
      members: new Table("members", MEMBER, ({ client }) => client),
      messages: new Table("messages", MESSAGE, ({ cursor }) => cursor),
      clients: new Table("clients", readers, readerKey),
      revocations: new Table("revocations", revocationColumns(orders), ({ id }) => id),
    };
  }

  /** Show the nodes: those that `Rates` has returned. */
  nodes(nodes, isComplete) {
    this.#tables.nodes.show(nodes);
    this.#tables.transports.show(transportsOf(nodes));
    const add = (of) => number(nodes.reduce((sum, node) => sum + of(node), 0));
    const delays = nodes.flatMap(({ rates }) => (rates ? [rates.lateness] : []));
    const sums = {
      nodes: number(nodes.length),
      open: add(openOf),
      readers: add(readersOf),
      behind: add(({ behind }) => behind),
      published: rate(sumOf(nodes, "published")),
      delivered: rate(sumOf(nodes, "delivered")),
      refused: rate(sumOf(nodes, "refused")),
      // Of several nodes the worst counts.
      lateness: delays.length ? late(Math.max(...delays)) : "–",
    };
    for (const [name, text] of Object.entries(sums)) {
      document.querySelector(`[data-sum="${name}"]`).textContent = text;
    }
    find("warning").textContent = isComplete ? "" : "Not all nodes have answered.";
  }

  channels({ count, channels, complete }) {
    this.#tables.channels.show(channels);
    const what = ["channels and patterns are read", "channel or pattern is read"];
    find("channels-count").textContent = counted(count, channels.length, what, complete);
  }

  channel({ count, readers, members, messages, complete }) {
    this.#tables.readers.show(readers);
    find("readers-count").textContent = counted(count, readers.length, READERS, complete);
    this.#tables.members.show(members?.members ?? []);
    find("members-count").textContent = members
      ? `${counted(members.count, members.members.length, MEMBERS)} Readers without a name: ${number(members.anonymous)}.`
      : "Presence of this channel is not kept.";
    this.#tables.messages.show(messages.toReversed?.() ?? [...messages].reverse());
    find("messages-count").textContent = messages.length
      ? `The newest ${number(messages.length)} that are held, the newest first.`
      : "It holds no messages.";
  }

  clients({ count, readers, complete }) {
    this.#tables.clients.show(readers);
    const what = ["streams and held requests", "stream or held request"];
    find("clients-count").textContent = counted(count, readers.length, what, complete);
  }

  revocations({ revocations, unreadable = [], more = false }) {
    const broken = unreadable.map((id) => ({ id, isUnreadable: true }));
    this.#tables.revocations.show([...broken, ...revocations]);
    const some = more ? "More than these are in force." : "";
    const none = broken.length + revocations.length ? some : "None.";
    find("revocations-count").textContent = none;
  }

  /** Tell why a part cannot be shown. */
  refused(part, { message }) {
    const id = part === "channel" ? "readers-count" : `${part}-count`;
    find(id).textContent = `Not to be had: ${message}.`;
  }

  /** Forget all that is shown. */
  clear() {
    for (const table of Object.values(this.#tables)) table.show([]);
    this.clearChannel();
    for (const each of document.querySelectorAll("[data-sum]")) each.textContent = "–";
  }

  clearChannel() {
    for (const name of ["readers", "members", "messages"]) {
      this.#tables[name].show([]);
      find(`${name}-count`).textContent = "";
    }
  }
}

const NODE = [
  { title: "Node", text: ({ node }) => node },
  {
    title: "State",
    text: ({ ready, reason }) => (ready ? "ready" : reason),
    isBad: ({ ready }) => !ready,
  },
  column("Connections", (node) => number(openOf(node))),
  column("Streams", ({ readers }) => number(readers.stream ?? 0)),
  column("Held requests", ({ readers }) => number(readers.poll ?? 0)),
  column("Behind", ({ behind }) => number(behind)),
  column("Unsent", ({ unsent }) => bytes(unsent)),
  column("Published/s", ({ rates }) => rate(rates?.published)),
  column("Delivered/s", ({ rates }) => rate(rates?.delivered)),
  column("Gaps/s", ({ rates }) => rate(rates?.gaps)),
  column("Refused/s", ({ rates }) => rate(rates?.refused)),
  column("Late on average", ({ rates }) => (rates ? late(rates.lateness) : "–")),
  column(
    "Later than 0.1 s",
    ({ rates }) => (rates ? number(rates.late) : "–"),
    ({ rates }) => rates?.late > 0,
  ),
];

const TRANSPORT = [
  { title: "Transport", text: ({ name }) => name },
  column("Connections", ({ open }) => number(open)),
  column("Requests/s", ({ requests }) => rate(requests)),
  column("Bytes in", (row) => flow(row.in)),
  column("Bytes out", (row) => flow(row.out)),
];

const MEMBER = [
  { title: "Client", text: ({ client }) => client, kind: "long" },
  { title: "Since", text: ({ since }) => moment(since), kind: "whole" },
  column("Connections", ({ connections }) => number(connections)),
  { title: "Info", text: ({ info }) => (info === undefined ? "" : short(info)), kind: "long" },
];

const MESSAGE = [
  { title: "Cursor", text: ({ cursor }) => cursor, kind: "whole" },
  { title: "Data", text: ({ data }) => short(data), kind: "long data" },
  { title: "Event", text: ({ event }) => event ?? "" },
  { title: "Time", text: ({ time }) => moment(time), kind: "whole" },
];

/** A value as JSON, but not all of a long one. */
function short(value) {
  const text = JSON.stringify(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)} … (${number(text.length)} characters)` : text;
}

const channelColumns = (open) => [
  { title: "Channel or pattern", text: ({ channel }) => channel, kind: "long" },
  column("Readers", ({ readers }) => number(readers)),
  {
    title: "Look",
    kind: "orders",
    deeds: ({ channel }) =>
      isPattern(channel) ? [] : [["Open", `Open ${channel}`, () => open(channel)]],
  },
];

const revocationColumns = (orders) => [
  {
    title: "Of",
    text: ({ id, client, token }) => client ?? (token === undefined ? id : `token ${token}`),
    kind: "long",
  },
  { title: "Only", text: ({ channels }) => (channels ?? []).join(", "), kind: "long" },
  {
    title: "Tokens made until",
    text: ({ isUnreadable, token, issuedBefore }) =>
      isUnreadable ? "cannot be read" : token === undefined ? moment(issuedBefore) : "",
    isBad: ({ isUnreadable }) => isUnreadable,
  },
  { title: "In force until", text: ({ until }) => (until ? moment(until) : "it is ended") },
  {
    title: "Orders",
    kind: "orders",
    deeds: (row) => [["End", `End ${row.id}`, () => orders.end(row)]],
  },
];
