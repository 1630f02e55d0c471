// Before anything is painted: the theme that was chosen last time, if one was.
(() => {
  try {
    const chosen = localStorage.getItem("stacklens.theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage is not allowed: the system's preference it is.
  }
})();
