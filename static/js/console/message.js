// What stands over the picture when it did not come: what failed, why, what to do, and which hop it was.

import { words } from "./words.js";

export const HOPS = ["browser", "websocket", "kvmweb", "host", "display"];
const panel = document.getElementById("console-message");
const part = (name) => panel.querySelector(`[data-message-${name}]`);

/** "Browser ✓ WebSocket ✓ kvmweb ✓ Host ✕ Display –" */
function hopsUpTo(failed, kind) {
  const at = HOPS.indexOf(failed);
  const name = (hop) => words(hop === "display" && kind === "serial" ? "serial" : hop);
  return HOPS.map((hop, index) => `${name(hop)} ${index < at ? "✓" : index === at ? "✕" : "–"}`).join("  ");
}

export function showProblem(problem, kind) {
  const title = problem.hop ? (kind === "serial" ? "titleSerial" : "title") : "titleEnded";
  part("title").textContent = words(title);
  part("text").textContent = problem.message || words(problem.problem);
  part("hops").textContent = problem.hop ? hopsUpTo(problem.hop, kind) : "";
  part("more").hidden = !problem.details;
  part("details").textContent = problem.details;
  panel.hidden = false;
}

export function hideProblem() {
  panel.hidden = true;
}
