// The wizard of a new guest: choosing an ISO, a disk or a tree also chooses where the guest boots from.

const SOURCES = { iso: "iso", volume: "volume", tree: "tree", tree_url: "tree", tree_arguments: "tree" };

const form = document.getElementById("new-guest");

form?.addEventListener("input", ({ target }) => {
  if (!SOURCES[target.name] || !target.value) return;
  form.querySelector(`[name=source][value=${SOURCES[target.name]}]`).checked = true;
  if (target.name === "tree") form.elements.tree_url.value = ""; // a published tree or an address, not both
});
