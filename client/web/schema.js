// What a contract describes, for the page: JSON Schema, bodies, examples, and the little Markdown of its texts.

const WIDTH = 76;

/** @returns {HTMLElement} with these properties and children */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Paragraphs, tables of pipes, and `code`. @returns {HTMLElement[]} */
export function markdown(text = "") {
  const blocks = text.trim().split(/\n{2,}/).filter(Boolean);
  return blocks.map((block) => (block.startsWith("|") ? table(block) : element("p", {}, ...inline(block))));
}

function inline(text) {
  return text.split("`").map((part, i) => (i % 2 ? element("code", {}, part) : part));
}

function table(block) {
  const [head, , ...rows] = block.split("\n").map((line) => line.slice(1, -1).split("|").map((cell) => cell.trim()));
  const row = (cells, tag, properties) => element("tr", {}, ...cells.map((cell) => element(tag, properties, ...inline(cell))));
  const body = element("tbody", {}, ...rows.map((cells) => row(cells, "td")));
  return element("div", { className: "wide" }, element("table", {}, element("thead", {}, row(head, "th", { scope: "col" })), body));
}

/** Names with their types and what they mean. @param {{name: string, schema: object, notes: string[]}[]} given */
export function fields(given) {
  const list = element("dl", { className: "fields" });
  for (const { name, schema, notes } of given) {
    const term = element("dt", {}, element("code", { className: "name" }, name), typeOf(schema));
    const usual = schema.default ?? null;
    if (usual !== null) notes.push("default ");
    for (const note of [range(schema), ...notes]) if (note) term.append(" ", element("span", { className: "note" }, note));
    if (usual !== null) term.lastChild.append(element("code", {}, JSON.stringify(usual, rounded)));
    list.append(term, element("dd", {}, ...markdown(schema.description)));
  }
  return list;
}

const rounded = (_, value) => (typeof value === "number" ? Number(value.toPrecision(5)) : value);

/** The fields of an object's schema. */
export function ofObject({ properties = {}, required = [] }) {
  return Object.entries(properties).map(([name, schema]) => {
    const optional = !required.includes(name) && (schema.default ?? null) === null;
    return { name, schema, notes: [optional ? "optional" : ""] };
  });
}

/** What a schema takes, in signs, with links to named types. */
function typeOf(schema) {
  return element("span", { className: "type" }, ...signs(schema));
}

function signs(schema) {
  const several = schema.anyOf ?? schema.oneOf ?? schema.enum?.map((value) => ({ const: value }));
  const items = schema.prefixItems ?? schema.items ?? {};
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    return [element("a", { href: `#type-${name}` }, name)];
  }
  if (schema.allOf) return signs(schema.allOf[0]);
  if (several) return joined(several, " | ");
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.format === "binary") return ["bytes"];
  if (schema.type === "array" && Array.isArray(items)) return ["[", ...joined(items, ", "), "]"];
  if (schema.type === "array") return items.anyOf ? ["(", ...signs(items), ")[]"] : [...signs(items), "[]"];
  if (schema.additionalProperties?.constructor === Object) return ["{name: ", ...signs(schema.additionalProperties), "}"];
  return [schema.type ?? ""];
}

function joined(schemas, sign) {
  return schemas.flatMap((each, i) => (i ? [sign, ...signs(each)] : signs(each)));
}

/** In which bounds a number is. */
function range(schema) {
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum } = schema.anyOf?.[0] ?? schema;
  const bounds = { "≥": minimum, ">": exclusiveMinimum, "≤": maximum, "<": exclusiveMaximum };
  return Object.entries(bounds).filter(([, bound]) => bound !== undefined).map(([sign, bound]) => `${sign} ${bound}`).join(", ");
}

/** Bodies by their media type; of problems, the problems. */
export function content(media) {
  const list = element("ul", { className: "media" });
  for (const [type, { schema = {}, example, examples = {} }] of Object.entries(media)) {
    const item = element("li");
    if (type !== "application/problem+json") item.append(element("code", {}, type), typeOf(schema));
    if (schema.properties) item.append(fields(ofObject(schema)));
    if (example !== undefined) item.append(folded(["an example"], example));
    for (const [code, { summary, value }] of Object.entries(examples)) item.append(folded([element("code", {}, code), ` ${summary}`], value));
    list.append(item);
  }
  return list;
}

function folded(title, value) {
  return element("details", {}, element("summary", {}, ...title), sample(value));
}

/** A JSON value to read; a long one scrolls. */
export function sample(value) {
  return element("pre", { tabIndex: 0, role: "group", ariaLabel: "example" }, element("code", {}, pretty(value)));
}

/** JSON with what is short on one line. */
function pretty(value, indent = "") {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const names = Array.isArray(value) ? value.map(() => "") : Object.keys(value).map((name) => `${JSON.stringify(name)}: `);
  const parts = (deeper) => Object.values(value).map((each, i) => names[i] + pretty(each, deeper));
  const line = open + parts("").join(", ") + close;
  if (indent.length + line.length <= WIDTH && !line.includes("\n")) return line;
  const deeper = `${indent}  `;
  return `${open}\n${parts(deeper).map((part) => deeper + part).join(",\n")}\n${indent}${close}`;
}
