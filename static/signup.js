// What the sign-up page does better with JavaScript. Every page works without it.

const one = (selector, root = document) => root.querySelector(selector);

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

/** Says so while a character is typed that the server would refuse. */
function hintWhileTyping() {
  for (const input of document.querySelectorAll("[data-wrong-characters]")) {
    const hint = document.getElementById(`${input.id}_hint`);
    input.addEventListener("input", (event) => {
      if (!event.isComposing) useSmallLetters(input);
      hint.textContent = input.validity.patternMismatch ? input.dataset.wrongCharacters : "";
    });
  }
}

/** Capital letters where only small ones are allowed are no reason to stop anybody. */
function useSmallLetters(input) {
  if (!input.validity.patternMismatch || !new RegExp(`^${input.pattern}$`, "v").test(input.value.toLowerCase())) return;
  const caret = input.selectionStart;
  input.value = input.value.toLowerCase();
  input.setSelectionRange(caret, caret);
}

/** The organization's name gives a user name, until another one is typed. */
function suggestUserName() {
  const organization = document.getElementById("id_organization_name");
  const name = document.getElementById("id_username");
  if (!organization || !name) return;
  let suggested = "";
  organization.addEventListener("input", () => {
    if (name.value !== suggested) return;
    const letters = organization.value.normalize("NFKD").toLowerCase().replace(/['’\u0300-\u036f]/g, "");
    const slug = letters.match(/[a-z0-9]+/g)?.join("-").slice(0, name.maxLength) ?? "";
    name.value = suggested = slug.length < name.minLength ? "" : slug;
  });
}

/** A free user name is filled in where the password is still to be typed; anywhere else its button sends it at once. */
function fillInSuggestion() {
  const password = document.getElementById("id_password");
  for (const button of document.querySelectorAll(".suggestions button")) {
    button.addEventListener("click", (event) => {
      if (!password) return;
      event.preventDefault();
      document.getElementById("id_username").value = button.value;
      password.focus();
    });
  }
}

/** One press sends once, and not before the server would take it: nobody is to be refused for being quick. */
function sendOnce() {
  for (const form of document.querySelectorAll("main form")) {
    const button = one(".primary", form);
    const words = button.textContent;
    const opens = performance.now() + Number(one("[data-wait]", form)?.dataset.wait ?? 0);
    const sendAgain = (submitter) => {
      button.removeAttribute("aria-disabled");
      form.requestSubmit(submitter);
    };
    form.addEventListener("submit", (event) => {
      if (event.submitter?.name === "language") return;
      const early = opens - performance.now();
      if (early > 0 || button.getAttribute("aria-disabled")) event.preventDefault();
      if (button.getAttribute("aria-disabled")) return;
      if (early > 0) setTimeout(() => sendAgain(event.submitter), early);
      button.setAttribute("aria-disabled", "true");
      button.textContent = button.dataset.busy;
    });
    addEventListener("pageshow", () => {
      button.removeAttribute("aria-disabled");
      button.textContent = words;
    });
  }
}

function enhance() {
  showProblems();
  revealPassword();
  matchStates();
  hintWhileTyping();
  suggestUserName();
  fillInSuggestion();
  sendOnce();
}

/** Put the page as it is now in the place of the page as it was, and say what is new. */
async function renew() {
  const response = await fetch(location.href);
  if (!response.ok && response.status !== 404) throw new Error(response.status);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const [old, main] = [one("main"), one("main", page)];
  if (old.innerHTML === main.innerHTML) return;
  const news = one("h1", main).textContent;
  if (news !== one("h1", old).textContent) one("#announcement").textContent = news;
  document.title = page.title;
  old.replaceWith(main);
  enhance();
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
