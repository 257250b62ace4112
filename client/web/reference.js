// Both contracts as one page: what REST takes and answers, and what is said in a socket.

import { showProblem } from "./problem.js";
import { content, element, fields, markdown, ofObject, sample } from "./schema.js";

/** A part of the page, and where its own parts are listed in the contents. */
class Part {
  constructor(node, list) {
    this.node = node;
    this.list = list;
  }

  /**
   * One more part below a heading that links to itself.
   * @param {string} tag of the part: a section, or an article, which looks like a card
   * @param {string} level of its heading, h2 to h4
   */
  add(tag, level, id, title, ...body) {
    const link = () => element("a", { href: `#${id}` }, ...title.map((part) => part.cloneNode?.(true) ?? part));
    const node = element(tag, { id }, element(level, {}, link()), ...body);
    const list = element("ul");
    this.node.append(node);
    this.list.append(element("li", {}, link(), list));
    return new Part(node, list);
  }
}

function rest(page, contract) {
  const errors = element("p", {}, "The fields of a problem: ", element("a", { href: "#type-ProblemDetails" }, "ProblemDetails"), ".");
  const section = page.add("section", "h2", "rest", ["REST"], ...markdown(contract.info.description), errors);
  const calls = Object.entries({ ...contract.paths, ...contract.webhooks }).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, call]) => ({ ...call, method, path })),
  );
  for (const { name, description } of contract.tags) {
    const tagged = calls.filter((call) => call.tags.includes(name));
    if (!tagged.length) continue;
    const title = name.charAt(0).toUpperCase() + name.slice(1);
    const group = section.add("section", "h3", `calls-${name.replaceAll(" ", "-")}`, [title], ...markdown(description));
    for (const call of tagged) addCall(group, call);
  }
}

function addCall(group, call) {
  const method = element("span", { className: "method" }, call.method.toUpperCase());
  const path = element("code", {}, ...call.path.split(/(?<=.)(?=\/)/).flatMap((step) => [element("wbr"), step]));
  const body = [element("p", { className: "summary" }, call.summary), ...markdown(call.description)];
  if (call.security) body.push(element("p", { className: "muted" }, "Takes a key where the service has any."));
  if (call.parameters) {
    const given = call.parameters.map(({ name, schema, description, required, in: where }) => ({
      name,
      schema: { ...schema, description },
      notes: [where, required || schema.default !== undefined ? "" : "optional"],
    }));
    body.push(element("h5", {}, "Parameters"), fields(given));
  }
  if (call.requestBody) body.push(element("h5", {}, "Body"), content(call.requestBody.content));
  const answers = element("dl", { className: "fields" });
  for (const [status, answer] of Object.entries(call.responses).sort(([one], [other]) => (one < other ? -1 : 1))) {
    const detail = element("dd", {}, ...(answer.content?.["application/problem+json"] ? [] : markdown(answer.description)));
    if (answer.content) detail.append(content(answer.content));
    answers.append(element("dt", {}, element("code", { className: status.startsWith("2") ? "good" : "bad" }, status)), detail);
  }
  group.add("article", "h4", `call-${call.operationId}`, [method, " ", path], ...body, element("h5", {}, "Answers"), answers);
}

/** Last step of a reference: a name. */
const named = (link) => link.$ref.split("/").at(-1);

function socket(page, contract) {
  const { stream: channel, ...others } = contract.channels;
  const address = element("p", { className: "summary" }, element("code", {}, channel.address));
  const section = page.add("section", "h2", "socket", ["Socket"], address, ...markdown(channel.description));
  const operations = Object.values(contract.operations);
  const heard = operations.filter((one) => one.action === "receive").flatMap((one) => one.messages.map(named));
  const names = Object.keys(channel.messages);
  const parts = {
    send: ["What you send", names.filter((name) => heard.includes(name))],
    told: ["What you are told", names.filter((name) => !heard.includes(name))],
  };
  for (const [id, [title, those]] of Object.entries(parts)) {
    const group = section.add("section", "h3", id, [title]);
    for (const name of those) addMessage(group, "h4", name, contract.components, operations);
  }
  const codes = Object.entries(channel["x-close-codes"]).map(([name, description]) => ({ name, schema: { description }, notes: [] }));
  section.add("section", "h3", "close-codes", ["Close codes"], element("div", { className: "card" }, fields(codes)));
  for (const [id, { address: topic, title, description, messages }] of Object.entries(others)) {
    const at = element("p", { className: "summary" }, element("code", {}, topic));
    const group = page.add("section", "h2", id, [title], at, ...markdown(description));
    for (const name of Object.keys(messages)) addMessage(group, "h3", name, contract.components, []);
  }
}

function addMessage(group, level, name, { messages, schemas }, operations) {
  const { title, summary, description = "", contentType, payload, examples = [] } = messages[name];
  const body = markdown(`${summary}\n\n${description}`);
  const asked = operations.find((one) => one.reply && one.messages.map(named).includes(name));
  if (asked) {
    const links = asked.reply.messages.map(named).flatMap((reply, i) => [
      i ? " or " : "",
      element("a", { href: `#message-${reply}` }, element("code", {}, reply)),
    ]);
    body.push(element("p", { className: "muted" }, "Answered with ", ...links, "."));
  }
  if (contentType) body.push(element("p", { className: "muted" }, "Content type ", element("code", {}, contentType)));
  if (payload.$ref) body.push(fields(ofObject(schemas[named(payload)])));
  for (const example of examples) body.push(sample(example.payload));
  group.add("article", level, `message-${name}`, [element("code", {}, title)], ...body);
}

/** The types of both contracts, but for what is a message and nothing else. */
function types(page, ofRest, ofSocket) {
  const messages = Object.values(ofSocket.components.messages).flatMap(({ payload }) => (payload.$ref ? [named(payload)] : []));
  const schemas = { ...ofSocket.components.schemas, ...ofRest.components.schemas };
  const section = page.add("section", "h2", "types", ["Types"]);
  for (const name of Object.keys(schemas).sort()) {
    if (messages.includes(name) && !(name in ofRest.components.schemas)) continue;
    const body = [...markdown(schemas[name].description), fields(ofObject(schemas[name]))];
    section.add("article", "h3", `type-${name}`, [element("code", {}, name)], ...body);
  }
}

async function load(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`the answer to ${name} was HTTP ${answer.status}`);
  return answer.json();
}

const main = document.getElementById("reference");
const contents = document.getElementById("contents");
const wide = matchMedia("(min-width: 900px)");
const fold = () => (contents.open = wide.matches);
wide.addEventListener("change", fold);
fold();

try {
  const [ofRest, ofSocket] = await Promise.all([load("openapi.json"), load("asyncapi.json")]);
  const page = new Part(main, contents.appendChild(element("ul")));
  rest(page, ofRest);
  socket(page, ofSocket);
  types(page, ofRest, ofSocket);
  // What the address names is there only now.
  if (location.hash) location.replace(location.hash);
} catch (error) {
  showProblem(document.getElementById("problem"), { title: "The contracts cannot be read", detail: error.message });
}
main.setAttribute("aria-busy", "false");
document.documentElement.dataset.loaded = "true";
