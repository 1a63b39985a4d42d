// node strophe.mjs URL DOMAIN NAME PASSWORD OTHER_NAME [RESUME_URL]: two accounts that exist, over WebSocket (ws:) or BOSH (http:), by
// Strophe.js. Over WebSocket, who is cut off resumes at RESUME_URL, another edge's, else where it was.
// A line a check; the last is "PASS n FAIL m".

import { JSDOM } from "jsdom";
import WebSocket from "ws";

const [url, domain, name, password, otherName, resumeUrl = url] = process.argv.slice(2);
const ns = {
  archive: "urn:xmpp:mam:2",
  info: "http://jabber.org/protocol/disco#info",
  items: "http://jabber.org/protocol/disco#items",
  muc: "http://jabber.org/protocol/muc",
  ping: "urn:xmpp:ping",
  roster: "jabber:iq:roster",
};

// Strophe is made for browsers: give it the parts of one that it looks for.
const { window } = new JSDOM("", { url: url.replace(/^ws/, "http") });
window.WebSocket = WebSocket;
Object.assign(globalThis, {
  window,
  document: window.document,
  DOMParser: window.DOMParser,
  XMLSerializer: window.XMLSerializer,
  XMLHttpRequest: window.XMLHttpRequest,
  WebSocket,
});
console.info = console.debug = console.warn = () => {};
const { Strophe, $iq, $msg, $pres } = await import("strophe.js");
Strophe.log = () => {};

let passed = 0;
let failed = 0;

function report(name, ok, why = "") {
  if (ok) passed += 1;
  else failed += 1;
  console.log(`${ok ? "PASS" : "FAIL"} ${name}${ok || !why ? "" : ` : ${why}`}`);
}

async function check(name, act, limitMs = 10_000) {
  let timer;
  const late = new Promise((_, refuse) => (timer = setTimeout(refuse, limitMs, new Error("timeout"))));
  try {
    const value = await Promise.race([act(), late]);
    report(name, value !== false);
    return value;
  } catch (error) {
    report(name, false, error?.message ?? error?.outerHTML ?? String(error));
  } finally {
    clearTimeout(timer);
  }
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const elements = (stanza, name) => [...(stanza?.getElementsByTagName(name) ?? [])];
const body = (stanza) => elements(stanza, "body")[0]?.textContent;

class Client {
  connection = new Strophe.Connection(url, { enableStreamManagement: true });
  seen = [];
  waiting = [];

  logIn(name) {
    const { CONNECTED, CONNFAIL, AUTHFAIL, DISCONNECTED, ERROR } = Strophe.Status;
    this.gone = new Promise((done) => (this.isGone = done));
    return new Promise((done, refuse) => {
      this.connection.connect(`${name}@${domain}/strophe`, password, (status, condition) => {
        if (status === CONNECTED) {
          this.connection.addHandler((stanza) => this.#take(stanza), null, null);
          done();
        } else if (status === DISCONNECTED) {
          this.isGone();
        } else if ([CONNFAIL, AUTHFAIL, ERROR].includes(status)) {
          refuse(new Error(`status ${status} ${condition}`));
        }
      });
    });
  }

  /** Without a word to the server. */
  cut() {
    this.connection._proto.socket.terminate();
    return this.gone;
  }

  #take(stanza) {
    this.seen.push(stanza);
    this.waiting = this.waiting.filter(({ matches, done }) => !(matches(stanza) && (done(stanza), true)));
    return true; // stay registered
  }

  /** The first stanza, past or to come, that matches. */
  hear(matches) {
    const already = this.seen.find(matches);
    return already ? Promise.resolve(already) : new Promise((done) => this.waiting.push({ matches, done }));
  }

  send(stanza) {
    this.connection.send(stanza);
  }

  ask(iq) {
    return new Promise((done, refuse) => this.connection.sendIQ(iq, done, refuse, 8_000));
  }
}

const transport = url.startsWith("ws") ? "ws" : "bosh";
const a = new Client();
const b = new Client();
await check(`login ${transport} a`, () => a.logIn(name), 15_000);
await check(`login ${transport} b`, () => b.logIn(otherName), 15_000);
if (passed === 2) await talk();
console.log(`PASS ${passed} FAIL ${failed}`);
setTimeout(() => process.exit(failed ? 1 : 0), 500);

async function talk() {
  a.send($pres());
  b.send($pres());
  const get = (to, xmlns) => $iq(to ? { type: "get", to } : { type: "get" }).c("query", { xmlns });
  await check("roster get", () => a.ask(get(null, ns.roster)));
  await check("ping server", () => a.ask($iq({ type: "get", to: domain }).c("ping", { xmlns: ns.ping })));
  await check("disco info", () => a.ask(get(domain, ns.info)));
  const items = await check("disco items", () => a.ask(get(domain, ns.items)));
  await sleep(300);

  const text = `chat ${Math.random()} <&> é 😀`;
  await check("1:1 chat, unicode + escapes", async () => {
    const heard = b.hear((stanza) => stanza.tagName === "message" && body(stanza) === text);
    a.send($msg({ to: `${otherName}@${domain}`, type: "chat" }).c("body").t(text));
    return (await heard).getAttribute("from") === a.connection.jid;
  });

  let rooms;
  for (const item of elements(items, "item")) {
    const about = await a.ask(get(item.getAttribute("jid"), ns.info)).catch(() => null);
    if (elements(about, "feature").some((feature) => feature.getAttribute("var") === ns.muc)) {
      rooms = item.getAttribute("jid");
    }
  }
  report("MUC discovered", Boolean(rooms));
  if (rooms) await talkInRoom(`st${Date.now()}@${rooms}`);

  await check("MAM query finds the chat", async () => {
    await sleep(800);
    const query = $iq({ type: "set" }).c("query", { xmlns: ns.archive, queryid: "q" });
    await b.ask(query.c("set", { xmlns: "http://jabber.org/protocol/rsm" }).c("max").t("50").up().c("before"));
    return b.seen.some(
      (stanza) =>
        elements(stanza, "result").length > 0 && elements(stanza, "body").some((one) => one.textContent === text),
    );
  });
  if (transport === "ws") await check("SM resume after abrupt cut, message seen once", resume, 20_000);
  a.connection.disconnect("done");
  b.connection.disconnect("done");
}

async function resume() {
  const text = `while away ${Math.random()}`;
  await a.cut();
  b.send($msg({ to: `${name}@${domain}`, type: "chat" }).c("body").t(text));
  await sleep(500);
  a.connection.service = resumeUrl;
  await a.logIn(name);
  if (!a.connection.sm.resumed) throw new Error("logged in anew");
  await a.hear((stanza) => body(stanza) === text);
  await sleep(1_000);
  const times = a.seen.filter((stanza) => body(stanza) === text).length;
  if (times !== 1) throw new Error(`seen ${times} times`);
}

async function talkInRoom(room) {
  const join = (client, nick) => {
    const joined = client.hear(
      (stanza) =>
        stanza.tagName === "presence" &&
        stanza.getAttribute("from") === `${room}/${nick}` &&
        elements(stanza, "status").some((status) => status.getAttribute("code") === "110"),
    );
    client.send($pres({ to: `${room}/${nick}` }).c("x", { xmlns: ns.muc }));
    return joined;
  };
  await check("MUC join (creator, 110)", () => join(a, "one"));
  await check("MUC instant room config", () =>
    a.ask(
      $iq({ type: "set", to: room })
        .c("query", { xmlns: `${ns.muc}#owner` })
        .c("x", { xmlns: "jabber:x:data", type: "submit" }),
    ),
  );
  await check("MUC join second", () => join(b, "two"));
  await check("MUC message to both", async () => {
    const text = `muc ${Math.random()}`;
    const fromOne = (stanza) => body(stanza) === text && stanza.getAttribute("from") === `${room}/one`;
    const heard = Promise.all([a, b].map((client) => client.hear(fromOne)));
    a.send($msg({ to: room, type: "groupchat" }).c("body").t(text));
    await heard;
  });
}
