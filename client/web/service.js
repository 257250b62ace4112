// The REST calls of the page.

/** An answer that is a problem, or none at all. */
export class Refused extends Error {
  /** @param {{title: string, detail: string, code?: string}} problem */
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

const UNREACHABLE = {
  title: "The service does not answer",
  detail: "Is it still running? Reload the page when it is.",
};

/** The loaded `models`, and the names of those that answer whoever names none, `default`. Throws Refused. */
export async function fetchModels() {
  let answer;
  try {
    answer = await fetch("v1/models");
  } catch {
    throw new Refused(UNREACHABLE);
  }
  const body = await answer.text();
  if (!answer.ok) throw new Refused(problemOf(answer.status, body));
  return JSON.parse(body);
}

/**
 * Post a file as it is.
 * @param {File} file
 * @param {string[]} models
 * @param {function(number)} sent called with the share of it that is sent, 0 to 1
 * @returns {{answer: Promise<object>, cancel: function}} the answer rejects with Refused; after cancel it is null
 */
export function postClip(file, models, sent) {
  const request = new XMLHttpRequest();
  const answer = new Promise((resolve, reject) => {
    request.upload.onprogress = (progress) => sent(progress.loaded / progress.total);
    request.upload.onload = () => sent(1);
    request.onload = () =>
      request.status === 200
        ? resolve(JSON.parse(request.responseText))
        : reject(new Refused(problemOf(request.status, request.responseText)));
    request.onerror = () => reject(new Refused(UNREACHABLE));
    request.onabort = () => resolve(null);
  });
  request.open("POST", `v1/clips?models=${encodeURIComponent(models.join(","))}`);
  request.setRequestHeader("content-type", "application/octet-stream");
  request.send(file);
  return { answer, cancel: () => request.abort() };
}

function problemOf(status, body) {
  try {
    const problem = JSON.parse(body);
    if (problem.title) return problem;
  } catch {
    // No problem object: something between us and the service answered.
  }
  return { title: `The answer was HTTP ${status}`, detail: body.slice(0, 300) || "It came without a word." };
}
