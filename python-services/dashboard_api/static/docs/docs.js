// Shows /openapi.json. Texts go in as text, never as markup.
"use strict";

const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null));
  return element;
};

const resolved = (schema, all) =>
  schema && schema.$ref ? all[schema.$ref.split("/").pop()] : schema;

// The type in a few words: "array of string", "ServiceSla", "integer or null".
const typeText = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeText).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return `array of ${typeText(schema.items) || "anything"}`;
  if (schema.type === "object" && schema.additionalProperties) {
    return `object of ${typeText(schema.additionalProperties)}`;
  }
  return [schema.format || schema.type || "anything", ...limits(schema)].join(", ");
};

const limits = (schema) =>
  [
    ["minimum", "at least"], ["maximum", "at most"], ["minLength", "characters at least"],
    ["maxLength", "characters at most"], ["maxItems", "items at most"],
  ].filter(([key]) => key in schema).map(([key, words]) => `${words} ${schema[key]}`);

const table = (head, rows) =>
  make("table", {},
    make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))))));

const parameterTable = (parameters) =>
  table(["Parameter", "Type", "Default", "Meaning"], parameters.map((one) => [
    make("code", {}, one.name + (one.required ? " *" : "")),
    typeText(one.schema),
    one.schema.default === undefined ? "" : String(one.schema.default),
    one.description || (one.in === "path" ? "Part of the path." : ""),
  ]));

// A type with its members, and under it those of the types that it names; each once.
const typeTables = (schema, all, seen) => {
  const found = resolved(schema, all);
  const name = schema && schema.$ref ? schema.$ref.split("/").pop() : "";
  if (!found || (name && seen.has(name))) return [];
  if (name) seen.add(name);
  if (found.anyOf) return found.anyOf.flatMap((one) => typeTables(one, all, seen));
  if (found.type === "array") return typeTables(found.items, all, seen);
  if (!found.properties) return found.additionalProperties ? typeTables(found.additionalProperties, all, seen) : [];
  const required = new Set(found.required || []);
  const members = Object.entries(found.properties);
  return [
    make("h3", {}, name || "Members"),
    found.description ? make("p", { class: "dim text" }, found.description) : null,
    table(["Member", "Type", "Meaning"], members.map(([key, value]) => [
      make("code", {}, key + (required.has(key) ? " *" : "")),
      typeText(value),
      value.description || "",
    ])),
    ...members.flatMap(([, value]) => typeTables(value, all, seen)),
  ].filter((element) => element !== null);
};

const bodyOf = (content) => {
  const media = content && Object.keys(content)[0];
  return media ? content[media].schema : null;
};

const addressOf = (path, parameters, values) => {
  const query = new URLSearchParams();
  let address = path;
  for (const one of parameters) {
    const value = values.get(one.name);
    if (!value) continue;
    if (one.in === "path") address = address.replace(`{${one.name}}`, encodeURIComponent(value));
    else query.append(one.name, value);
  }
  const text = query.toString();
  return text ? `${address}?${text}` : address;
};

const trial = (path, parameters) => {
  const answer = make("pre", { hidden: "", tabindex: "0", "aria-label": "Answer" });
  const form = make("form", {},
    ...parameters.map((one) => make("label", {}, one.name, make("input", { name: one.name, autocomplete: "off" }))),
    make("button", { type: "submit" }, "Ask"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const address = addressOf(path, parameters, new FormData(form));
    answer.hidden = false;
    answer.textContent = `GET ${address} …`;
    try {
      const response = await fetch(address, { headers: { Accept: "application/json" } });
      const text = await response.text();
      const isJson = /json/.test(response.headers.get("Content-Type") || "");
      const shown = isJson && text ? JSON.stringify(JSON.parse(text), null, 2) : text;
      answer.textContent = `GET ${address}\n${response.status} ${response.statusText}\n\n${shown}`;
    } catch (error) {
      answer.textContent = `GET ${address}\n${error}`;
    }
  });
  return make("div", {}, make("h3", {}, "Try it"), form, answer);
};

const operationElement = (path, method, operation, all) => {
  const parameters = operation.parameters || [];
  const seen = new Set();
  const body = operation.requestBody && bodyOf(operation.requestBody.content);
  const good = Object.entries(operation.responses).find(([status]) => status.startsWith("2"));
  const answer = good && bodyOf(good[1].content);
  const inside = make("div", { class: "inside" }, make("p", { class: "text" }, operation.description || ""));
  if (parameters.length) inside.append(make("h3", {}, "Parameters"), parameterTable(parameters));
  if (body) inside.append(make("h3", {}, "Body"), ...typeTables(body, all, seen));
  if (answer) inside.append(make("h3", {}, `Answer: ${typeText(answer)}`), ...typeTables(answer, all, seen));
  inside.append(make("h3", {}, "Statuses"), table(["Status", "Meaning"],
    Object.entries(operation.responses).map(([status, one]) => [make("code", {}, status), one.description])));
  if (method === "get") inside.append(trial(path, parameters));
  return make("details", { "data-words": `${method} ${path} ${operation.summary} ${operation.description}`.toLowerCase() },
    make("summary", {},
      make("span", { class: "method" }, method.toUpperCase()), " ",
      make("span", { class: "path" }, path), " – ", operation.summary, " ",
      make("span", { class: "role" }, operation["x-role"] === "nobody" ? "(no password)" : `(${operation["x-role"]})`)),
    inside);
};

const show = (description) => {
  const main = document.getElementById("operations");
  const groups = new Map();
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (!operation.responses) continue;
      const tag = operation.tags[0];
      if (!groups.has(tag)) groups.set(tag, make("section", {}, make("h2", {}, tag)));
      groups.get(tag).append(operationElement(path, method, operation, description.components.schemas));
    }
  }
  main.replaceChildren(...groups.values());
  document.getElementById("state").textContent = description.info.description;
};

const filter = (text) => {
  for (const section of document.querySelectorAll("section")) {
    let some = false;
    for (const one of section.querySelectorAll(":scope > details")) {
      one.hidden = !one.dataset.words.includes(text);
      some ||= !one.hidden;
    }
    section.hidden = !some;
  }
};

document.getElementById("filter").addEventListener("input", (event) => filter(event.target.value.toLowerCase()));
fetch("/openapi.json", { headers: { Accept: "application/json" } })
  .then((response) => {
    if (!response.ok) throw new Error(`/openapi.json answers ${response.status}`);
    return response.json();
  })
  .then(show)
  .catch((error) => { document.getElementById("state").textContent = `The description cannot be shown: ${error.message}`; });
