// Two people in two browsers chat with each other through the page that a node serves.
//
//   BASE_URL=http://127.0.0.1:8080 node chat.mjs [FOLDER]
//
// With a second address in BASE_URL, behind a comma, the second person uses that node. Screenshots go into FOLDER
// (default: screenshots). CHROMIUM is the browser's program (default: /usr/bin/chromium). Exits with 1 and says why
// when something is not as it should be.

import { mkdir } from "node:fs/promises";
import { chromium } from "playwright-core";

const WAIT_MS = 15_000;
const [first, second = first] = (process.env.BASE_URL ?? "http://127.0.0.1:8080").split(",");
const folder = process.argv[2] ?? "screenshots";
const room = `browser-${Math.random().toString(36).slice(2, 10)}`;
const faults = [];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
});
try {
  await mkdir(folder, { recursive: true });
  await run();
  if (faults.length) throw new Error(`the pages reported faults:\n  ${faults.join("\n  ")}`);
  console.log(`ok: two browsers chatted in #${room}`);
} catch (error) {
  for (const [i, page] of browser.contexts().flatMap((context) => context.pages()).entries()) {
    await page.screenshot({ path: `${folder}/failed-${i + 1}.png` }).catch(() => {});
  }
  console.error(`failed: ${error.message}${faults.length ? `\nfaults:\n  ${faults.join("\n  ")}` : ""}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}

async function run() {
  const ann = await visitor("Ann", first, { viewport: { width: 1200, height: 760 }, colorScheme: "light" });
  const ben = await visitor("Ben", second, { viewport: { width: 390, height: 780 }, colorScheme: "dark" });

  await step("each sees what the other says, once", async () => {
    await say(ann, "Hello Ben, this is Ann.");
    await see(ben, "Hello Ben, this is Ann.");
    await say(ben, "Hello Ann!\nA second line, and <b>no markup</b>.");
    await see(ann, "and <b>no markup</b>.");
    await ann.screenshot({ path: `${folder}/chat-wide.png` });
    await ben.screenshot({ path: `${folder}/chat-narrow.png` });
    for (const page of [ann, ben]) {
      await once(page, "Hello Ben, this is Ann.");
      await once(page, "Hello Ann!");
    }
  });

  await step("each sees that the other is there", async () => {
    await until("two people on both pages", async () => {
      const counts = await Promise.all([ann, ben].map((page) => page.locator("#people-count").textContent()));
      return counts.every((count) => count === "2");
    });
  });

  await step("typing is shown", async () => {
    const told = ann.getByText("Ben is typing…");
    // It is told at most every few seconds, so one keystroke may go untold.
    await until("sign of Ben's typing", async () => {
      await ben.locator("#text").pressSequentially("x");
      return (await told.count()) === 1;
    });
    await ben.locator("#text").fill("");
  });

  await step("edits, reactions and deletions reach the other", async () => {
    await ann.locator("#text").press("ArrowUp");
    await ann.locator("#text").fill("Hello Ben, this is still Ann.");
    await ann.locator("#text").press("Enter");
    await see(ben, "this is still Ann.");
    const bens = message(ann, "Hello Ann!");
    await bens.hover();
    await bens.getByRole("button", { name: "React with 🎉" }).click();
    await message(ben, "Hello Ann!").locator(".reaction", { hasText: "🎉 1" }).waitFor({ timeout: WAIT_MS });
    await say(ann, "This one goes away.");
    await see(ben, "This one goes away.");
    ann.once("dialog", (dialog) => dialog.accept());
    const doomed = message(ann, "This one goes away.");
    await doomed.hover();
    await doomed.getByRole("button", { name: "Delete" }).click();
    await see(ben, "This message was deleted.");
    await gone(ben, "This one goes away.");
  });

  await step("an answer shows what it answers", async () => {
    const bens = message(ann, "Hello Ann!");
    await bens.hover();
    await bens.getByRole("button", { name: "Reply" }).click();
    await say(ann, "An answer.");
    await message(ben, "An answer.").locator(".quote", { hasText: "Hello Ann!" }).waitFor({ timeout: WAIT_MS });
  });

  await step("history is there after a reload, page by page", async () => {
    for (let i = 1; i <= 70; i += 1) await say(ann, `Line ${i} of many`);
    await see(ben, "Line 70 of many");
    await ben.reload();
    await connected(ben);
    await see(ben, "Line 70 of many");
    if ((await ben.locator("#me").textContent()) !== "Ben") throw new Error("the guest's name is lost");
    await until("the first message after scrolling up", async () => {
      await ben.locator("#scroller").evaluate((scroller) => { scroller.scrollTop = 0; });
      return (await message(ben, "this is still Ann.").count()) === 1;
    });
    await once(ben, "Line 1 of many");
    await ben.screenshot({ path: `${folder}/history.png` });
  });

  await step("the guest is the same person after the reload", async () => {
    await say(ben, "Back again.");
    await see(ann, "Back again.");
    await message(ben, "Hello Ann!").and(ben.locator(".mine")).waitFor({ timeout: WAIT_MS });
  });
}

/** A browser of its own, with a guest in the room. */
async function visitor(name, base, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.on("pageerror", (error) => faults.push(`${name}: ${error.message}`));
  page.on("console", (line) => {
    if (line.type() === "error") faults.push(`${name}: ${line.text()}`);
  });
  await page.goto(`${base}/#${room}`);
  if (name === "Ann") await page.screenshot({ path: `${folder}/entry.png` });
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Enter" }).click();
  await connected(page);
  return page;
}

async function connected(page) {
  await page.locator('#status[data-state="open"]').waitFor({ timeout: WAIT_MS });
  await page.locator("#older", { hasText: /\S/ }).or(page.locator(".message").first()).first().waitFor({ timeout: WAIT_MS });
}

async function say(page, text) {
  await page.locator("#text").fill(text);
  await page.locator("#text").press("Enter");
}

function message(page, text) {
  return page.locator("#messages > .message", { has: page.locator(".text", { hasText: text }) });
}

async function see(page, text) {
  await message(page, text).first().waitFor({ state: "attached", timeout: WAIT_MS });
}

async function gone(page, text) {
  await until(`“${text}” to be gone`, async () => (await message(page, text).count()) === 0);
}

/** The message stands there exactly once, and not among those that wait. */
async function once(page, text) {
  await until(`“${text}” exactly once`, async () => {
    const waiting = await page.locator("#pending .text", { hasText: text }).count();
    return waiting === 0 && (await message(page, text).count()) === 1;
  });
}

async function until(what, holds) {
  const deadline = Date.now() + WAIT_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`no ${what} within ${WAIT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function step(what, act) {
  try {
    await act();
  } catch (error) {
    throw new Error(`${what}: ${error.message}`);
  }
  console.log(`  ${what}`);
}
