// The console check: goes the whole way once more and names the hop that fails.

import { Channel } from "./channel.js";
import { HOPS } from "./message.js";
import { addressOf, fetchTicket, Problem } from "./tickets.js";
import { words } from "./words.js";

const ANSWER_MS = 10_000;
const HOP_OF = { 4503: "host", 4504: "host" };
const list = document.getElementById("check-hops");
const sentence = document.getElementById("check-words");

function draw(failed, kind, underWay = false) {
  const at = failed ? HOPS.indexOf(failed) : HOPS.length;
  list.replaceChildren(...HOPS.map((hop, index) => {
    const item = document.createElement("li");
    const good = index < at;
    item.className = good ? "ok" : index === at && !underWay ? "bad" : "mute";
    const mark = good ? "✓" : index === at && !underWay ? "✕" : "–";
    item.textContent = `${mark} ${words(hop === "display" && kind === "serial" ? "serial" : hop)}`;
    return item;
  }));
}

/** Open a channel and wait for the guest's first word. Throws a Problem that names the hop. */
function firstWord(url, kind) {
  return new Promise((good, bad) => {
    const channel = new Channel(url, { answersText: false });
    const end = (done, value) => {
      clearTimeout(timer);
      done(value);
      channel.close();
    };
    const timer = setTimeout(() => end(bad, new Problem("errorSilent", { hop: "display" })), ANSWER_MS);
    if (kind === "serial") channel.addEventListener("open", () => setTimeout(() => end(good), 500));
    else channel.onmessage = () => end(good);
    channel.addEventListener("close", () => {
      const hop = channel.wasOpen ? HOP_OF[channel.code] ?? "display" : "websocket";
      const name = channel.wasOpen ? `error${channel.code}` : "errorWebsocket";
      end(bad, new Problem(name, { hop, details: channel.reason }));
    });
  });
}

/** Run it. A serial port that works is left alone: it has room for one, and the check would throw us out. */
export async function runCheck(page, connection) {
  draw("websocket", page.kind, true);
  sentence.textContent = "";
  try {
    if (page.kind === "vnc" || connection.state !== "connected") {
      const entrance = await fetchTicket(page, { viewOnly: true });
      await firstWord(addressOf(entrance, "web"), page.kind);
    }
    draw(null, page.kind);
    sentence.textContent = words("allWell");
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    draw(problem.hop ?? "kvmweb", page.kind);
    sentence.textContent = [problem.message || words(problem.problem), problem.details].filter(Boolean).join(" ");
  }
}
