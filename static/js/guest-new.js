// The wizard of a new guest: choosing an ISO or a disk also chooses where the guest boots from.

const form = document.getElementById("new-guest");

form?.addEventListener("input", ({ target }) => {
  if (!["iso", "volume"].includes(target.name) || !target.value) return;
  form.querySelector(`[name=source][value=${target.name}]`).checked = true;
});
