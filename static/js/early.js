// Runs before the first paint, so that neither the theme nor the job tray flickers.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    if (root.dataset.theme === "auto") root.dataset.bsTheme = dark.matches ? "dark" : "light";
  };
  follow();
  dark.addEventListener("change", follow);
  try {
    root.classList.toggle("tray-open", localStorage.getItem("kvmweb.tray") === "open");
  } catch {
    // storage is switched off: the tray starts closed
  }
})();
