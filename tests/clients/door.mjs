// A way to a server that can be shut without a word to either side, and led elsewhere before it is opened again.

import { connect, createServer } from "node:net";

export class Door {
  #target;
  #isOpen = true;
  #inside = new Set();
  #server = createServer((near) => this.#enter(near));

  /** To HOST:PORT, from a port of its own on loopback. */
  static async to(target) {
    const door = new Door();
    door.#target = target;
    await new Promise((done) => door.#server.listen(0, "127.0.0.1", done));
    return door;
  }

  get port() {
    return this.#server.address().port;
  }

  /** Whoever is inside is cut off, and nobody comes in. */
  shut() {
    this.#isOpen = false;
    for (const socket of this.#inside) socket.destroy();
  }

  /** Opens again, to where it led before or to another place. */
  open(target = this.#target) {
    this.#target = target;
    this.#isOpen = true;
  }

  close() {
    this.shut();
    this.#server.close();
  }

  #enter(near) {
    if (!this.#isOpen) return near.destroy();
    const [, host, port] = this.#target.match(/^\[?(.*?)\]?:(\d+)$/);
    const far = connect(Number(port), host);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      this.#inside.add(from);
      from.on("error", () => {}); // "close" follows
      from.on("close", () => {
        this.#inside.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}
