// node page.mjs URL ROMEO JULIET [SCREENSHOT [RESUME_AT]]
// Two people open the chat page in windows of their own, type their way in and talk. Neither account exists before,
// unless KNOWN says that both do. One is cut off, and resumes at RESUME_AT, HOST:PORT of another edge, else where she was.
// A line a check; the last is "PASS n FAIL m". CHROMIUM names the browser.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { Door } from "./door.mjs";

const [url, romeoName, julietName, screenshot, resumeAt] = process.argv.slice(2);
const password = "balcony";
const windowSize = { width: 900, height: 560 };
const waitMs = 20_000;
const awayMs = 1_000;

let passed = 0;
let failed = 0;

async function check(name, act) {
  try {
    await act();
    passed += 1;
    console.log(`PASS ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name} : ${String(error.message ?? error).split("\n")[0]}`);
    throw error;
  }
}

/** A window with storage of its own, and what the server tells it. */
async function openPage(browser, door, complaints, frames = []) {
  const context = await browser.newContext({ viewport: windowSize });
  context.setDefaultTimeout(waitMs);
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => frames.push(String(payload))));
  // By name, so that browser and accounts agree on the domain, and the browser trusts the page with its cryptography.
  await page.goto(`http://localhost:${door.port}/${new URL(url).search}`);
  return page;
}

async function register(page, name) {
  await page.getByText("Create an account").click();
  await page.locator("converse-registration-form input[name=username]").fill(name);
  await page.locator("converse-registration-form input[name=password]").fill(password);
  await page.getByRole("button", { name: "Register" }).click();
  await page.locator("converse-user-profile").waitFor();
}

async function logIn(page, name) {
  await page.locator("converse-login-form input[name=jid]").fill(name);
  await page.locator("converse-login-form input[name=password]").fill(password);
  await page.locator("converse-login-form input[type=submit], converse-login-form button[type=submit]").click();
  await page.locator("converse-user-profile").waitFor();
}

async function startChat(page, jid) {
  await page.locator(".dropdown--contacts > button").click();
  await page.locator(".dropdown--contacts .new-chat").click();
  await page.locator("converse-new-chat-modal input[name=jid]").fill(jid);
  await page.getByRole("button", { name: "Start Chat" }).click();
}

async function say(page, text) {
  const box = page.locator("textarea.chat-textarea");
  await box.click();
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const hear = (page, text) => page.locator(".chat-msg__text", { hasText: text }).first().waitFor();

/** Cut off while something is said to her, she has it once she has resumed, and once only. */
async function resume(romeo, juliet, door, frames) {
  const text = `Romeo is away ${Math.random()}`;
  door.shut();
  await say(romeo, text);
  await hear(romeo, text);
  await sleep(awayMs);
  door.open(resumeAt);
  await hear(juliet, text);
  await sleep(awayMs);
  if (!frames.some((frame) => frame.startsWith("<resumed"))) throw new Error("logged in anew");
  const delivered = frames.filter((frame) => frame.includes(text) && !frame.includes("urn:xmpp:mam:2")).length;
  const shown = await juliet.locator(".chat-msg__text", { hasText: text }).count();
  if (delivered !== 1 || shown !== 1) throw new Error(`delivered ${delivered} times, shown ${shown} times`);
}

/** Both windows side by side, as two people would see them. */
async function photograph(browser, pages, path) {
  const shots = await Promise.all(pages.map((page) => page.screenshot()));
  const images = shots.map((shot) => `<img src="data:image/png;base64,${shot.toString("base64")}">`).join("");
  const { width, height } = windowSize;
  const sheet = await browser.newPage({ viewport: { width: 2 * width + 48, height: height + 32 } });
  await sheet.setContent(
    `<style>body { margin: 16px; display: flex; gap: 16px; background: #777 }
     img { width: ${width}px; height: ${height}px }</style>${images}`,
  );
  await sheet.screenshot({ path });
}

const { host, searchParams } = new URL(url);
const doors = { romeo: await Door.to(host), juliet: await Door.to(host) };
const profile = mkdtempSync(join(tmpdir(), "throng-page-"));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  env: { ...process.env, HOME: profile },
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  const complaints = [];
  const domain = searchParams.get("domain") ?? "localhost";
  const romeo = await openPage(browser, doors.romeo, complaints);
  if (process.env.KNOWN) {
    await check("romeo logs in by typing", () => logIn(romeo, romeoName));
  } else {
    await check("romeo registers by typing", () => register(romeo, romeoName));
    const first = await openPage(browser, doors.juliet, complaints);
    await check("juliet registers by typing", () => register(first, julietName));
    await first.context().close();
  }
  const frames = [];
  const juliet = await openPage(browser, doors.juliet, complaints, frames);
  await check("juliet logs in from another window", () => logIn(juliet, julietName));

  await check("romeo writes to juliet", async () => {
    await startChat(romeo, `${julietName}@${domain}`);
    await say(romeo, "But soft, what light through yonder window breaks?");
  });
  await check("juliet sees it", async () => {
    await juliet.locator(`[data-jid="${romeoName}@${domain}"]`).first().click();
    await hear(juliet, "But soft, what light");
  });
  await check("juliet answers and romeo sees it", async () => {
    await say(juliet, "What man art thou that thus bescreen’d in night so stumblest on my counsel?");
    await hear(romeo, "What man art thou");
  });
  if (screenshot) await photograph(browser, [romeo, juliet], screenshot);
  await check("juliet, cut off, resumes and sees once what he says meanwhile", () =>
    resume(romeo, juliet, doors.juliet, frames),
  );
  await check("no script failed", () => {
    if (complaints.length > 0) throw new Error(complaints.join("; "));
  });
} catch (error) {
  console.error(error);
  for (const context of browser.contexts()) {
    for (const page of context.pages()) console.error(await page.locator("body").innerText().catch(String));
  }
} finally {
  await browser.close();
  Object.values(doors).forEach((door) => door.close());
  rmSync(profile, { recursive: true, force: true });
}
console.log(`PASS ${passed} FAIL ${failed}`);
process.exit(failed > 0 ? 1 : 0);
