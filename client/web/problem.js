// What went wrong, in words.

/** Show an RFC 9457 problem (or anything with a title and a detail) in an element; null hides it. */
export function showProblem(element, problem) {
  element.hidden = !problem;
  element.replaceChildren();
  if (!problem) return;
  const title = document.createElement("strong");
  title.textContent = problem.title;
  const detail = document.createElement("p");
  detail.textContent = sentence(problem.detail ?? "");
  element.append(title, detail);
  if (problem.code) {
    const code = document.createElement("code");
    code.textContent = problem.code;
    element.append(code);
  }
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
