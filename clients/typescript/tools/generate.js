// Writes `src/api.d.ts` and `src/operations.js` from the API's description: `npm run generate`.

import { readFile, writeFile } from "node:fs/promises";

const DESCRIPTION = new URL("../../../docs/openapi.json", import.meta.url);
const SOURCES = new URL("../src/", import.meta.url);
const MADE = "Made from docs/openapi.json by tools/generate.js; don't edit.";

/** @typedef {Record<string, any>} Json */

/** What a `$ref` ends in. @param {string} ref */
const named = (ref) => ref.slice(ref.lastIndexOf("/") + 1);

/** As a comment in front of what it is about. @param {string | undefined} text @param {string} indent */
function comment(text, indent) {
  if (!text) return "";
  const lines = text.replaceAll("*/", "*\\/").split("\n");
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}`.trimEnd()).join("\n")}\n${indent} */\n`;
}

/** TypeScript lets nobody ask a union for what only some of its members have, not even to find out which one it is. */
const ONE_OF = `/** One of several objects: what only some of them have is undefined in the others. */
export type OneOf<T, K extends PropertyKey = T extends unknown ? keyof T : never> = T extends unknown
  ? T & { [P in Exclude<K, keyof T>]?: undefined }
  : never;

`;

/** A schema as a TypeScript type. @param {Json} schema @param {string} [indent] @returns {string} */
function type(schema, indent = "") {
  if (schema.$ref) return named(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((/** @type {any} */ one) => JSON.stringify(one)).join(" | ");
  const alternatives = schema.oneOf ?? schema.anyOf;
  if (alternatives) {
    const types = alternatives.map((/** @type {Json} */ one) => type(one, indent)).join(" | ");
    return alternatives.some((/** @type {Json} */ one) => one.type === "null") ? types : `OneOf<${types}>`;
  }
  if (schema.allOf) return schema.allOf.map((/** @type {Json} */ one) => type(one, indent)).join(" & ");
  if (Array.isArray(schema.type)) {
    return schema.type.map((/** @type {string} */ one) => type({ ...schema, type: one }, indent)).join(" | ");
  }
  switch (schema.type) {
    case "string":
      return "string";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "null":
      return "null";
    case "array": {
      const items = type(schema.items, indent);
      return /[|&]/.test(items) && !/^(\{|OneOf<)/.test(items) ? `(${items})[]` : `${items}[]`;
    }
    case "object":
      return object(schema, indent);
    default:
      return "unknown";
  }
}

/** @param {Json} schema @param {string} indent */
function object(schema, indent) {
  const { properties, additionalProperties: others } = schema;
  if (!properties) {
    return `Record<string, ${others && typeof others === "object" ? type(others, indent) : "unknown"}>`;
  }
  const inner = `${indent}  `;
  const required = new Set(schema.required);
  const members = Object.entries(properties).map(
    ([name, property]) =>
      `${comment(property.description, inner)}${inner}${name}${required.has(name) ? "" : "?"}: ${type(property, inner)};\n`,
  );
  return `{\n${members.join("")}${indent}}`;
}

/** The parameters of a kind as an object type. @param {Json[]} parameters @param {string} kind */
function parametersOf(parameters, kind) {
  const found = parameters.filter((one) => one.in === kind);
  if (found.length === 0) return undefined;
  const required = found.filter((one) => one.required).map((one) => one.name);
  const properties = Object.fromEntries(
    found.map((one) => [one.name, { ...one.schema, description: one.description }]),
  );
  return { type: object({ properties, required }, "    "), optional: required.length === 0 };
}

/** The type of what a command or query answers with when it succeeds. @param {Json} responses */
function answerOf(responses) {
  const answers = new Set();
  for (const [status, response] of Object.entries(responses)) {
    if (!status.startsWith("2")) continue;
    const json = response.content?.["application/json"] ?? response.content?.["application/jwk-set+json"];
    answers.add(json ? type(json.schema, "    ") : "undefined");
  }
  return [...answers].join(" | ") || "undefined";
}

/** Both files, by name. @param {Json} api */
export function generate(api) {
  let types = `// ${MADE}\n\n${ONE_OF}`;
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    types += `${comment(schema.description, "")}export type ${name} = ${type(schema)};\n\n`;
  }
  types +=
    "/** Every command and query by its name: what it takes and what it answers. */\nexport interface Operations {\n";
  let table = `// ${MADE}\n\n/**\n * Every command and query by its name: its method and its path.\n`;
  table += " *\n * @satisfies {Record<keyof import('./api.js').Operations, readonly [string, string]>}\n */\n";
  table += "export const operations = /** @type {const} */ ({\n";
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of ["get", "put", "post", "patch", "delete"]) {
      const operation = item[method];
      if (!operation) continue;
      /** @type {Json[]} */
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].filter((one) => !one.$ref);
      const members = [];
      for (const kind of ["path", "query"]) {
        const found = parametersOf(parameters, kind);
        if (found) members.push(`    ${kind}${found.optional ? "?" : ""}: ${found.type};\n`);
      }
      const body = operation.requestBody?.content?.["application/json"]?.schema;
      if (body)
        members.push(`    body${operation.requestBody.required === false ? "?" : ""}: ${type(body, "    ")};\n`);
      members.push(`    answer: ${answerOf(operation.responses)};\n`);
      types += `${comment(operation.summary, "  ")}  ${operation.operationId}: {\n${members.join("")}  };\n`;
      table += `  ${operation.operationId}: ["${method.toUpperCase()}", "${path}"],\n`;
    }
  }
  return { "api.d.ts": `${types}}\n`, "operations.js": `${table}});\n` };
}

if (process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href) {
  const made = generate(JSON.parse(await readFile(DESCRIPTION, "utf8")));
  for (const [name, text] of Object.entries(made)) await writeFile(new URL(name, SOURCES), text);
}
