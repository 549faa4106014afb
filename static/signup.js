// Improvements to the sign-up page for browsers with JavaScript. Every page works without it.

const TIMEOUT = 30000; // Milliseconds to wait for a response.

const one = (selector, root = document) => root.querySelector(selector);

let plain = one("main").innerHTML; // The page as the server sent it, before this script adds to it.

/** Focus the summary of errors, so that screen readers read it first. */
function showProblems() {
  one(".summary")?.focus();
}

/** Enable the button that shows the password. The password is hidden again when the form is sent. */
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

/** Offer only the states of the chosen country. The label of each group of states is its country's name. */
function matchStates() {
  const country = document.getElementById("id_country_code");
  const state = document.getElementById("id_state_code");
  if (!country || !state) return;
  const groups = [...state.querySelectorAll("optgroup")];
  const match = () => {
    const own = groups.find((group) => group.label === country.selectedOptions[0].label);
    // For a country without states, all groups stay: the stylesheet hides the field, and a browser's autofill may set
    // the state before the country. A removed option stays selected, so it is chosen again when its group comes back.
    for (const group of groups) own && group !== own ? group.remove() : state.append(group);
  };
  country.addEventListener("change", match);
  addEventListener("pageshow", match);
  match();
}

/** Show at once when the server would refuse what was typed or pasted. Nothing is ever cut off. */
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

/** Turn a value into lowercase if only its capital letters are wrong: phone keyboards start with a capital letter. */
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

/** Normalize a value about like the server does (`provisioning.rules.normalization`). A password stays as it is. */
function meant(input) {
  if (input.name === "password") return input.value;
  const value = input.value.trim();
  return input.pattern ? value.normalize("NFKC").replace(/[\p{Cf}\p{VS}\u034f\ufffc]/gu, "").trim() : value.normalize("NFC");
}

function matches(input, value) {
  return !input.pattern || new RegExp(`^(?:${input.pattern})$`, "v").test(value);
}

/** Whether a password is easy to guess, by the same rules as on the server (`provisioning.rules.passwords`). */
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

/** Suggest a username made of the organization's name, until another one is typed. Only for names in Latin script. */
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

/** Fill in a suggested username if the password is still to be entered. Otherwise, its button sends the form at once. */
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
 * Send forms with fetch(), once per press, and not before the server's minimum time has passed. The page stays until
 * there is a response, so that nothing typed is lost if the connection fails. Sending again is safe, because the server
 * recognizes the form by its one-time ID.
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

/** Return the response to a form. Throws if the server fails, or doesn't respond in time. */
async function send(form, entered) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), TIMEOUT);
  const response = await fetch(form.action, { method: "POST", body: entered, signal: controller.signal });
  clearTimeout(timer);
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

/** Enable the buttons that copy a value, if the browser lets us use the clipboard. */
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

/** Replace the page's content with that of another one, and announce a new heading to screen readers. */
function show(page) {
  const [old, main] = [one("main"), one("main", page)];
  const news = one("h1", main).textContent;
  if (news !== one("h1", old).textContent) one("#announcement").textContent = news;
  document.title = page.title;
  plain = main.innerHTML;
  old.replaceWith(main);
  enhance();
}

/** Fetch the page again, and show it if it has changed. */
async function renew() {
  const response = await fetch(location.href);
  if (!response.ok && response.status !== 404) throw new Error(response.status);
  const page = await pageOf(response);
  if (plain !== one("main", page).innerHTML) show(page);
}

/**
 * Poll the account's state at the interval that the server asks for, but not in a hidden tab. Every fourth time, fetch
 * the whole page, because more than the state may have changed.
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
    // Offline, or the server is restarting or overloaded: ask again later.
    pause = Math.min(pause * 2, 60);
  }
  follow(pause, asked + 1);
}

enhance();
if (one("main").dataset.status) follow();
