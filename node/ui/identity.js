// Who the person is: a guest with a token that is kept here, or an account whose session is kept in a cookie.

const KEY = "hubbub.identity";

/** What is known from the last visit: {name, guest: true, token?} or {name, guest: false}; null if nothing. */
export function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

/** Keeps the identity for the next visit, but for a session's token: the cookie holds that out of reach. */
export function remember({ name, guest, token }) {
  store({ name, guest, token: guest ? token : undefined });
}

export function forget() {
  store(null);
}

/** The fields of `hello` that say who it is. */
export function credential({ name, guest, token }) {
  if (token) return { token };
  return guest ? { guest: name } : {};
}

/** Signs in or makes an account; gives the identity, or throws with a text for people. */
export async function signIn(name, password, { register }) {
  const response = await fetch(register ? "/api/v1/users" : "/api/v1/sessions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name, password }),
  }).catch(() => null);
  if (!response) throw new Error("The server cannot be reached.");
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return { name, guest: false, token: answer.token };
  if (answer.code === "conflict") throw new Error("This name, or one too much like it, is taken.");
  if (answer.code === "unauthenticated") throw new Error("Name or password is wrong.");
  throw new Error(answer.detail ?? answer.title ?? `The server refused (${response.status}).`);
}

export async function signOut({ guest, token }) {
  if (guest) return;
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  await fetch("/api/v1/sessions/current", { method: "DELETE", headers }).catch(() => null);
}

function store(identity) {
  try {
    if (identity) localStorage.setItem(KEY, JSON.stringify(identity));
    else localStorage.removeItem(KEY);
  } catch {
    // Storage may be switched off; then each visit starts anew.
  }
}
