// The page, put together.

import { Live } from "./live.js";
import { ModelChoice } from "./models.js";
import { onScheme } from "./palette.js";
import { showProblem } from "./problem.js";
import { Refused, fetchModels } from "./service.js";
import { Upload } from "./upload.js";

const WARMING_MS = 1000;

const connectionElement = document.getElementById("connection");

function connection(state, words) {
  connectionElement.dataset.state = state;
  connectionElement.textContent = words;
}

const choice = new ModelChoice(document.getElementById("models"));
const live = new Live(choice, connection);
const upload = new Upload(choice);
onScheme(() => {
  live.redraw();
  upload.redraw();
});

/** What there is of models, as soon as the service is warm. */
async function warmModels() {
  for (;;) {
    try {
      return await fetchModels();
    } catch (error) {
      if (!(error instanceof Refused) || error.problem.code !== "not-ready") throw error;
      connection("asking", "warming up");
      await new Promise((done) => setTimeout(done, WARMING_MS));
    }
  }
}

try {
  const told = await warmModels();
  choice.show(told.models, told.default);
  connection("ready", "ready");
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  connection("lost", "no service");
  showProblem(document.getElementById("live-problem"), error.problem);
}
document.documentElement.dataset.loaded = "true";
