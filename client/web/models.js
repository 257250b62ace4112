// Which models shall answer.

/** A row of check boxes; those are checked at first that answer whoever names none. */
export class ModelChoice {
  /** @param {HTMLFieldSetElement} fieldset */
  constructor(fieldset) {
    this.fieldset = fieldset;
    this.all = new Map();
  }

  /**
   * @param {object[]} models as the service describes them
   * @param {string[]} usual names of those that answer whoever names none
   */
  show(models, usual) {
    this.all = new Map(models.map((model) => [model.name, model]));
    for (const old of this.fieldset.querySelectorAll("label")) old.remove();
    for (const model of models) {
      const label = document.createElement("label");
      label.title = `${model.task}: ${model.labels.filter((name) => name !== model.background).join(", ")}`;
      const box = document.createElement("input");
      box.type = "checkbox";
      box.value = model.name;
      box.checked = usual.includes(model.name);
      const text = document.createElement("span");
      text.textContent = model.name;
      label.append(box, text);
      this.fieldset.append(label);
    }
  }

  /** Names of those that are checked; all where none is, since nobody wants silence. */
  get names() {
    const boxes = [...this.fieldset.querySelectorAll("input")];
    const checked = boxes.filter((box) => box.checked);
    return (checked.length ? checked : boxes).map((box) => box.value);
  }

  set locked(locked) {
    for (const box of this.fieldset.querySelectorAll("input")) box.disabled = locked;
  }
}
