// A ticket opens one console, once, within half a minute: each connection fetches its own.

/** Why there is no ticket. `name` is that of a sentence in _texts.html, `message` one that the server wrote. */
export class Problem extends Error {
  constructor(name, { message = "", details = "", hop = null, final = false } = {}) {
    super(message);
    Object.assign(this, { problem: name, details, hop, final });
  }
}

const csrfToken = () => document.cookie.match(/(?:^|; )kvmweb_csrf=([^;]+)/)?.[1] ?? ""; // a login elsewhere renews it

/** Ask for a ticket. Gives {url, gateway_url}; throws a Problem. */
export async function fetchTicket(page, { viewOnly }) {
  let answer;
  try {
    answer = await fetch(page.ticketUrl, {
      method: "POST",
      headers: { "X-CSRFToken": csrfToken() },
      body: new URLSearchParams({ kind: page.kind, view_only: viewOnly ? "1" : "0" }),
      redirect: "manual",
      signal: AbortSignal.timeout(10_000),
    });
  } catch {
    throw new Problem("errorOffline", { hop: "kvmweb" });
  }
  if (answer.status === 201) return answer.json();
  if (answer.type === "opaqueredirect" || answer.status === 403) throw new Problem("error4401", { final: true });
  if (answer.status === 404) throw new Problem("error4403", { final: true });
  if (!answer.headers.get("Content-Type")?.includes("json")) throw new Problem("errorOffline", { hop: "kvmweb" });
  const { message, details } = await answer.json();
  throw new Problem("", { message, details, hop: answer.status < 500 ? "display" : "kvmweb", final: answer.status < 500 });
}

/** The address of one of the two doors: the web itself, or the gateway beside it. */
export function addressOf(entrance, door) {
  if (door === "gateway") return entrance.gateway_url;
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${entrance.url}`;
}
