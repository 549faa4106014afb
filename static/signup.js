// What the sign-up page does better with JavaScript. Every page works without it.

const PATIENCE = 30000; // Milliseconds to wait for an answer; a slow line has it by then, or never.

const one = (selector, root = document) => root.querySelector(selector);

let plain = one("main").innerHTML; // The page as the server sent it, before this script adds to it.

/** Problems are read first: the focus goes to their summary. */
function showProblems() {
  one(".summary")?.focus();
}

/** A button that shows the password while it is typed; it is hidden again before the form is sent. */
function revealPassword() {
  const button = one(".reveal");
  if (!button) return;
  const input = document.getElementById(button.getAttribute("aria-controls"));
  const [text, label] = [button.textContent, button.getAttribute("aria-label")];
  const show = (shown) => {
    input.type = shown ? "text" : "password";
    button.textContent = shown ? button.dataset.hide : text;
    button.setAttribute("aria-label", shown ? button.dataset.hideLabel : label);
  };
  button.hidden = false;
  button.addEventListener("click", () => show(input.type === "password"));
  input.form.addEventListener("submit", () => show(false));
}

/** Only the states of the chosen country; a group of states bears its country's name. The stylesheet hides the rest. */
function matchStates() {
  const country = document.getElementById("id_country_code");
  const state = document.getElementById("id_state_code");
  if (!country || !state) return;
  const groups = [...state.querySelectorAll("optgroup")];
  const match = () => {
    const own = groups.find((group) => group.label === country.selectedOptions[0].label);
    // Out of sight all of them stay, for a browser that fills in the state before the country. What was chosen in a
    // group that goes is chosen again when it comes back: an option out of the page stays selected.
    for (const group of groups) own && group !== own ? group.remove() : state.append(group);
  };
  country.addEventListener("change", match);
  addEventListener("pageshow", match);
  match();
}

/** Say so at once when something is typed or pasted that the server would refuse. Nothing is ever cut off. */
function hintWhileTyping() {
  for (const input of document.querySelectorAll("[data-max-length]")) {
    const hint = document.getElementById(`${input.id}_hint`);
    input.addEventListener("input", (event) => {
      if (!event.isComposing) useLowercase(input);
      const problem = problemOf(input);
      hint.classList.toggle("advice", !problem);
      hint.textContent = problem || (isEasyToGuess(input) ? input.dataset.easy : "");
    });
  }
  const name = document.getElementById("id_username");
  name?.addEventListener("change", () => (name.value = meant(name)));
}

/** A phone's keyboard begins with a capital letter: where none is allowed, that is no reason to stop anybody. */
function useLowercase(input) {
  const value = input.value.toLowerCase();
  if (matches(input, meant(input)) || !matches(input, meant(input).toLowerCase())) return;
  const caret = input.selectionStart;
  input.value = value;
  input.setSelectionRange(caret, caret);
}

function problemOf(input) {
  const length = [...meant(input)].length;
  if (length > Number(input.dataset.maxLength)) return input.dataset.tooLong.replace("{length}", length);
  return matches(input, meant(input)) ? "" : input.dataset.wrongCharacters;
}

/** What the server makes of it (`provisioning.rules.normalization`), near enough for a hint; a password stays as it is. */
function meant(input) {
  if (input.name === "password") return input.value;
  const value = input.value.trim();
  return input.pattern ? value.normalize("NFKC").replace(/\p{Cf}/gu, "").trim() : value.normalize("NFC");
}

function matches(input, value) {
  return !input.pattern || new RegExp(`^(?:${input.pattern})$`, "v").test(value);
}

/** Whether a password is guessed first, by the server's own table (`provisioning.rules.passwords`). */
function isEasyToGuess({ value, minLength, dataset }) {
  if (!dataset.common || [...value].length < minLength) return false;
  const bare = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");
  const word = bare(value);
  const known = dataset.guessedFrom
    .split(" ")
    .map((name) => bare(document.getElementById(`id_${name}`)?.value.split("@")[0] ?? ""))
    .filter((each) => each.length >= dataset.shortest);
  return (
    /^\p{Nd}+$/u.test(value) ||
    new Set(value).size <= 2 ||
    dataset.common.split(" ").includes(value.toLowerCase().trim()) ||
    known.some((each) =>
      word.includes(each) ? word.length - each.length < dataset.shortest : word.length >= dataset.shortest && each.includes(word),
    )
  );
}

/** The organization's name gives a username, until another one is typed. Other scripts than Latin give none. */
function suggestUsername() {
  const organization = document.getElementById("id_organization_name");
  const name = document.getElementById("id_username");
  if (!organization || !name) return;
  let suggested = "";
  organization.addEventListener("input", () => {
    if (name.value !== suggested) return;
    const letters = organization.value.normalize("NFKD").toLowerCase().replace(/['’\p{M}]/gu, "");
    const words = /[^\x00-\x7f]/.test(letters.replace(/[^\p{L}]/gu, "")) ? null : letters.match(/[a-z0-9]+/g);
    const slug = words?.join("-").slice(0, Number(name.dataset.maxLength)) ?? "";
    name.value = suggested = slug.length < name.minLength ? "" : slug;
  });
}

/** What is suggested is filled in where the password is still to be typed; anywhere else its button sends it at once. */
function fillInSuggestion() {
  const password = document.getElementById("id_password");
  for (const button of document.querySelectorAll(".suggestions button")) {
    button.addEventListener("click", (event) => {
      if (!password) return;
      event.preventDefault();
      document.getElementById(`id_${button.name}`).value = button.value;
      password.focus();
    });
  }
}

/**
 * One press sends once, and not before the server would take it: nobody is to be refused for being quick. The page
 * stays until there is an answer, so that a lost line or an impatient customer loses nothing that was typed. Sending
 * again is safe: the form carries an id by which the server knows it.
 */
function sendInPlace() {
  for (const form of document.querySelectorAll("main form")) {
    const button = one(".primary", form);
    if (!button) continue;
    const words = button.textContent;
    const opens = performance.now() + Number(one("[data-wait]", form)?.dataset.wait ?? 0);
    const restore = () => {
      button.removeAttribute("aria-disabled");
      button.textContent = words;
    };
    form.addEventListener("submit", async (event) => {
      if (event.submitter?.name === "language") return;
      event.preventDefault();
      if (button.getAttribute("aria-disabled")) return;
      const entered = new URLSearchParams(new FormData(form, event.submitter));
      button.setAttribute("aria-disabled", "true");
      button.textContent = button.dataset.busy;
      one(".unsent", form)?.remove();
      await new Promise((open) => setTimeout(open, opens - performance.now()));
      try {
        const response = await send(form, entered);
        if (response.redirected) return location.assign(response.url);
        show(await pageOf(response));
      } catch {
        restore();
        button.before(alertOf(navigator.onLine ? button.dataset.unanswered : button.dataset.offline));
      }
    });
    addEventListener("pageshow", restore);
  }
}

/** The answer to a form. An error of the server's, or none within the time, is thrown. */
async function send(form, entered) {
  const patience = new AbortController();
  const end = setTimeout(() => patience.abort(), PATIENCE);
  const response = await fetch(form.action, { method: "POST", body: entered, signal: patience.signal });
  clearTimeout(end);
  if (response.status >= 500) throw new Error(response.status);
  return response;
}

function alertOf(text) {
  const alert = document.createElement("p");
  alert.className = "error unsent";
  alert.setAttribute("role", "alert");
  alert.textContent = text;
  return alert;
}

/** A button that puts what is beside it on the clipboard, where the browser has one for us. */
function copyAtOnce() {
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = one("#announcement").textContent = button.dataset.done;
    });
  }
}

function enhance() {
  showProblems();
  revealPassword();
  matchStates();
  hintWhileTyping();
  suggestUsername();
  fillInSuggestion();
  sendInPlace();
  copyAtOnce();
}

async function pageOf(response) {
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

/** Put a page in the place of the one that is shown, and say what is new. */
function show(page) {
  const [old, main] = [one("main"), one("main", page)];
  const news = one("h1", main).textContent;
  if (news !== one("h1", old).textContent) one("#announcement").textContent = news;
  document.title = page.title;
  plain = main.innerHTML;
  old.replaceWith(main);
  enhance();
}

/** Show the page as it is now. */
async function renew() {
  const response = await fetch(location.href);
  if (!response.ok && response.status !== 404) throw new Error(response.status);
  const page = await pageOf(response);
  if (plain !== one("main", page).innerHTML) show(page);
}

/**
 * Ask for the state when the server says so, which is ever less often, and not at all in a hidden tab. Every fourth time
 * look in full, for what has changed besides.
 */
async function follow(pause = 1, asked = 1) {
  await new Promise((resolve) => setTimeout(resolve, pause * 1000));
  if (document.hidden) await new Promise((shown) => document.addEventListener("visibilitychange", shown, { once: true }));
  const { state, status } = one("main").dataset;
  if (!status) return;
  try {
    const response = await fetch(status);
    if (response.status >= 500) throw new Error(response.status);
    const now = response.ok ? await response.json() : {};
    pause = now.ask_again_in ?? pause;
    if (now.state !== state || asked % 4 === 0) await renew();
  } catch {
    // Offline, or the server starts or is overloaded: ask again later.
    pause = Math.min(pause * 2, 60);
  }
  follow(pause, asked + 1);
}

enhance();
if (one("main").dataset.status) follow();
