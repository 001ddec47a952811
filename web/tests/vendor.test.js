import assert from "node:assert/strict";
import { test } from "node:test";
import { committed, vendored } from "./vendor.js";

test("what the web client takes from others is what the registry's packages hold", async () => {
  for (const [name, contents] of await vendored()) {
    assert.ok(contents.equals(await committed(name)), `web/vendor/${name} differs: npm run vendor`);
  }
});
