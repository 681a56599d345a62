// What the page tells somebody who does something that cannot be done, and how it is used without a mouse.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Person, launch, until } from "./people.mjs";
import { startBalancer, startNode, temporaryFolder } from "./servers.mjs";

const LIMIT = { timeout: 60_000 };

let browser;
let node;
before(async () => {
  [browser, node] = await Promise.all([launch(), startNode(temporaryFolder())]);
});
after(() => browser?.close());

test("coming in needs a name", LIMIT, async () => {
  const dora = await Person.arrives(browser, node.url);
  await dora.picture("entry");
  for (const [name, told] of [["   ", "Choose a name"], ["é".repeat(40), "The name is too long"]]) {
    await dora.enter(name);
    await dora.page.getByRole("alert").filter({ hasText: told }).waitFor();
  }
  await dora.picture("entry-refused");
  await dora.enter(" Dora ");
  await dora.isIn();
  assert.equal(await dora.page.locator("#me").textContent(), "Dora");
  assert.equal(await dora.page.locator("#room-title").textContent(), "#lobby");
  await dora.picture("lobby-empty");
  assert.deepEqual(dora.faults, []);
});

test("an account: made, left, entered again, remembered", LIMIT, async () => {
  const dora = await Person.arrives(browser, node.url);
  const press = async (button, password, told) => {
    await dora.page.getByLabel("Your name").fill("Dora of the accounts");
    await dora.page.getByLabel("Password").fill(password);
    await dora.page.getByRole("button", { name: button }).click();
    if (told) await dora.page.getByRole("alert").filter({ hasText: told }).waitFor();
    else await dora.isIn();
  };
  await press("New account", "short", "8 to 256");
  await press("New account", "a long password");
  await dora.page.reload();
  await dora.isIn();
  assert.equal(await dora.page.locator("#me").textContent(), "Dora of the accounts");
  await dora.page.getByRole("button", { name: "Sign out" }).click();
  await press("Enter", "another password", "Name or password is wrong");
  await press("New account", "a long password", "is taken");
  await press("Enter", "a long password");

  const other = await Person.arrives(browser, node.url);
  await other.enter("dora OF the accounts");
  await other.page.getByRole("alert").filter({ hasText: "belongs to somebody" }).waitFor();
  await other.enter("Somebody else");
  await other.isIn();
});

test("a room's name has a form", LIMIT, async () => {
  const dora = await Person.enters(browser, node.url, "Dora");
  await dora.page.getByLabel("Join a room").fill("not a name!");
  await dora.page.getByRole("button", { name: "Join", exact: true }).click();
  await dora.page.getByRole("alert").filter({ hasText: "A room's name" }).waitFor();
  await dora.picture("room-name-refused");
  await dora.page.getByLabel("Join a room").fill("#Tea-Time");
  await dora.page.getByLabel("Join a room").press("Enter");
  await until("new room", async () => (await dora.page.locator("#room-title").textContent()) === "#tea-time");
  await dora.page.goto(`${node.url}/#Not a room`);
  await dora.isIn();
  assert.equal(await dora.page.locator("#room-title").textContent(), "#tea-time");
  assert.deepEqual(dora.faults, []);
});

test("a message that is too long is kept and explained", LIMIT, async () => {
  const dora = await Person.enters(browser, node.url, "Dora");
  const long = "ä".repeat(8_193);
  await dora.says(long);
  await dora.page.getByRole("alert").filter({ hasText: "too long" }).waitFor();
  assert.equal(await dora.page.locator("#text").inputValue(), long);
  await dora.says("x".repeat(16 * 1024));
  await dora.seesOnce("x".repeat(16 * 1024));
  assert.deepEqual(dora.faults, []);
});

test("a room that is not there", LIMIT, async () => {
  const closed = await startNode(temporaryFolder(), { "rooms.create_on_join": false });
  const dora = await Person.arrives(browser, `${closed.url}/#nowhere`);
  await dora.enter("Dora");
  await dora.page.getByRole("alert").filter({ hasText: "#nowhere cannot be opened: there is no such room" }).waitFor();
  assert.ok(await dora.page.locator("#text").isDisabled());
  await dora.picture("room-missing");
  assert.deepEqual(dora.faults, []);
});

test("guests are not let in", LIMIT, async () => {
  const members = await startNode(temporaryFolder(), { "auth.guests": false });
  const dora = await Person.arrives(browser, members.url);
  await dora.enter("Dora");
  await dora.page.getByRole("alert").filter({ hasText: "Guests are not let in here" }).waitFor();
  assert.equal(await dora.page.getByLabel("Your name").inputValue(), "Dora");
  await dora.picture("guests-refused");
  assert.deepEqual(dora.faults, []);
});

test("a guest whom the server has forgotten", LIMIT, async (t) => {
  const balancer = await startBalancer(node);
  t.after(() => balancer.close());
  const dora = await Person.enters(browser, balancer.url, "Dora");
  balancer.to(await startNode(temporaryFolder()));
  await dora.page.reload();
  await dora.page.getByRole("alert").filter({ hasText: "does not know you any more" }).waitFor();
  await dora.page.getByRole("button", { name: "Enter" }).click();
  await dora.isIn();
  await dora.page.reload();
  await dora.isIn();
  assert.deepEqual(dora.faults, []);
});

test("the node is away when somebody comes in", LIMIT, async (t) => {
  const balancer = await startBalancer(node);
  t.after(() => balancer.close());
  const dora = await Person.arrives(browser, balancer.url);
  balancer.to(null);
  await dora.enter("Dora");
  await dora.isTold("offline, next try in");
  await dora.says("Is anybody here?");
  await dora.picture("node-away");
  balancer.to(node);
  await dora.isIn();
  await dora.seesOnce("Is anybody here?");
  dora.forgivesLostConnections();
  assert.deepEqual(dora.faults, []);
});

test("the keyboard is enough", LIMIT, async () => {
  const dora = await Person.arrives(browser, `${node.url}/#keys`);
  const { keyboard } = dora.page;
  await keyboard.type("Dora");
  await keyboard.press("Enter");
  await dora.isIn();
  await keyboard.type("First line");
  await keyboard.press("Shift+Enter");
  await keyboard.type("second line");
  await keyboard.press("Enter");
  await dora.seesOnce("First line\nsecond line");

  await focus(dora, "Shift+Tab", ({ label }) => label === "React with 👍");
  await dora.picture("keyboard-action");
  await keyboard.press("Enter");
  await dora.message("First line").locator(".reaction", { hasText: "👍 1" }).waitFor();

  await focus(dora, "Shift+Tab", ({ id }) => id === "room");
  await keyboard.type("elsewhere");
  await keyboard.press("Enter");
  await until("other room", async () => (await dora.page.locator("#room-title").textContent()) === "#elsewhere");
  assert.equal(await dora.page.evaluate(() => document.activeElement.id), "text", "one can write at once");
  assert.deepEqual(dora.faults, []);
});

/** Presses `key` until what has the focus is as wanted. */
async function focus({ page }, key, wanted) {
  const passed = [];
  for (let i = 0; i < 60; i += 1) {
    await page.keyboard.press(key);
    const now = await page.evaluate(() => {
      const { id, tagName, ariaLabel } = document.activeElement;
      return { id, tag: tagName, label: ariaLabel };
    });
    if (wanted(now)) return;
    passed.push(now.label || now.id || now.tag);
  }
  assert.fail(`the focus went over ${passed.join(", ")}`);
}
