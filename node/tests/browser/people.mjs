// People at browsers, and what they do and see.

import { existsSync, mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

export const WAIT_MS = 20_000;
const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const pictures = process.env.SCREENSHOTS;

/** A browser. `CHROMIUM` names its program where it is not at one of the usual places. */
export async function launch() {
  const executablePath = process.env.CHROMIUM ?? BROWSERS.find((path) => existsSync(path));
  if (!executablePath) {
    throw new Error("There is no Chromium. Install it with `apt-get install chromium`, or name its program in CHROMIUM.");
  }
  const quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", ...quiet] });
}

/** Waits until `holds` gives true. */
export async function until(what, holds) {
  const deadline = Date.now() + WAIT_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`no ${what} within ${WAIT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Says which part of a test failed. */
export async function step(what, act) {
  try {
    await act();
  } catch (error) {
    error.message = `${what}: ${error.message}`;
    throw error;
  }
}

/** One person at a browser of their own. */
export class Person {
  /** What the browser complained about: errors of scripts, of loading, of the content security policy. */
  faults = [];

  constructor(page) {
    this.page = page;
    page.setDefaultTimeout(WAIT_MS);
    page.on("pageerror", (error) => this.faults.push(error.message));
    page.on("console", (line) => {
      if (line.type() === "error") this.faults.push(line.text());
    });
    page.on("console", (line) => {
      if (line.text().includes("Content Security Policy")) this.faults.push(line.text());
    });
  }

  /** Opens the page at `url`; `options` are those of a browser's context (viewport, hasTouch …). */
  static async arrives(browser, url, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1200, height: 760 }, ...options });
    const person = new Person(await context.newPage());
    await person.page.goto(url);
    return person;
  }

  /** Opens the page and comes in as a guest. */
  static async enters(browser, url, name, options) {
    const person = await Person.arrives(browser, url, options);
    await person.enter(name);
    await person.isIn();
    return person;
  }

  async enter(name) {
    await this.page.getByLabel("Your name").fill(name);
    await this.page.getByRole("button", { name: "Enter" }).click();
  }

  /** Connected, with the room's messages on the page. */
  async isIn() {
    await this.page.locator('#status[data-state="open"]').waitFor();
    await this.page.locator("#older", { hasText: /\S/ }).or(this.page.locator(".message")).first().waitFor();
  }

  async says(text) {
    await this.page.locator("#text").fill(text);
    await this.page.locator("#text").press("Enter");
  }

  /** The messages of the log that contain `text`. */
  message(text) {
    return this.page.locator("#messages > .message", { has: this.page.locator(".text", { hasText: text }) });
  }

  /** A message's button, under the mouse. */
  async does(action, text) {
    await this.message(text).hover();
    await this.message(text).getByRole("button", { name: action }).click();
  }

  async sees(text) {
    await this.message(text).first().waitFor({ state: "attached" });
  }

  /** The message stands there exactly once, and not among those that wait. */
  async seesOnce(text) {
    await until(`“${text}” exactly once`, async () => {
      const waiting = await this.page.locator("#pending .text", { hasText: text }).count();
      return waiting === 0 && (await this.message(text).count()) === 1;
    });
  }

  async seesNoMore(text) {
    await until(`end of “${text}”`, async () => (await this.message(text).count()) === 0);
  }

  /** Something that the page says outside the messages. */
  async isTold(text) {
    await this.page.getByText(text).first().waitFor();
  }

  /** The texts of all messages, in order. */
  async log() {
    return this.page.locator("#messages > .message .text").allTextContents();
  }

  /** What the browser says of a server that is away is no fault of the page. */
  forgivesLostConnections() {
    this.faults = this.faults.filter((text) => !/^WebSocket connection to .* failed|net::ERR_/.test(text));
  }

  /** A picture of the page, where SCREENSHOTS names a folder for them. */
  async picture(name) {
    if (!pictures) return;
    mkdirSync(pictures, { recursive: true });
    await this.page.screenshot({ path: `${pictures}/${name}.png` });
  }
}
