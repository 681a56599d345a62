// People in browsers chat through the page: on one node that was told nothing, and on two nodes over Postgres and Redis.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Person, launch, step, until } from "./people.mjs";
import { given, startBalancer, startNode, temporaryFolder } from "./servers.mjs";

const PHONE = { viewport: { width: 390, height: 780 }, colorScheme: "dark", isMobile: true, hasTouch: true };

const LIMIT = { timeout: 120_000 };

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test("one node without any configuration", LIMIT, async (t) => {
  const folder = temporaryFolder();
  const node = await startNode(folder);
  const balancer = await startBalancer(node);
  t.after(() => balancer.close());
  const [ann, ben] = await chat(balancer.url, balancer.url, "alone");

  await step("a node that is killed and started again has everything, and the pages come back by themselves", async () => {
    const before = await ann.log();
    balancer.to(null);
    await node.end("SIGKILL");
    await ann.isTold("offline, next try in");
    await ann.says("Said while the node was away.");
    await ann.isTold("sending…");
    await ann.picture("alone-offline");
    balancer.to(await startNode(folder));
    for (const person of [ann, ben]) {
      await person.isIn();
      await person.seesOnce("Said while the node was away.");
      person.forgivesLostConnections();
    }
    assert.deepEqual(await ann.log(), [...before, "Said while the node was away."]);
  });

  await step("who comes later reads it all", async () => {
    const cleo = await Person.enters(browser, `${balancer.url}/#alone`, "Cleo");
    assert.deepEqual(await cleo.log(), (await ann.log()).slice(-(await cleo.log()).length));
    await cleo.sees("Said while the node was away.");
    noFaults(cleo);
  });
  noFaults(ann, ben);
});

test("two nodes over Postgres and Redis", LIMIT, async (t) => {
  const keys = {
    "store.url": given("HUBBUB_TEST_POSTGRES_URL"),
    "bus.url": given("HUBBUB_TEST_REDIS_URL"),
    "auth.guests": true,
    "rooms.create_on_join": true,
  };
  const [one, two] = await Promise.all([1, 2].map(() => startNode(temporaryFolder(), keys)));
  const balancer = await startBalancer(one);
  t.after(() => balancer.close());
  const [ann, ben] = await chat(balancer.url, two.url, "cluster");

  await step("a node that ends moves its people to the other one, and nothing is lost", async () => {
    const before = await ann.log();
    balancer.to(two);
    const ended = one.end("SIGTERM");
    await ann.says("Said while my node was ending.");
    await ended;
    await ann.isIn();
    await ben.says("We are on one node now.");
    for (const person of [ann, ben]) {
      await person.seesOnce("Said while my node was ending.");
      await person.seesOnce("We are on one node now.");
    }
    assert.deepEqual(await ann.log(), [...before, "Said while my node was ending.", "We are on one node now."]);
  });
  noFaults(ann, ben);
});

/** Ann at `first` and Ben, on a phone, at `second` do all that the page can do. */
async function chat(first, second, room) {
  const ann = await Person.enters(browser, `${first}/#${room}`, "Ann");
  const ben = await Person.enters(browser, `${second}/#${room}`, "Ben", PHONE);

  await step("each sees what the other says, once", async () => {
    await ann.says("Hello Ben, this is Ann.");
    await ben.says("Hello Ann!\nA second line.");
    for (const person of [ann, ben]) {
      await person.seesOnce("Hello Ben, this is Ann.");
      await person.seesOnce("Hello Ann!\nA second line.");
    }
  });

  await step("markup is text", async () => {
    const markup = '<img src=x onerror="document.title = 1"><script>document.title = 2</script> & <b>bold</b>';
    await ann.says(markup);
    await ben.seesOnce(markup);
    assert.equal(await ben.page.locator("#messages").locator("img, script, b").count(), 0);
    assert.equal(await ben.page.title(), `#${room} · Hubbub`);
  });

  await step("each sees that the other is there", async () => {
    for (const { page } of [ann, ben]) {
      await until("two people", async () => (await page.locator("#people-count").textContent()) === "2");
      if (!(await page.locator("#people-panel").isVisible())) await page.locator("#open-people").click();
      assert.deepEqual((await page.locator("#people li").allTextContents()).map((name) => name.slice(0, 3)), ["Ann", "Ben"]);
    }
    await ben.picture(`${room}-people-narrow`);
    await ben.page.locator("#open-people").tap();
  });

  await step("typing is shown", async () => {
    // It is told at most every few seconds, so one keystroke may go untold.
    await until("sign of Ben's typing", async () => {
      await ben.page.locator("#text").pressSequentially("x");
      return (await ann.page.getByText("Ben is typing…").count()) === 1;
    });
    await ben.page.locator("#text").fill("");
  });

  await step("edits, reactions and deletions reach the other", async () => {
    await ann.says("This one changes.");
    await ann.seesOnce("This one changes.");
    await ann.page.locator("#text").press("ArrowUp");
    await ann.page.locator("#text").fill("This one has changed.");
    await ann.page.locator("#text").press("Enter");
    await ben.seesOnce("This one has changed.");
    await ben.seesNoMore("This one changes.");
    // A tap shows what can be done with a message.
    await ben.message("Hello Ben").locator(".text").tap();
    await ben.picture(`${room}-actions-narrow`);
    await ben.message("Hello Ben").getByRole("button", { name: "React with 🎉" }).tap();
    await ann.message("Hello Ben").locator(".reaction", { hasText: "🎉 1" }).waitFor();
    await ann.says("This one goes away.");
    await ben.sees("This one goes away.");
    ann.page.once("dialog", (dialog) => dialog.accept());
    await ann.does("Delete", "This one goes away.");
    await ben.sees("This message was deleted.");
    await ben.seesNoMore("This one goes away.");
  });

  await step("an answer shows what it answers", async () => {
    await ann.does("Reply", "A second line.");
    await ann.says("An answer.");
    await ben.message("An answer.").locator(".quote", { hasText: "Hello Ann!" }).waitFor();
  });
  await ann.picture(`${room}-wide`);

  await step("another room is another conversation", async () => {
    await ben.page.locator("#open-people").tap();
    await ben.page.getByRole("button", { name: "Rooms" }).tap();
    await ben.picture(`${room}-rooms-narrow`);
    await ben.page.getByLabel("Join a room").fill(`#${room}-side`);
    await ben.page.getByRole("button", { name: "Join", exact: true }).tap();
    await ben.isTold("This is the beginning of the room.");
    assert.deepEqual(await ben.log(), []);
    await ann.says("Unread by Ben for a while.");
    await ben.page.getByRole("button", { name: "Rooms" }).tap();
    await ben.page.locator(".unread", { hasText: "1" }).waitFor();
    await ben.page.getByRole("button", { name: `#${room}`, exact: false }).first().tap();
    await ben.seesOnce("Unread by Ben for a while.");
  });

  await step("the page fits a phone", async () => {
    const { width, wide } = await ben.page.evaluate(() => ({
      width: innerWidth,
      wide: document.documentElement.scrollWidth,
    }));
    assert.equal(width, PHONE.viewport.width);
    assert.ok(wide <= width, `the page is ${wide} px wide`);
  });

  await step("history is there after a reload, page by page, and the guest is the same person", async () => {
    for (let i = 1; i <= 70; i += 1) await ann.says(`Line ${i} of many`);
    await ben.sees("Line 70 of many");
    await ben.page.reload();
    await ben.isIn();
    await ben.sees("Line 70 of many");
    await until("first message after scrolling up", async () => {
      await ben.page.locator("#scroller").evaluate((scroller) => { scroller.scrollTop = 0; });
      return (await ben.message("Hello Ben").count()) === 1;
    });
    await ben.seesOnce("Line 1 of many");
    await ben.message("Hello Ann!").and(ben.page.locator(".mine")).waitFor();
    assert.equal(await ben.page.locator("#me").textContent(), "Ben");
    assert.deepEqual(await ben.log(), await ann.log());
    await ben.picture(`${room}-history-narrow`);
  });
  return [ann, ben];
}

function noFaults(...people) {
  for (const { faults } of people) assert.deepEqual(faults, []);
}
