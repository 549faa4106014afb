/* A brand's form: a color picker, and a live preview of the unsaved brand, on a phone and on a computer. */
const form = document.getElementById("brand_form");
const color = document.getElementById("id_color");
const preview = document.querySelector(".live-preview");
const COLOR = /^#[0-9a-f]{6}$/i;
const USUAL = "#2454d6";
const PAUSE = 600;
let planned;
let turn = 0;

function addPicker() {
  const picker = document.createElement("input");
  picker.type = "color";
  picker.setAttribute("aria-label", "Pick a color");
  const show = () => { picker.value = COLOR.test(color.value) ? color.value : USUAL; };
  picker.addEventListener("input", () => {
    color.value = picker.value;
    color.dispatchEvent(new Event("input", { bubbles: true }));
  });
  color.addEventListener("input", show);
  color.after(picker);
  show();
}

/* A new frame each time: its first page adds nothing to the browser's history. The old one stays until it has loaded. */
function show(box) {
  const old = [...box.children];
  const frame = document.createElement("iframe");
  frame.name = `preview-${Date.now()}`;
  frame.title = box.dataset.preview;
  frame.sandbox = "allow-same-origin"; // Nothing runs in it. Without this, it could not load the stylesheet.
  const button = document.createElement("button");
  Object.assign(button, { name: "_preview", value: "live", hidden: true });
  button.setAttribute("formtarget", frame.name);
  box.append(frame);
  form.append(button);
  return new Promise((done) => {
    frame.addEventListener("load", () => {
      if (frame.contentWindow.location.href === "about:blank") return;
      old.forEach((each) => each.remove());
      done();
    });
    form.requestSubmit(button);
    button.remove();
  });
}

/* One after the other: a form can be on its way to one frame only. */
async function showAll() {
  const mine = ++turn;
  for (const box of document.querySelectorAll("[data-preview]")) {
    if (mine === turn) await show(box);
  }
}

function plan() {
  clearTimeout(planned);
  planned = setTimeout(showAll, PAUSE);
}

if (form && color) {
  addPicker();
  preview.hidden = false;
  form.addEventListener("input", plan);
  plan();
}
